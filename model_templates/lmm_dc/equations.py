"""The model with its clones and priors as LaTeX."""

from __future__ import annotations

from templates_engine.data.schema import Schema
from templates_engine.equation import PER_LINE, columns, var
from templates_engine.sampling.mixed_equation import LINKS

from .spec import BINOMIAL, EFFECT_VARIANCE, FIRST, NORMAL, SECOND, Spec


def _wrapped(head: str, parts: list[str]) -> list[str]:
    lines = [f"{head} &= " + " + ".join(parts[:PER_LINE])]
    lines += [r"&\quad {}+ " + " + ".join(parts[k : k + PER_LINE]) for k in range(PER_LINE, len(parts), PER_LINE)]
    return lines


def latex(spec: Spec, schema: Schema) -> str:
    """Likelihood, linear predictor, group effects, clones and priors, one aligned block."""
    y = "y_{ij}" if spec.wide else rf"{var(spec.response)}_{{ij}}"
    parts = [rf"\beta_{{{k}}}\,{name}_{{ij}}" for k, name in enumerate(columns(spec.x, schema))]
    effects = columns(spec.x2, schema) if spec.slopes else []
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
    numbers = ", ".join(map(str, spec.clones))
    lines.append(rf"\text{{target}} &: L(\theta)^K\,p(\theta), \quad K = {numbers}")
    return r"\begin{aligned}" + "\n" + "\\\\\n".join(lines + _priors(spec, len(effects))) + "\n" + r"\end{aligned}"


def _priors(spec: Spec, effects: int) -> list[str]:
    if spec.prior == SECOND:
        lines = [r"\beta_k &\sim \mathrm{N}(10, 1)", r"\sigma^2 &\sim \mathrm{Uniform}(0.001, 5)"]
        return [*lines, *([r"\sigma^2_u &\sim \mathrm{Gamma}(0.01, 0.01)"] if spec.smoothing else [])]
    variance = "10" if spec.prior == FIRST else r"\max(10,\ 50\,|\hat\beta_k|\,s_k,\ 100\,s_k^2)"
    lines = [rf"\beta_k &\sim \mathrm{{N}}(0, {variance})"]
    if spec.family == NORMAL:
        lines.append(r"\log\sigma &\sim \mathrm{N}(0, 1000)")
    if not spec.smoothing:
        lines.append(rf"u_j &\sim \mathrm{{N}}(0, {EFFECT_VARIANCE:g})")
    elif effects > 1:
        lines.append(r"\log L_{kk} &\sim \mathrm{N}(0, 1000), \quad \Omega_u = LL'")
    else:
        lines.append(r"\log\sigma_u &\sim \mathrm{N}(0, 1000)")
    return lines
