"""The questions that every template with a sampler asks, in one place: chains, seed, lengths, name of the draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from templates_engine.asking.ask import Ask
from templates_engine.asking.asked import ESTOPTIONS

# Published keys with one working answer here: a pasted string may have them.
ACCEPTED: Mapping[str, str] = {"defaultalg": "Yes", "makepred": "No", "defaultsv": "Yes"}
ACCEPTED_ALGORITHM: Mapping[str, str] = {"defaultalg": "Yes"}  # for templates that ask the other two
# Spellings printed in the guides.
RENAMED: Mapping[str, str] = {"defaulstv": "defaultsv"}

AFTER_ITERATIONS, UNTIL_TARGETS = "After the iterations", "When the targets are met"
MOST_CHAINS = 64
MOST_ITERATIONS = 10_000_000
MOST_SEED = 2**32 - 1
NAME = r"[A-Za-z][A-Za-z0-9_]{0,59}"


@dataclass(frozen=True)
class Starts:
    """Starting values that the user gave."""

    variances: tuple[tuple[str, float], ...] = ()  # (parameter, value)
    coefficients: str = ""  # the first ones, numbers with commas between; the others start as they would have

    @property
    def beta(self) -> list[float]:
        return [float(part) for part in self.coefficients.split(",")] if self.coefficients else []


@dataclass(frozen=True)
class Stopping:
    """When the chains are long enough: R-hat at most so, effective sample sizes at least so; or the time is over."""

    rhat: float
    ess: float
    minutes: float


@dataclass(frozen=True)
class McmcOptions:
    """How long and how often to sample. `iterations` counts those after the burn-in, before thinning."""

    nchains: int
    seed: int
    burnin: int
    iterations: int
    thinning: int
    outdata: str
    makepred: bool = False
    starts: Starts | None = None  # None: the template's own
    stopping: Stopping | None = None  # None: after `iterations`

    @property
    def kept(self) -> int:
        """Draws kept of one chain."""
        return self.iterations // self.thinning


def nchains(ask: Ask, default: int = 3) -> int:
    return ask.integer(
        "nchains",
        "Number of chains",
        default=default,
        min=1,
        max=MOST_CHAINS,
        help="Independent runs of the sampler from different starting values; two or more let R-hat be computed. "
        "The number is part of the answers, so results do not depend on the machine.",
    )


def seed(ask: Ask, default: int = 1) -> int:
    return ask.integer(
        "seed",
        "Random seed",
        default=default,
        min=0,
        max=MOST_SEED,
        help="The same seed and answers give the same results.",
    )


def mcmc_options(
    ask: Ask,
    *,
    burnin: int = 500,
    iterations: int = 2000,
    predictions: bool = False,
    starts: Callable[[], Starts] | None = None,
    stopping: bool = True,
) -> McmcOptions:
    """Ask nchains, seed, burnin, iterations, thinning and outdata, as estoptions, in the published order.

    predictions: ask makepred too. starts: asks the starting values, when defaultsv (asked only then) is No.
    stopping: ask whether the chains go on until targets are met.
    """
    with ask.group(ESTOPTIONS), ask.section("Estimation"):
        chains = nchains(ask)
        start = seed(ask)
        burn = ask.integer(
            "burnin",
            "Length of burn-in",
            default=burnin,
            min=0,
            max=MOST_ITERATIONS,
            help="Iterations thrown away at the start of each chain, before it has settled.",
        )
        length = ask.integer(
            "iterations",
            "Number of iterations",
            default=iterations,
            min=1,
            max=MOST_ITERATIONS,
            help="Iterations of each chain after the burn-in.",
        )
        thinning = ask.integer(
            "thinning",
            "Thinning",
            default=1,
            min=1,
            max=100_000,
            help="Keep every so-manieth draw: 1 keeps all. Thinning saves space, not accuracy.",
        )
        rule = _stopping(ask) if stopping else None
        makepred = predictions and ask.yes_no(
            "makepred",
            "Make a prediction dataset?",
            default="No",
            help="Yes gives the dataset prediction: your columns, and for each row the posterior mean, standard "
            "deviation and 95 % interval of the expected response, with the residual. It joins the list of datasets.",
        )
        given = None
        if starts is not None and not ask.yes_no(
            "defaultsv",
            "Use default starting values?",
            default="Yes",
            help="Yes starts each chain near the maximum likelihood estimate. No asks for values of your own. The "
            "algorithm has no settings to choose, so defaultalg is accepted as Yes only.",
        ):
            given = starts()
        outdata = ask.text(
            "outdata",
            "Name of the dataset of draws",
            default="out",
            pattern=NAME,
            form="letters, digits and _, starting with a letter, at most 60",
            help="The parameter chains are stored as a dataset under this name.",
        )
        if thinning > length:
            ask.fault(
                "thinning", f"A thinning of {thinning:,} keeps none of {length:,} iterations. Give a smaller one."
            )
    return McmcOptions(chains, start, burn, length, thinning, outdata, makepred, given, rule)


def _stopping(ask: Ask) -> Stopping | None:
    when = ask.choice(
        "stopping",
        "When to stop",
        (AFTER_ITERATIONS, UNTIL_TARGETS),
        default=AFTER_ITERATIONS,
        help="After the iterations asked for; or go on, half as many again each time, until every parameter meets the "
        "targets that are asked next. A run that has ended can be made longer in any case.",
    )
    if when == AFTER_ITERATIONS:
        return None
    rhat = ask.number(
        "maxrhat",
        "Largest R-hat",
        min=1.0001,
        max=2,
        default=1.01,
        help="The chains agree when every parameter's R-hat is at most this; 1.01 is the usual mark.",
    )
    ess = ask.number(
        "miness",
        "Smallest effective sample size",
        min=10,
        max=10_000_000,
        default=400,
        help="Of every parameter, for its centre and for its tails. 400 is enough for R-hat to be reliable; quantiles "
        "to two digits need some thousands.",
    )
    minutes = ask.number(
        "maxminutes",
        "Minutes at most",
        min=0.01,
        max=10_000,
        default=10,
        help="When the targets are not met by then, the run ends with what it has and says so. The first iterations "
        "are drawn in any case. What the time ends depends on the machine; the results say how many iterations were "
        "drawn, and asking for these gives the same draws again.",
    )
    return Stopping(float(rhat), float(ess), float(minutes))


def made_dataset(ask: Ask, default: str) -> str:
    """Ask the name of the dataset that a template makes."""
    return ask.text(
        "outdata",
        "Name of the new dataset",
        default=default,
        pattern=NAME,
        form="letters, digits and _, starting with a letter, at most 60",
        help="It joins the list of datasets under this name; where another has the name, a number is added.",
    )
