"""The two models of an imputation template as LaTeX, an aligned block each: i a unit, j its group.

With several classifications j_1, j_2, ... are the units of row i, and u^(1), u^(2), ... their effects.
"""

from __future__ import annotations

from templates_engine.asking import Term
from templates_engine.data import Schema
from templates_engine.imputation.spec import DIAGONAL, HALFT, SHARES, UNIFORM, Imputation, Prior, Response, Spec
from templates_engine.manual import escape, var


def both_models(spec: Spec, schema: Schema) -> dict[str, str]:
    """The model of interest and the imputation model, each an `aligned` block."""
    return {"moi": model_of_interest(spec, schema), "imputation": imputation_model(spec, schema)}


def _word(name: str) -> str:
    return str(var(name))


def _aligned(lines: list[str]) -> str:
    return r"\begin{aligned}" + "\n" + "\\\\\n".join(lines) + "\n" + r"\end{aligned}"


def _columns(terms: tuple[Term, ...], schema: Schema) -> list[tuple[str, str]]:
    """(variable, its LaTeX) of each column of the design: a categorical term gives one for each level but the last."""
    found = []
    for term in terms:
        if not term.categorical:
            found.append((term.name, _word(term.name)))
            continue
        levels = schema[term.name].levels[:-1]
        if not levels:  # more categories than are listed
            found.append((term.name, _word(term.name) + r"[\cdot]"))
        for level in levels:
            code = f"{level:g}" if isinstance(level, float) else str(level)
            found.append((term.name, f"{_word(term.name)}[{escape(code)}]"))
    return found


def _sum(terms: tuple[Term, ...], schema: Schema, symbol: str, index: str, upper: frozenset[str]) -> list[str]:
    """`beta_0 cons_ij`, … one entry a column; variables of level 2 carry the group's index alone."""
    return [
        rf"{symbol}_{{{k}}}\,{latex}_{{{'j' if name in upper else index}}}"
        for k, (name, latex) in enumerate(_columns(terms, schema))
    ]


def _upper(spec: Imputation) -> frozenset[str]:
    """Variables known to have one value a group: level 2 responses and their predictors, constants apart."""
    if len(spec.classes) != 1:
        return frozenset()
    own = spec.classes[0].responses
    predictors = {t.name for r in own for terms in r.predictors for t in terms if t.name != "cons"}
    return frozenset({r.name for r in own} | predictors)


def _unit(count: int, c: int) -> str:
    """The index of a unit of classification c (from 1) of so many."""
    return "j" if count == 1 else f"j_{c}"


def _effect(count: int, c: int) -> str:
    """The letter of its effects."""
    return "u" if count == 1 else f"u^{{({c})}}"


def _sub(text: str) -> str:
    """A subscript, in braces where it is more than a letter."""
    return text if len(text) == 1 else f"{{{text}}}"


def _row(count: int) -> str:
    """The index of a row: ij in one classification."""
    return "ij" if count == 1 else "i"


def _wrapped(head: str, parts: list[str], tail: str = "") -> list[str]:
    """Two terms a line, continued under the relation sign; the random part closes the last line."""
    lines = []
    for k in range(0, len(parts), 2):
        text = " + ".join(parts[k : k + 2])
        lines.append(f"{head} &= {text}" if k == 0 else f"&\\quad + {text}")
    if tail:
        lines[-1] += f" + {tail}"
    return lines


def model_of_interest(spec: Spec, schema: Schema) -> str:
    """Normal, binomial or Poisson, with the group effects where there are two levels."""
    moi = spec.moi
    count = len(moi.groups)
    index = _row(count)
    y, mean = rf"{_word(moi.y)}_{{{index}}}", rf"\mu_{{{index}}}"
    parts = _sum(moi.x, schema, r"\beta", index, _upper(spec) if moi.groups else frozenset())
    effects, priors = [], []
    for c in range(1, count + 1):
        u, j, end = _effect(count, c), _unit(count, c), "u" if count == 1 else f"u{c}"
        terms = moi.slopes[c - 1] if moi.slopes else ()
        effects += [rf"{u}_{{{k}{j}}}\,{_word(t.name)}_{{{index}}}" for k, t in enumerate(terms)] or [f"{u}_{_sub(j)}"]
        if terms:
            priors.append(rf"({u}_{{0{j}}}, \ldots)' &\sim \mathrm{{N}}(0, \Omega_{_sub(end)})")
        else:
            priors.append(rf"{u}_{_sub(j)} &\sim \mathrm{{N}}(0, \sigma^2_{_sub(end)})")
    random = " + ".join(effects)
    if moi.distribution == "Normal":
        head = [rf"{y} &\sim \mathrm{{N}}({mean}, \sigma^2)", *_wrapped(mean, parts, random)]
    elif moi.distribution == "Binomial":
        head = [
            rf"{y} &\sim \mathrm{{Binomial}}({_word(moi.trials or 'n')}_{{{index}}}, {mean})",
            *_wrapped(rf"\mathrm{{{moi.link}}}({mean})", parts, random),
        ]
    else:
        head = [rf"{y} &\sim \mathrm{{Poisson}}({mean})", *_wrapped(rf"\log({mean})", parts, random)]
    return _aligned(head + priors)


def _latents(response: Response) -> list[str]:
    """The names of a response's latent dimensions, without their index."""
    star = "" if response.kind == "Normal" else "^{*}"
    if response.kind != "Unordered":
        return [_word(response.name) + star]
    return [rf"{_word(response.name)}^{{*({c})}}" for c in range(response.n_categories - 1)]


