"""The frozen answers of 2LevelImpute: what the questions end in, and all that the run sees of them."""

from __future__ import annotations

from dataclasses import dataclass

from templates_engine import Term


@dataclass(frozen=True)
class Response:
    """One variable to impute, with the predictors of each of its latent dimensions."""

    name: str
    kind: str  # "Normal", "Binary", "Ordered", "Unordered"
    n_categories: int  # 2 for Binary, 0 for Normal
    predictors: tuple[tuple[Term, ...], ...]  # one tuple a latent dimension: n_categories - 1 of them when Unordered


@dataclass(frozen=True)
class ModelOfInterest:
    """The model that is fitted to each completed dataset."""

    group: str | None  # None: one level
    y: str
    x: tuple[Term, ...]
    distribution: str = "Normal"
    link: str | None = None  # Binomial only
    trials: str | None = None  # Binomial only
    slopes: tuple[Term, ...] = ()  # random coefficients, () for a random intercept alone

    @property
    def template(self) -> str:
        """The template that fits this model best."""
        if self.group is None:
            return "1LevelMod"
        return "2LevelRS" if self.slopes else "2LevelMod"

    @property
    def answers(self) -> dict[str, str]:
        """Its answers to that template's questions, but for chain length and seed."""
        given = {"y": self.y, "L2ID": self.group, "D": self.distribution, "n": self.trials, "link": self.link}
        found = {key: value for key, value in given.items() if value is not None}
        found["x"] = ",".join(str(term) for term in self.x)
        if self.slopes:
            found["x2"] = ",".join(str(term) for term in self.slopes)
            del found["D"]
        return found

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns whose missing values matter to it, each once."""
        names = [self.y, *(t.name for t in self.x), *(t.name for t in self.slopes)]
        return tuple(dict.fromkeys(names + ([self.trials] if self.trials else [])))


@dataclass(frozen=True)
class Spec:
    """A complete set of answers."""

    group: str | None  # level 2 identifier, None when everything is at one level
    moi: ModelOfInterest
    level1: tuple[Response, ...]
    level2: tuple[Response, ...]
    conditional: bool
    n_imputed: int
    first: int  # iteration of the first imputation
    every: int  # iterations between later ones
    burnin: int
    iterations: int
    n_chains: int
    seed: int

    @property
    def responses(self) -> tuple[Response, ...]:
        return self.level1 + self.level2

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
