"""The frozen answers of an imputation template: what the questions end in, and all that the run sees of them."""

from __future__ import annotations

from dataclasses import dataclass

from templates_engine.asking import McmcOptions, Term

UNSTRUCTURED, DIAGONAL = "Unstructured", "Diagonal"
UNIFORM, WISHART = "Uniform", "Inverse Wishart"
SHARES = (1.0, 0.2)  # of a variable's variance that an inverse Wishart prior expects at level 1, between units
HALFT = (3.0, 2.5)  # degrees of freedom and scale of half-t priors
DIFFERENCES, IDENTITY = "Differences", "Identity"


Bound = str | float | None  # a column, or a number


@dataclass(frozen=True)
class Response:
    """One variable to impute, with the predictors of each of its latent dimensions."""

    name: str
    kind: str  # "Normal", "Binary", "Ordered", "Unordered"
    n_categories: int  # 2 for Binary, 0 for Normal
    predictors: tuple[tuple[Term, ...], ...]  # one tuple a latent dimension: n_categories - 1 of them when Unordered
    lower: Bound = None  # of a Normal variable where it is missing
    upper: Bound = None

    @property
    def dimensions(self) -> int:
        return len(self.predictors)


@dataclass(frozen=True)
class Prior:
    """Prior of a covariance matrix. df, scale: None for what suits."""

    kind: str = UNIFORM  # of an unstructured matrix: UNIFORM, WISHART; a diagonal one has half-t standard deviations
    df: float | None = None
    scale: float | None = None  # share of the variables' variances (WISHART); scale of half-t, in residual sds


FLAT = Prior()


@dataclass(frozen=True)
class Classification:
    """One classification of the rows, with the variables that have one value a unit of it."""

    column: str
    key: str  # the question that chose it
    responses: tuple[Response, ...] = ()
    effects: tuple[str, ...] | None = None  # the level 1 variables that vary between its units; None: all
    structure: str = ""  # UNSTRUCTURED, DIAGONAL; "" for what its number of units allows
    prior: Prior = FLAT

    def dimensions(self, level1: tuple[Response, ...]) -> int:
        """Rows of its covariance matrix."""
        own = [r for r in level1 if self.effects is None or r.name in self.effects]
        return sum(r.dimensions for r in (*own, *self.responses))

    def diagonal(self, level1: tuple[Response, ...], count: int) -> bool:
        """Whether with so many units its matrix is diagonal: asked for, or all that a flat prior leaves."""
        return self.structure == DIAGONAL or (not self.structure and count < 2 * self.dimensions(level1) + 2)


@dataclass(frozen=True)
class ModelOfInterest:
    """The model that is fitted to each completed dataset."""

    groups: tuple[str, ...]  # its classifications, () for one level
    y: str
    x: tuple[Term, ...]
    distribution: str = "Normal"
    link: str | None = None  # Binomial only
    trials: str | None = None  # Binomial only
    slopes: tuple[tuple[Term, ...], ...] = ()  # random coefficients by classification, () for random intercepts alone

    @property
    def template(self) -> str:
        """The template that fits this model best."""
        if not self.groups:
            return "1LevelMod"
        many = "NLevel" if len(self.groups) > 1 else "2Level"
        return many + ("RS" if self.slopes else "Mod")

    @property
    def answers(self) -> dict[str, str]:
        """Its answers to that template's questions, but for chain length and seed."""
        given: dict[str, str | None] = {"y": self.y, "D": self.distribution, "n": self.trials, "link": self.link}
        if len(self.groups) == 1:
            given["L2ID"] = self.groups[0]
        if len(self.groups) > 1:
            given |= {"numclass": str(len(self.groups))}
            given |= {f"C{k}": name for k, name in enumerate(self.groups, start=1)}
        found = {key: value for key, value in given.items() if value is not None}
        found["x"] = ",".join(str(term) for term in self.x)
        for k, terms in enumerate(self.slopes, start=1):
            found["x2" if len(self.groups) == 1 else f"x2_{k}"] = ",".join(str(term) for term in terms)
        if self.slopes and self.distribution == "Normal":
            del found["D"]  # as it is without an answer
        return found

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns whose missing values matter to it, each once."""
        names = [self.y, *(t.name for t in self.x), *(t.name for terms in self.slopes for t in terms)]
        return tuple(dict.fromkeys(names + ([self.trials] if self.trials else [])))


class Imputation:
    """What the answers to every template with a joint model have: the model itself. Subclasses are dataclasses."""

    classes: tuple[Classification, ...]  # () when everything is at one level
    level1: tuple[Response, ...]
    conditional: bool
    unordered: str
    prior1: Prior  # of level 1's covariance matrix
    moi: ModelOfInterest | None

    @property
    def levels(self) -> tuple[tuple[Response, ...], ...]:
        """Responses of level 1, then of each classification."""
        return (self.level1, *(c.responses for c in self.classes))

    @property
    def responses(self) -> tuple[Response, ...]:
        return tuple(r for level in self.levels for r in level)


@dataclass(frozen=True)
class ImputerSpec(Imputation):
    """The answers to an imputer: the joint model by itself, with completed datasets on request."""

    classes: tuple[Classification, ...]
    level1: tuple[Response, ...]
    mcmc: McmcOptions
    n_imputed: int = 0
    every: int = 1  # iterations between the datasets of one chain, the first so many after the burn-in
    unordered: str = DIFFERENCES
    prior1: Prior = FLAT
    conditional: bool = True
    moi: None = None

    @property
    def imputed_at(self) -> tuple[int, ...]:
        """The iterations at which every chain gives a dataset, counted from the first of the burn-in."""
        rounds = -(-self.n_imputed // self.mcmc.nchains)
        return tuple(self.mcmc.burnin + self.every * k for k in range(1, rounds + 1))


@dataclass(frozen=True)
class Spec(Imputation):
    """A complete set of answers."""

    classes: tuple[Classification, ...]  # () when everything is at one level
    moi: ModelOfInterest
    level1: tuple[Response, ...]
    conditional: bool
    n_imputed: int
    first: int  # iteration of the first imputation
    every: int  # iterations between later ones
    burnin: int
    iterations: int
    n_chains: int
    seed: int
    unordered: str = DIFFERENCES
    prior1: Prior = FLAT

    @property
    def chains_run(self) -> int:
        """Chains of the imputation model: never more than datasets are wanted."""
        return min(self.n_chains, self.n_imputed)

    @property
    def imputed_at(self) -> tuple[int, ...]:
        """The iterations at which every chain gives a dataset."""
        rounds = -(-self.n_imputed // self.chains_run)
        return tuple(self.first + self.every * k for k in range(rounds))

    @property
    def used(self) -> tuple[tuple[int, int], ...]:
        """(chain, iteration) of the datasets that are analysed, in the order iteration, then chain."""
        order = [(chain, iteration) for iteration in self.imputed_at for chain in range(self.chains_run)]
        return tuple(order[: self.n_imputed])
