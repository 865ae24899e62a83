"""From the answers of an imputation template to those of 2LevelMissingOnePass, which estimates and imputes at once.

Joint imputation draws missing values as if the model of interest had neither powers, interactions nor random slopes.
A column that is a product of others is found in the rows, and becomes a term that is made of what is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np

from templates_engine.asking import Term
from templates_engine.data import Dataset, ones
from templates_engine.imputation.leads import ONE_PASS, ONE_PASS_LEAD
from templates_engine.imputation.spec import Classification, Imputation, ModelOfInterest, Response, Spec
from templates_engine.problems import Problem, Refused

POWERS = (2, 3, 4)
FEWEST = 10  # rows in which a product must hold
CLOSE = 1e-5  # of its size: single precision, as in Stata's files, has seven digits

Factors = tuple[tuple[str, int], ...]  # (variable, power)


def products(data: Dataset, names: Sequence[str]) -> dict[str, Factors]:
    """The columns among `names` that are, in every row where all is known, a power or a product of two others."""
    values = {}
    for name in names:
        if name in data and not data.is_text(name):
            x = np.asarray(data[name], float)
            seen = np.unique(x[~np.isnan(x)])
            if len(seen) > 1:
                values[name] = x
    found: dict[str, Factors] = {}
    for name, x in values.items():
        others = [n for n in values if n != name and n not in found]
        made: list[Factors] = [((n, k),) for n in others if len(np.unique(values[n])) > 2 for k in POWERS]
        made += [((a, 1), (b, 1)) for a, b in combinations(others, 2)]
        for factors in made:
            if _is(x, [values[n] ** k for n, k in factors]):
                found[name] = factors
                break
    return found


def _is(x: np.ndarray, parts: Sequence[np.ndarray]) -> bool:
    expected = np.prod(parts, axis=0)
    known = ~(np.isnan(x) | np.isnan(expected))
    if known.sum() < FEWEST or len(np.unique(x[known])) < 2:
        return False
    size = float(np.abs(x[known]).max())
    if not np.abs(x[known] - expected[known]).max() <= CLOSE * size:
        return False
    return not any(np.array_equal(part[known], x[known]) for part in parts)  # a copy of one factor is no product


def notices(spec: Imputation, data: Dataset) -> list[Problem]:
    """Powers and interactions of incomplete variables that stand as columns of the model of interest."""
    if spec.moi is None:
        return []
    moi = spec.moi
    numbers = [t.name for t in moi.x if not t.categorical]
    every = list(dict.fromkeys([*numbers, *(r.name for r in spec.responses if r.name != moi.y)]))
    found = []
    for name, factors in products(data, every).items():
        gaps = [n for n in dict.fromkeys([name, *(n for n, _ in factors)]) if data.missing(n).any()]
        if name not in numbers or not gaps:
            continue
        text = (
            f"{name} is {_words(factors)}, and {' and '.join(gaps)} {'has' if len(gaps) == 1 else 'have'} missing "
            "values. Joint imputation does not know how they hang together: what it draws contradicts itself, and the "
            f"coefficient of {name} is pulled toward zero. {ONE_PASS} makes {_words(factors)} of what it draws."
        )
        lead = ONE_PASS_LEAD.name if one_pass(moi) else ""
        found.append(Problem("built-of-incomplete", text, key="x", column=name, level="notice", lead=lead))
    return found


def _words(factors: Factors) -> str:
    if len(factors) == 1:
        return f"{factors[0][0]} to the power of {factors[0][1]}"
    return " times ".join(name for name, _ in factors)


def one_pass(moi: ModelOfInterest) -> bool:
    """Whether 2LevelMissingOnePass has a model of interest of this kind."""
    return len(moi.groups) <= 1


def carried(spec: Spec, data: Dataset, compare: bool) -> dict[str, str]:
    """Answers of 2LevelMissingOnePass with the same meaning; what it alone asks is left to its defaults.

    Raises Refused where the model of interest has several classifications, or nothing that may be incomplete is left.
    """
    moi = spec.moi
    if not one_pass(moi):
        text = f"{ONE_PASS} has one classification; the model of interest has {', '.join(moi.groups)}."
        raise Refused(Problem("several-classifications", text, key="MOIclass"))
    numbers = [t.name for t in moi.x if not t.categorical]
    built = products(data, list(dict.fromkeys([*numbers, *(r.name for r in spec.responses if r.name != moi.y)])))
    built = {name: factors for name, factors in built.items() if _gaps(data, [name, *(n for n, _ in factors)])}
    upper = _upper(spec)
    lower = [r for r in spec.level1 if r.name != moi.y and r.name not in built]
    above = [r for r in (upper.responses if upper else ()) if r.name not in built]
    if not lower and not above:
        text = f"No variable to impute is left beside the response {moi.y}: there is nothing for one pass to draw."
        raise Refused(Problem("nothing-to-impute", text, key="yimp1"))
    kinds = {r.name: r.kind for r in (*lower, *above)}
    answers = {"y": moi.y, "D": moi.distribution}
    if moi.distribution == "Binomial":
        answers |= {"n": str(moi.trials), "link": str(moi.link)}
    answers["L2int"] = "Yes" if moi.groups else "No"
    if moi.groups:
        answers["L2ID"] = moi.groups[0]
    names = _built_answers(answers, {n: f for n, f in built.items() if n in numbers})
    answers["xvars"] = _list(_term(t, names, kinds, data) for t in moi.x)
    if moi.groups:
        intercept = ones(data.schema())
        slopes = moi.slopes[0] if moi.slopes else ((Term(intercept),) if intercept else ())
        answers["x2vars"] = _list(_term(t, names, kinds, data) for t in slopes)
    answers["L1resp"] = "Yes" if lower else "No"
    if lower:
        answers["yimp"] = _list(Term(r.name) for r in lower)
    answers["L2imp"] = "Yes" if upper else "No"
    if upper:
        answers |= {"L2IDimp": upper.column, "L2resp": "Yes" if above else "No"}
        if above:
            answers |= {"L2Data": "rows", "yimp2": _list(Term(r.name) for r in above)}
    taken = {moi.y, *built, *kinds}
    for form, key, responses in (("bin{}", "ximp{}", lower), ("bin2_{}", "ximp2_{}", above)):
        for k, r in enumerate(responses, 1):
            answers[form.format(k)] = r.kind
            if r.kind in ("Ordered", "Unordered"):
                answers[f"ncats{r.name}"] = str(r.n_categories)
            answers[key.format(k)] = _list(_predictors(r, taken)) or ones(data.schema())
    answers |= {"compare": "Yes" if compare else "No", "nchains": str(spec.n_chains), "seed": str(spec.seed)}
    return answers


def _gaps(data: Dataset, names: Iterable[str]) -> bool:
    return any(bool(data.missing(name).any()) for name in names)


def _upper(spec: Spec) -> Classification | None:
    """The classification that the one-pass model of the incomplete variables keeps: that of the model of interest."""
    own = [c for c in spec.classes if c.column in spec.moi.groups]
    return next(iter(own or spec.classes), None)


def _built_answers(answers: dict[str, str], built: dict[str, Factors]) -> dict[str, str]:
    """Adds numpoly, numinter and what they open; the name of each built column's term."""
    powers = {name: f for name, f in built.items() if len(f) == 1}
    several = {name: f for name, f in built.items() if len(f) > 1}
    names = {}
    answers |= {"numpoly": str(len(powers)), "numinter": str(len(several))}
    for i, (name, ((variable, power),)) in enumerate(powers.items()):
        answers |= {f"xpoly{i}": variable, f"power{i}": str(power)}
        names[name] = f"{variable}^{power}"
    for i, (name, factors) in enumerate(several.items()):
        answers[f"xinter{i}"] = _list(Term(variable) for variable, _ in factors)
        names[name] = "*".join(variable for variable, _ in factors)
    return names


def _term(term: Term, names: dict[str, str], kinds: dict[str, str], data: Dataset) -> Term:
    """The term in 2LevelMissingOnePass: built ones by their names, categories without order by their indicators."""
    if term.name in names:
        return Term(names[term.name])
    unordered = kinds.get(term.name) == "Unordered" or data.is_text(term.name)
    return Term(term.name, term.categorical or unordered)


def _predictors(response: Response, taken: set[str]) -> list[Term]:
    """The predictors of any of its dimensions, each once; what the other model holds already is left out."""
    found = {str(t): t for terms in response.predictors for t in terms if t.name not in taken}
    return list(found.values())


def _list(terms: Iterable[Term]) -> str:
    return ",".join(str(term) for term in terms)