def _upper_code(name: str, schema: Schema) -> str:
    """The second of two categories, as the data write it."""
    levels = schema[name].levels if name in schema else ()
    if len(levels) != 2:
        return "1"
    return f"{levels[1]:g}" if isinstance(levels[1], float) else str(var(levels[1]))


def _rule(response: Response, index: str, schema: Schema) -> list[str]:
    """How a category comes from its latent Normals."""
    name = rf"{_word(response.name)}_{{{index}}}"
    latent = rf"{_word(response.name)}^{{*}}_{{{index}}}"
    if response.kind == "Binary":
        return [rf"{name} &= {_upper_code(response.name, schema)} \iff {latent} > 0"]
    if response.kind == "Ordered":
        return [rf"{name} &= c \iff \tau_{{c}} < {latent} \le \tau_{{c+1}}"]
    if response.kind == "Unordered":
        last = response.n_categories - 1
        return [
            rf"{name} &= c \iff {_word(response.name)}^{{*(c)}}_{{{index}}} \text{{ is the largest and positive}}",
            rf"{name} &= {last} \iff \text{{all are negative}}",
        ]
    return []


def imputation_model(spec: Imputation, schema: Schema) -> str:
    """The joint model: one regression for each latent dimension, then the covariance matrices."""
    lines: list[str] = []
    at = 0
    count = len(spec.classes)
    for level, responses in enumerate(spec.levels):
        index = _row(count) if level == 0 else _unit(count, level)
        symbol = r"\beta" if level == 0 else r"\gamma"
        error = "e" if level == 0 else _effect(count, level).replace("u", "v")
        for response in responses:
            for latent, terms in zip(_latents(response), response.predictors, strict=True):
                at += 1
                parts = _sum(terms, schema, symbol + rf"^{{({at})}}", index, _upper(spec))
                random = []
                if level == 0:
                    random = [
                        rf"{_effect(count, c)}_{{{at}{_unit(count, c)}}}"
                        for c, each in enumerate(spec.classes, start=1)
                        if each.effects is None or response.name in each.effects
                    ]
                tail = " + ".join([*random, rf"{error}_{{{at}{index}}}"])
                lines += _wrapped(rf"{latent}_{{{index}}}", parts, tail)
            lines += _rule(response, index, schema)
    lines.append(rf"e_{{{_row(count)}}} &\sim \mathrm{{N}}(0, \Omega_e)")
    for c, each in enumerate(spec.classes, start=1):
        u, j = _effect(count, c), _sub(_unit(count, c))
        v, end = u.replace("u", "v"), _sub("u" if count == 1 else f"u{c}")
        left = f"({u}_{j}, {v}_{j})" if each.responses else f"{u}_{j}"
        lines.append(rf"{left} &\sim \mathrm{{N}}(0, \Omega_{end})")
    return _aligned(lines + _priors(spec, schema))


def _priors(spec: Imputation, schema: Schema) -> list[str]:
    """A line for each covariance matrix: s_k are standard deviations, or residual ones, of the variables."""
    lines = [_prior(r"\Omega_e", spec.prior1, sum(r.dimensions for r in spec.level1), SHARES[0])]
    for c, each in enumerate(spec.classes, start=1):
        end = "u" if len(spec.classes) == 1 else f"u{c}"
        known = schema[each.column].n_levels if each.column in schema else 0
        if each.structure == DIAGONAL or (known and each.diagonal(spec.level1, known)):
            df, scale = each.prior.df or HALFT[0], each.prior.scale or HALFT[1]
            half = rf"\mathrm{{t}}^{{+}}_{{{df:g}}}(0, {scale:g}\,s_k)"
            lines.append(rf"\Omega_{_sub(end)} &\text{{ diagonal}},\quad \sqrt{{\Omega_{{{end},kk}}}} \sim {half}")
        else:
            lines.append(_prior(rf"\Omega_{_sub(end)}", each.prior, each.dimensions(spec.level1), SHARES[1]))
    return lines


def _prior(matrix: str, prior: Prior, p: int, share: float) -> str:
    if prior.kind == UNIFORM:
        return rf"p({matrix}) &\propto 1"
    df = float(p) if prior.df is None else prior.df
    scale = share if prior.scale is None else prior.scale
    return (
        rf"{matrix} &\sim \mathrm{{IW}}({df:g}, {df:g}\,\mathrm{{diag}}({scale:g}\,s_k^2)) "
        r"\text{ given its fixed elements}"
    )


def algorithm(spec: Imputation) -> str:
    """One sweep of the sampler, in words and conditional distributions."""
    effects = (
        r"Fixed effects given the group effects (Normal), with a step that moves intercepts and group effects together"
        if spec.conditional
        else r"Fixed effects with the group effects integrated out (Normal)"
    )
    steps = [
        (
            r"Latent Normals of observed categories from their truncated Normal conditionals; missing values from "
            r"their Normal conditionals given the other responses of the row and the group effects"
        ),
        effects,
    ]
    if spec.classes:
        steps.append(
            r"Group effects and level 2 latents together, one draw for each group, from $\mathrm{N}$ given all its rows"
        )
        steps.append(r"$\Omega_u$ given group effects: inverse Wishart, elements fixed by categories kept fixed")
    steps.append(r"$\Omega_e$ given residuals: inverse Wishart, elements fixed by categories kept fixed")
    if any(r.kind == "Ordered" for r in spec.responses):
        steps.append(r"Thresholds of ordered responses with their latents integrated out")
    items = "\n".join(rf"\item {step}." for step in steps)
    note = r"Goldstein, Carpenter, Kenward and Levin (2009), Statistical Modelling 9(3), 173--197."
    return r"\begin{enumerate}" + "\n" + items + "\n" + r"\end{enumerate}" + "\n" + note + "\n"
