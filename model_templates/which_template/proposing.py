"""Which template fits a model and the gaps in its data, and why the others do not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from templates_engine import Dataset, Problem, Result, Table

from .spec import Spec

ONE_PASS = "2LevelMissingOnePass"


@dataclass(frozen=True)
class Choice:
    template: str
    fits: bool
    why: str

    def opens(self, spec: Spec) -> str:
        """The template that can be opened with these answers: powers and products are made by one pass alone."""
        return "" if spec.built and self.template != ONE_PASS else self.template


def proposal(spec: Spec, data: Dataset) -> list[Choice]:
    """The templates that could be meant, the one that fits first."""
    n = data.n_rows
    gaps = {name: int(data.missing(name).sum()) for name in spec.variables}
    incomplete = [name for name, count in gaps.items() if count]
    several = len(spec.groups) > 1
    kind = "NLevel" if several else "2Level" if spec.groups else "1Level"
    plain = kind + ("RS" if spec.slopes else "Mod")
    impute = "NLevelImpute" if several else "2LevelImpute"
    if not incomplete:
        lost = int(data.missing(spec.y).sum())
        why = "no explanatory variable has a missing value"
        if lost:
            why += (
                f"; the {lost:,} rows without {spec.y} are left out, which does no harm where being missing depends on "
                "the explanatory variables alone"
            )
        return [
            Choice(plain, True, f"{why}.{_columns(spec)}"),
            Choice(impute, False, "there is nothing to fill in that would add information."),
            Choice(ONE_PASS, False, "there is nothing to fill in."),
        ]
    told = f"{', '.join(f'{name} lacks {gaps[name]:,} of {n:,} values' for name in incomplete)}. "
    hard = _hard(spec, set(incomplete))
    rows = int(data.complete_cases([spec.y, *spec.variables]).n_rows)
    dropped = Choice(plain, False, f"it would use the {rows:,} complete rows of {n:,}, and may be biased.")
    if several:
        why = told + f"There are {len(spec.groups)} classifications, which it takes, nested or crossed."
        if hard:
            why += f" But {hard}: it draws without knowing of that, and what belongs to it comes out too small."
        why += _columns(spec)
        one = Choice(
            ONE_PASS, False, "it takes one classification." + (" With one it would fit better." if hard else "")
        )
        return [Choice(impute, True, why), one, dropped]
    if hard:
        why = told + f"{hard[0].upper()}{hard[1:]}: only estimating and imputing at once is right for that."
        other = Choice(impute, False, f"{hard}; joint imputation does not know of that when it fills the gaps.")
        return [Choice(ONE_PASS, True, why), other, dropped]
    if spec.built:
        why = told + "It makes squares and interactions itself of the values that it draws."
        other = Choice(impute, False, f"it takes squares and interactions as columns only.{_columns(spec)}")
        return [Choice(ONE_PASS, True, why), other, dropped]
    if spec.family == "Negative binomial":
        why = told + f"2LevelImpute has no negative binomial model of interest; {ONE_PASS} does."
        return [Choice(ONE_PASS, True, why), Choice(impute, False, "it has no negative binomial model."), dropped]
    why = (
        told + "The model is linear in the incomplete variables, with no slope of them that differs between groups: "
        "joint imputation is right for it, quick, and leaves completed datasets for other models too."
    )
    also = "it is right too; it answers for this one model, without completed datasets for others."
    return [Choice(impute, True, why), Choice(ONE_PASS, True, also), dropped]


def _columns(spec: Spec) -> str:
    """What has to be made first where a template takes squares and interactions as columns only."""
    if not spec.built:
        return ""
    made = [f"{name}^2" for name in spec.powers] + ["*".join(names) for names in spec.products]
    return f" Make {', '.join(made)} with Generate first, and choose the new column there beside the others."


def _hard(spec: Spec, incomplete: set[str]) -> str:
    """What joint imputation is wrong for, in words; "" where there is nothing."""
    powers = [name for name in spec.powers if name in incomplete]
    products = [names for names in spec.products if incomplete & set(names)]
    slopes = [name for name in spec.slopes if name in incomplete]
    said = []
    if powers:
        said.append(f"the square of {' and '.join(powers)} is in the model")
    if products:
        said.append(f"the interaction of {', and that of '.join(' and '.join(p) for p in products)} is in the model")
    if slopes:
        said.append(f"the effect of {' and '.join(slopes)} differs between groups")
    if spec.selected:
        said.append("values may be missing because of what they are")
    return "; ".join(said)


def run(spec: Spec, data: Dataset, job: Any) -> Result:
    """The proposal as a table."""
    job.steps(("Propose", 1.0))
    job.step("Propose")
    found = proposal(spec, data)
    rows = tuple((each.template, "yes" if each.fits else "no", each.why) for each in found)
    table = Table(("template", "fits", "why"), rows, f"Templates for {spec.y}")
    job.table("Proposal", table)
    job.note(
        Problem("proposal", f"{found[0].template} fits: {found[0].why}", level="notice", lead=found[0].opens(spec))
    )
    return Result(None, {"Proposal": table})
