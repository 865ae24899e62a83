"""The answers of WhichTemplate: a model in plain words."""

from __future__ import annotations

from dataclasses import dataclass

from templates_engine import Term


@dataclass(frozen=True)
class Spec:
    y: str
    family: str
    trials: str | None
    x: tuple[Term, ...]  # of the model, constants left out
    intercept: str  # a column of ones
    groups: tuple[str, ...]
    powers: tuple[str, ...]  # variables that enter with their square too
    products: tuple[tuple[str, ...], ...]  # variables that are multiplied
    slopes: tuple[str, ...]  # variables whose effect differs between groups
    others: tuple[str, ...]  # incomplete variables outside the model that help to fill gaps
    selected: bool  # whether a value's being missing may depend on the value itself

    @property
    def built(self) -> bool:
        return bool(self.powers or self.products)

    @property
    def variables(self) -> tuple[str, ...]:
        built = [*self.powers, *(name for names in self.products for name in names), *self.slopes]
        return tuple(dict.fromkeys([*(t.name for t in self.x), *built]))
