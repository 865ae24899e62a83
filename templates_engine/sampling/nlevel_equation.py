"""A model with several classifications and its sampler as LaTeX.

Notation of Browne, Goldstein and Rasbash (2001, Statistical Modelling 1, 103-124): i a row, school(i) its school.
"""

from __future__ import annotations

from templates_engine.data.schema import Schema
from templates_engine.equation import PER_LINE, columns, var
from templates_engine.sampling.mixed_equation import LINKS, SCALE
from templates_engine.sampling.mixed_names import GAMMA, UNIFORM
from templates_engine.sampling.mixed_questions import BINOMIAL, NEGATIVE_BINOMIAL, NORMAL
from templates_engine.sampling.nlevel_questions import NModel


def model_latex(model: NModel, schema: Schema) -> str:
    """Likelihood, linear predictor, effects of each classification, priors: one aligned block."""
    parts = [rf"\beta_{{{k}}}\,{name}_{{i}}" for k, name in enumerate(columns(model.x, schema))]
    effects = [columns(terms, schema) for terms in model.slopes]
    for c, name in enumerate(model.classes, start=1):
        unit = rf"{var(name)}(i)"
        if effects:
            parts += [rf"u^{{({c})}}_{{{k},{unit}}}\,{z}_{{i}}" for k, z in enumerate(effects[c - 1])]
        else:
            parts.append(rf"u^{{({c})}}_{{{unit}}}")
    y = rf"{var(model.y)}_{{i}}"
    if model.family == NORMAL:
        lines = [rf"{y} &\sim \mathrm{{N}}(\mu_i, \sigma^2)"]
        head = r"\mu_i"
    elif model.family == BINOMIAL:
        lines = [rf"{y} &\sim \mathrm{{Binomial}}({var(model.trials or 'n')}_{{i}}, \pi_i)"]
        head = LINKS[model.link] % "i"
    else:
        if model.offset:
            parts.insert(0, rf"{var(model.offset)}_{{i}}")
        if model.family == NEGATIVE_BINOMIAL:
            variance = r"\operatorname{Var} = \mu_i + \alpha\mu_i^2"
            lines = [rf"{y} &\sim \mathrm{{NegBin}}(\mu_i, \alpha), \quad {variance}"]
        else:
            lines = [rf"{y} &\sim \mathrm{{Poisson}}(\mu_i)"]
        head = LINKS["log"] % "i"
    lines.append(f"{head} &= " + " + ".join(parts[:PER_LINE]))
    lines += [r"&\quad {}+ " + " + ".join(parts[k : k + PER_LINE]) for k in range(PER_LINE, len(parts), PER_LINE)]
    for c, name in enumerate(model.classes, start=1):
        count = len(effects[c - 1]) if effects else 1
        if effects:
            lines.append(rf"u^{{({c})}}_j &\sim \mathrm{{N}}_{{{count}}}(0, \Omega_{{u{c}}}), \quad j = {var(name)}")
        else:
            lines.append(rf"u^{{({c})}}_j &\sim \mathrm{{N}}(0, \sigma^2_{{u{c}}}), \quad j = {var(name)}")
    lines.append(r"p(\beta) &\propto 1")
    for c in range(1, len(model.classes) + 1):
        if effects and model.prior == UNIFORM:
            lines.append(rf"p(\Omega_{{u{c}}}) &\propto 1")
        elif effects:
            q = len(effects[c - 1])
            lines.append(rf"\Omega_{{u{c}}} &\sim \mathrm{{W}}^{{-1}}({q}, {q}\,\hat\Omega_{{u{c}}})")
        else:
            lines.append(_variance(rf"\sigma^2_{{u{c}}}", model.prior))
    if model.family == NORMAL:
        lines.append(_variance(r"\sigma^2", model.prior))
    if model.family == NEGATIVE_BINOMIAL:
        lines.append(_variance(r"\alpha", model.prior))
    return r"\begin{aligned}" + "\n" + "\\\\\n".join(lines) + "\n" + r"\end{aligned}"


def _variance(symbol: str, prior: str) -> str:
    if prior == UNIFORM:
        return rf"p({symbol}) &\propto 1"
    return rf"1/{symbol} &\sim \mathrm{{Gamma}}(0.001, 0.001)"


def algorithm_latex(model: NModel) -> str:
    """One iteration of the sampler."""
    steps = _normal_steps(model) if model.family == NORMAL else _general_steps(model)
    return r"\begin{enumerate}" + "\n" + "\n".join(rf"\item {s}" for s in steps) + "\n" + r"\end{enumerate}" + "\n"


def _variance_step(model: NModel) -> str:
    if model.slopes:
        added = "" if model.prior == UNIFORM else r"q_c\hat\Omega_{uc} + "
        degrees = "J_c - q_c - 1" if model.prior == UNIFORM else "J_c + q_c"
        return (
            r"$\Omega_{uc}$ given the effects of classification $c$: inverse Wishart, "
            rf"$\mathrm{{W}}^{{-1}}({degrees}, {added}\textstyle\sum_j u^{{(c)}}_j u^{{(c)\prime}}_j)$."
        )
    shape, rate = ("J_c/2 + 0.001", "0.001 + ") if model.prior == GAMMA else ("J_c/2 - 1", "")
    return (
        r"$\sigma^2_{uc}$ given the effects of classification $c$: "
        rf"$1/\sigma^2_{{uc}} \sim \mathrm{{Gamma}}({shape}, {rate}\tfrac12\textstyle\sum_j (u^{{(c)}}_j)^2)$."
    )


NESTED = (
    r"Where the units of one classification lie within those of another: the effect of each upper unit and the effects "
    r"within it are shifted against each other, which leaves the fit as it is (hierarchical centring; Gelfand, Sahu "
    r"and Carlin, 1995)."
)


def _normal_steps(model: NModel) -> list[str]:
    shape, rate = ("n/2 + 0.001", "0.001 + ") if model.prior != UNIFORM else ("n/2 - 1", "")
    return [
        (
            r"For each larger classification: $\beta$, the effects of the small classifications and its own effects "
            r"jointly, given those of the other larger ones (Papaspiliopoulos, Roberts and Zanella, 2020). With one "
            r"larger classification this is a draw of all coefficients and effects at once."
        ),
        SCALE,
        _variance_step(model),
        rf"$\sigma^2$ given the rest: $1/\sigma^2 \sim \mathrm{{Gamma}}({shape}, {rate}\tfrac12\mathrm{{RSS}})$.",
        NESTED,
    ]


def _general_steps(model: NModel) -> list[str]:
    proposal = (
        r"a Newton step from the present value with Normal noise, weights $W$ fixed when the burn-in ends, accepted by "
        r"Metropolis and Hastings (after Gamerman, 1997)"
    )
    more = [r"$\log\alpha$ by a random walk."] if model.family == NEGATIVE_BINOMIAL else []
    return [
        (
            r"For each classification $c$: $\beta$ jointly, each $u^{(c)}_j$ moving with it by "
            r"$-(Z_j'WZ_j + \Omega_{uc}^{-1})^{-1}Z_j'WX_j$ times the change (Papaspiliopoulos, Roberts and "
            rf"Zanella, 2020): {proposal}."
        ),
        rf"Each $u^{{(c)}}_j$ given the rest: {proposal}.",
        SCALE,
        _variance_step(model),
        NESTED,
        *more,
    ]
