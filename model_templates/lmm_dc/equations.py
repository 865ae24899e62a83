"""The model with its clones and priors as LaTeX."""

from __future__ import annotations

from templates_engine import Schema
from templates_engine.manual import PER_LINE, columns, var
from templates_engine.regression import LINKS

from .spec import BINOMIAL, EFFECT_VARIANCE, FIRST, NORMAL, SECOND, Spec


def _wrapped(head: str, parts: list[str]) -> list[str]:
    lines = [f"{head} &= " + " + ".join(parts[:PER_LINE])]
    lines += [r"&\quad {}+ " + " + ".join(parts[k : k + PER_LINE]) for k in range(PER_LINE, len(parts), PER_LINE)]
    return lines


def latex(spec: Spec, schema: Schema) -> str:
    """Likelihood, linear predictor, group effects, clones and priors, one aligned block."""
    if spec.several:
        return _crossed(spec, schema)
    y = "y_{ij}" if spec.wide else rf"{var(spec.response)}_{{ij}}"
    parts = [rf"\beta_{{{k}}}\,{name}_{{ij}}" for k, name in enumerate(columns(spec.x, schema))]
    effects = columns(spec.random[0], schema) if spec.slopes else []
    parts += [rf"u_{{{k}j}}\,{name}_{{ij}}" for k, name in enumerate(effects)] or ["u_j"]
    if spec.family == NORMAL:
        lines = [rf"{y} &\sim \mathrm{{N}}(\mu_{{ij}}, \sigma^2)", *_wrapped(r"\mu_{ij}", parts)]
    elif spec.family == BINOMIAL:
        trials = rf"{var(spec.trials)}_{{ij}}"
        lines = [rf"{y} &\sim \mathrm{{Binomial}}({trials}, \pi_{{ij}})", *_wrapped(LINKS[spec.link] % "ij", parts)]
    else:
        if spec.offset:
            parts.insert(0, rf"{var(spec.offset)}_{{ij}}")
        lines = [rf"{y} &\sim \mathrm{{Poisson}}(\mu_{{ij}})", *_wrapped(LINKS["log"] % "ij", parts)]
    unit = var(spec.unit)
    if not spec.smoothing:
        lines.append(rf"u_j &\;\text{{a parameter for each }} j = {unit}")
    elif len(effects) > 1:
        vector = r"\left(" + ", ".join(rf"u_{{{k}j}}" for k in range(len(effects))) + r"\right)'"
        lines.append(rf"{vector} &\sim \mathrm{{N}}_{{{len(effects)}}}(0, \Omega_u), \quad j = {unit}")
    else:
        name = r"u_{0j}" if effects else "u_j"
        lines.append(rf"{name} &\sim \mathrm{{N}}(0, \sigma^2_u), \quad j = {unit}")
    return _block(spec, lines, [len(effects)])


def _crossed(spec: Spec, schema: Schema) -> str:
    """Several classifications: i a row, school(i) its school."""
    y = r"y_i" if spec.wide else rf"{var(spec.response)}_{{i}}"
    parts = [rf"\beta_{{{k}}}\,{name}_{{i}}" for k, name in enumerate(columns(spec.x, schema))]
    ends, counts = [], []
    for c, (unit, terms) in enumerate(zip(spec.units, spec.random, strict=True), start=1):
        effects = columns(terms, schema)
        at = rf"{var(unit)}(i)"
        if len(effects) > 1:
            parts += [rf"u^{{({c})}}_{{{k},{at}}}\,{name}_{{i}}" for k, name in enumerate(effects)]
            law = rf"\mathrm{{N}}_{{{len(effects)}}}(0, \Omega_{{u{c}}})"
        else:
            slope = "" if tuple(map(str, terms)) == (spec.ones,) else "".join(rf"\,{name}_{{i}}" for name in effects)
            parts.append(rf"u^{{({c})}}_{{{at}}}{slope}")
            law = rf"\mathrm{{N}}(0, \sigma^2_{{u{c}}})"
        ends.append(rf"u^{{({c})}}_j &\sim {law}, \quad j = {var(unit)}")
        counts.append(len(effects))
    if spec.family == NORMAL:
        lines = [rf"{y} &\sim \mathrm{{N}}(\mu_i, \sigma^2)", *_wrapped(r"\mu_i", parts)]
    elif spec.family == BINOMIAL:
        law = rf"{y} &\sim \mathrm{{Binomial}}({var(spec.trials)}_{{i}}, \pi_i)"
        lines = [law, *_wrapped(LINKS[spec.link] % "i", parts)]
    else:
        offset = [rf"{var(spec.offset)}_{{i}}"] if spec.offset else []
        lines = [rf"{y} &\sim \mathrm{{Poisson}}(\mu_i)", *_wrapped(LINKS["log"] % "i", offset + parts)]
    return _block(spec, lines + ends, counts)


def _block(spec: Spec, lines: list[str], effects: list[int]) -> str:
    numbers = ", ".join(map(str, spec.clones))
    lines = [*lines, rf"\text{{target}} &: L(\theta)^K\,p(\theta), \quad K = {numbers}", *_priors(spec, effects)]
    return r"\begin{aligned}" + "\n" + "\\\\\n".join(lines) + "\n" + r"\end{aligned}"


def _priors(spec: Spec, effects: list[int]) -> list[str]:
    """effects: random coefficients by classification."""
    if spec.prior == SECOND:
        lines = [r"\beta_k &\sim \mathrm{N}(10, 1)", r"\sigma^2 &\sim \mathrm{Uniform}(0.001, 5)"]
        return [*lines, *([r"\sigma^2_u &\sim \mathrm{Gamma}(0.01, 0.01)"] if spec.smoothing else [])]
    variance = "10" if spec.prior == FIRST else r"\max(10,\ 50\,|\hat\beta_k|\,s_k,\ 100\,s_k^2)"
    lines = [rf"\beta_k &\sim \mathrm{{N}}(0, {variance})"]
    if spec.family == NORMAL:
        lines.append(r"\log\sigma &\sim \mathrm{N}(0, 1000)")
    if not spec.smoothing:
        lines.append(rf"u_j &\sim \mathrm{{N}}(0, {EFFECT_VARIANCE:g})")
        return lines
    for c, count in enumerate(effects, start=1):
        u = f"u{c}" if spec.several else "u"
        if count > 1 and spec.copied:
            centre = rf"\widehat\Omega_{{{u}}}\;\text{{the Laplace estimate}}"
            lines.append(
                rf"\Omega_{{{u}}} &\sim \mathrm{{W}}^{{-1}}({count},\ {count}\,\widehat\Omega_{{{u}}}), \quad {centre}"
            )
        elif spec.copied:
            lines.append(rf"1/\sigma^2_{{{u}}} &\sim \mathrm{{Gamma}}(0.001, 0.001)")
        elif count > 1:
            lines.append(rf"\log L_{{kk}} &\sim \mathrm{{N}}(0, 1000), \quad \Omega_{{{u}}} = LL'")
        else:
            lines.append(rf"\log\sigma_{{{u}}} &\sim \mathrm{{N}}(0, 1000)")
    return lines
