"""The answers of the template that fits: those of WhichTemplate under its keys. What it alone asks has its defaults."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from templates_engine import Dataset, Problem, Refused, Term
from templates_engine.data import levels_of, varies_within
from templates_engine.imputation import questions as q

from .proposing import ONE_PASS
from .spec import Spec


def answers_of(template: str, spec: Spec, data: Dataset) -> dict[str, str]:
    """Raises Refused where the template cannot have this model."""
    if template in ("2LevelImpute", "NLevelImpute"):
        return _imputation(template, spec, data)
    if template == ONE_PASS:
        return _one_pass(spec, data)
    return _regression(template, spec)


def _regression(template: str, spec: Spec) -> dict[str, str]:
    found = {"y": spec.y, **_family(spec), "x": _list(_terms(spec))}
    if template.startswith("2Level"):
        _one(spec, template)
        found["L2ID"] = spec.groups[0]
        found["x2"] = _list([Term(spec.intercept), *(Term(n) for n in spec.slopes)])
    if template.startswith("NLevel"):
        found["numclass"] = str(len(spec.groups))
        found |= {f"C{k}": name for k, name in enumerate(spec.groups, 1)}
        for k in range(1, len(spec.groups) + 1):
            found[f"x2_{k}"] = _list([Term(spec.intercept), *(Term(n) for n in spec.slopes)])
    if not template.endswith("RS"):
        found = {key: text for key, text in found.items() if not key.startswith("x2")}
    elif spec.family == "Normal":
        del found["D"]
    return found


def _family(spec: Spec) -> dict[str, str]:
    return {"D": spec.family, **({"n": spec.trials} if spec.trials else {})}


def _one(spec: Spec, template: str) -> None:
    if len(spec.groups) != 1:
        text = f"{template} has one classification; {len(spec.groups)} are chosen here."
        raise Refused(Problem("classifications", text, key="groups"))


def _terms(spec: Spec) -> list[Term]:
    return [Term(spec.intercept), *spec.x]


def _upper(spec: Spec, data: Dataset, names: Sequence[str]) -> list[str]:
    """Those of the names that have one value in each unit of the first classification."""
    if not spec.groups:
        return []
    codes, _ = data.groups(spec.groups[0])
    return [name for name in names if not len(varies_within(codes, data[name]))]


def _incomplete(spec: Spec, data: Dataset) -> list[str]:
    return [name for name in spec.variables if data.missing(name).any()]


def _complete(spec: Spec, data: Dataset) -> list[Term]:
    """Predictors of what is incomplete: the intercept and the complete variables of the model."""
    return [t for t in _terms(spec) if not data.missing(t.name).any()]


def _kind(name: str, data: Dataset, spec: Spec) -> str:
    """A category where the model takes it as one."""
    kind = q.type_of(data.schema()[name])
    category = any(t.name == name and t.categorical for t in spec.x)
    return "Unordered" if kind == "Normal" and category else kind


def _imputation(template: str, spec: Spec, data: Dataset) -> dict[str, str]:
    if template == "2LevelImpute" and spec.groups:
        _one(spec, template)
    found = {"MOIdist": spec.family, "MOIslope": "Yes" if spec.slopes else "No", "y": spec.y, "x": _list(_terms(spec))}
    if template == "2LevelImpute":
        found["numlevs"] = "Yes" if spec.groups else "No"
        if spec.groups:
            found |= {"L2ID": spec.groups[0], "MOIlevel": "2 levels"}
    else:
        found |= {"numclass": str(len(spec.groups)), "MOIclass": ",".join(spec.groups)}
        found |= {f"C{k}": name for k, name in enumerate(spec.groups, 1)}
    if spec.slopes:
        slopes = _list([Term(spec.intercept), *(Term(n) for n in spec.slopes)])
        found |= {"x2" if template == "2LevelImpute" else f"x2_{k}": slopes for k in range(1, len(spec.groups) + 1)}
    if spec.family == "Binomial":
        found |= {"n": str(spec.trials), "link": "logit"}
    incomplete = _incomplete(spec, data)
    above = _upper(spec, data, incomplete)
    normal = spec.family == "Normal"
    lower = [*([spec.y] if normal else []), *(n for n in incomplete if n not in above)]
    predictors = _complete(spec, data) + ([] if normal else [Term(spec.y)])
    found |= _responses(template, 1, lower, predictors, data, spec)
    inside = [Term(n) for n in _upper(spec, data, [t.name for t in predictors])]
    chosen = [t for t in predictors if t.name in {each.name for each in inside}]
    for level in range(2, len(spec.groups) + 2):
        own = above if level == 2 else []
        found[f"want{level}"] = "Yes" if own else "No"
        if own:
            found |= _responses(template, level, own, chosen, data, spec)
    return found


def _responses(
    template: str, level: int, names: Sequence[str], predictors: Sequence[Term], data: Dataset, spec: Spec
) -> dict[str, str]:
    found = {f"yimp{level}": _list(Term(n) for n in names)}
    for i, name in enumerate(names):
        kind = "Normal" if name == spec.y else _kind(name, data, spec)
        found[f"bin{level}_{i + 1}"] = kind
        count = len(levels_of(data[name]))
        if kind in ("Ordered", "Unordered"):
            found[f"ncats{name}"] = str(count)
        if kind == "Unordered":
            found |= {f"ximp{level}_{i}_{c}": _list(predictors) for c in range(count - 1)}
        else:
            found[f"ximp{level}_{i}"] = _list(predictors)
    return found


def _one_pass(spec: Spec, data: Dataset) -> dict[str, str]:
    if len(spec.groups) > 1:
        _one(spec, ONE_PASS)
    incomplete = _incomplete(spec, data)
    above = _upper(spec, data, incomplete)
    lower = [n for n in incomplete if n not in above]
    if not incomplete:
        text = "No explanatory variable has a missing value, so that there is nothing for one pass to draw."
        raise Refused(Problem("nothing-missing", text, key="x"))
    found = {"y": spec.y, **_family(spec), "L2int": "Yes" if spec.groups else "No"}
    if spec.groups:
        found["L2ID"] = spec.groups[0]
    built = []
    found |= {"numpoly": str(len(spec.powers)), "numinter": str(len(spec.products))}
    for i, name in enumerate(spec.powers):
        found |= {f"xpoly{i}": name, f"power{i}": "2"}
        built.append(f"{name}^2")
    for i, parts in enumerate(spec.products):
        found[f"xinter{i}"] = _list(Term(n) for n in parts)
        built.append("*".join(parts))
    terms = [Term(t.name, t.categorical or _kind(t.name, data, spec) == "Unordered") for t in spec.x]
    found["xvars"] = _list([Term(spec.intercept), *terms, *(Term(n) for n in built)])
    if spec.groups:
        found["x2vars"] = _list([Term(spec.intercept), *(Term(n) for n in spec.slopes)])
    predictors = _complete(spec, data)
    inside = set(_upper(spec, data, [t.name for t in predictors]))
    found["L1resp"] = "Yes" if lower else "No"
    if lower:
        found["yimp"] = _list(Term(n) for n in lower)
    found["L2imp"] = "Yes" if spec.groups else "No"
    if spec.groups:
        found |= {"L2IDimp": spec.groups[0], "L2resp": "Yes" if above else "No"}
        if above:
            found |= {"L2Data": "rows", "yimp2": _list(Term(n) for n in above)}
    if spec.selected and lower:
        found |= {"moreimp": "Yes", "mnar": "Selection model"}
        numbers = [n for n in lower if _kind(n, data, spec) != "Unordered"]
        found["selvars"] = _list(Term(n) for n in numbers)
        found |= {f"selx{i}": _list([Term(spec.intercept), Term(spec.y)]) for i in range(len(numbers))}
    chosen = [t for t in predictors if t.name in inside]
    for form, key, names, own in (("bin{}", "ximp{}", lower, predictors), ("bin2_{}", "ximp2_{}", above, chosen)):
        for k, name in enumerate(names, 1):
            kind = _kind(name, data, spec)
            found |= {form.format(k): kind, key.format(k): _list(own)}
            if kind in ("Ordered", "Unordered"):
                found[f"ncats{name}"] = str(len(levels_of(data[name])))
    return found


def _list(terms: Iterable[Term]) -> str:
    return ",".join(str(term) for term in terms)
