"""What can be said of the answers of 2LevelMissingOnePass together, before the rows are looked at."""

from __future__ import annotations

from templates_engine.asking import Ask

from .spec import BINARY, MEASURED, UNORDERED, Spec


def together(ask: Ask, spec: Spec) -> None:
    """What can be said of the answers together."""
    if any(term.name == spec.y for term in (*spec.x, *spec.x2)):
        key = "xvars" if any(term.name == spec.y for term in spec.x) else "x2vars"
        ask.fault(key, f"{spec.y} is the response, so it cannot explain itself.", column=spec.y)
    for key, name in (("n", spec.trials), ("offset", spec.offset)):
        if name is not None and not ask.data[name].complete:
            ask.fault(key, f"{name} has missing values; a value is needed in every row.", column=name)
        if name is not None and name == spec.y:
            ask.fault(key, f"{name} is the response; choose another column.", column=name)
    if spec.group is not None and spec.upper is not None and spec.group != spec.upper:
        text = f"Both models need the same groups: {spec.group} here and {spec.upper} there cannot be combined."
        ask.fault("L2IDimp", text, column=spec.upper, nearest=spec.group)
    if not spec.responses:
        ask.fault("L1resp", "No variable with missing data is chosen. For complete data 2LevelMod fits this model.")
    if any(p.name == spec.y for r in spec.responses for p in r.predictors):
        k = next(k for k, r in enumerate(spec.responses, 1) if any(p.name == spec.y for p in r.predictors))
        text = f"{spec.y} is the response: that it depends on the incomplete variables is the model of interest's."
        ask.fault(f"ximp{k}" if k <= len(spec.level1) else f"ximp2_{k - len(spec.level1)}", text, column=spec.y)
    upper = {r.name for r in spec.level2}
    for term in spec.x2:
        sloped = [variable.name for variable, _ in spec.factors(term) if variable.name in upper]
        if sloped:
            text = f"{sloped[0]} has one value a group, so its coefficient cannot vary over the groups."
            ask.fault("x2vars", text, column=sloped[0])
    means = {name for name, _ in spec.more.means}
    for term in spec.x2:
        if any(variable.name in means for variable, _ in spec.factors(term)):
            text = f"{term.name} is of the groups, so its coefficient cannot vary over them."
            ask.fault("x2vars", text, column=term.name)
    _categorical(ask, spec)
    _gaps(ask, spec)


def _categorical(ask: Ask, spec: Spec) -> None:
    """Incomplete categorical variables enter by their categories, measurements by their values."""
    kinds = {r.name: r.kind for r in spec.responses}
    for key, terms in (("xvars", spec.x), ("x2vars", spec.x2)):
        for term in terms:
            for variable, power in spec.factors(term):
                kind = kinds.get(variable.name)
                if kind == UNORDERED and not spec.by_category(variable):
                    text = f"{variable.name} is Unordered: its numbers have no meaning. Choose {variable.name}:cat."
                    ask.fault(key, text, column=variable.name, nearest=f"{variable.name}:cat")
                elif kind in MEASURED and variable.categorical:
                    ask.fault(key, f"{variable.name} is a measurement and has no categories.", column=variable.name)
                elif kind == BINARY and power > 1:
                    text = f"Every power of {variable.name} is {variable.name} itself, as it is 0 or 1: leave it out."
                    ask.fault("numpoly", text, column=variable.name)


def _gaps(ask: Ask, spec: Spec) -> None:
    """Every incomplete variable of the model of interest needs a model of its own."""
    known = {r.name for r in spec.responses} | {name for name, _ in spec.more.means}
    for name in spec.variables:
        if name in ask.data and not ask.data[name].complete and name not in known and name != spec.y:
            text = (
                f"{name} has {ask.data[name].n_missing:,} missing values and no model of its own: choose it among the "
                "responses of the missing-data model."
            )
            ask.fault("yimp" if spec.level1 else "L1resp", text, column=name)
    chosen = {term.name for term in spec.x}
    for each in spec.built:
        if each.name not in chosen:
            continue
        below = [variable for variable, _ in each.factors if variable.name not in chosen]
        if below:
            text = f"{each.name} is in the model without {', '.join(v.name for v in below)}; nothing is added for you."
            ask.notice("xvars", text, code="lower-order-missing", column=below[0].name)
