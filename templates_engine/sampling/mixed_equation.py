"""The model and its sampler as LaTeX: i a unit, j its group."""

from __future__ import annotations

from templates_engine.data.schema import Schema
from templates_engine.equation import PER_LINE, columns, var
from templates_engine.sampling.mixed_names import GAMMA, UNIFORM
from templates_engine.sampling.mixed_questions import BINOMIAL, NEGATIVE_BINOMIAL, NORMAL, Model

LINKS = {
    "logit": r"\mathrm{logit}(\pi_{%s})",
    "probit": r"\Phi^{-1}(\pi_{%s})",
    "cloglog": r"\log(-\log(1-\pi_{%s}))",
    "log": r"\log(\mu_{%s})",
}


def _wrapped(head: str, parts: list[str]) -> list[str]:
    """Two terms a line."""
    lines = [f"{head} &= " + " + ".join(parts[:PER_LINE])]
    lines += [r"&\quad {}+ " + " + ".join(parts[k : k + PER_LINE]) for k in range(PER_LINE, len(parts), PER_LINE)]
    return lines


def model_latex(model: Model, schema: Schema) -> str:
    """Likelihood, linear predictor, group effects and priors, one aligned block."""
    at = "ij" if model.group else "i"
    y = rf"{var(model.y)}_{{{at}}}"
    parts = [rf"\beta_{{{k}}}\,{name}_{{{at}}}" for k, name in enumerate(columns(model.x, schema))]
    effects = columns(model.x2, schema)
    if effects:
        parts += [rf"u_{{{k}j}}\,{name}_{{ij}}" for k, name in enumerate(effects)]
    elif model.group:
        parts.append("u_j")
    if model.family == NORMAL:
        lines = [rf"{y} &\sim \mathrm{{N}}(\mu_{{{at}}}, \sigma^2)", *_wrapped(rf"\mu_{{{at}}}", parts)]
    elif model.family == BINOMIAL:
        trials = rf"{var(model.trials or 'n')}_{{{at}}}"
        lines = [rf"{y} &\sim \mathrm{{Binomial}}({trials}, \pi_{{{at}}})", *_wrapped(LINKS[model.link] % at, parts)]
    else:
        if model.offset:
            parts.insert(0, rf"{var(model.offset)}_{{{at}}}")
        law = rf"{y} &\sim \mathrm{{Poisson}}(\mu_{{{at}}})"
        if model.family == NEGATIVE_BINOMIAL:
            variance = rf"\operatorname{{Var}} = \mu_{{{at}}} + \alpha\mu_{{{at}}}^2"
            law = rf"{y} &\sim \mathrm{{NegBin}}(\mu_{{{at}}}, \alpha), \quad {variance}"
        lines = [law, *_wrapped(LINKS["log"] % at, parts)]
    if effects:
        q = len(effects)
        vector = r"\left(" + ", ".join(rf"u_{{{k}j}}" for k in range(q)) + r"\right)'"
        lines.append(rf"{vector} &\sim \mathrm{{N}}_{{{q}}}(0, \Omega_u)")
    elif model.group:
        lines.append(rf"u_j &\sim \mathrm{{N}}(0, \sigma^2_u), \quad j = {var(model.group or '')}")
    return r"\begin{aligned}" + "\n" + "\\\\\n".join(lines + _priors(model, len(effects))) + "\n" + r"\end{aligned}"


def _priors(model: Model, q: int) -> list[str]:
    lines = [r"p(\beta) &\propto 1"]
    own = {NORMAL: [r"\sigma^2"], NEGATIVE_BINOMIAL: [r"\alpha"]}
    variances = ([r"\sigma^2_u"] if model.group and not q else []) + own.get(model.family, [])
    if q:
        if model.prior == UNIFORM:
            lines.append(r"p(\Omega_u) &\propto 1")
        else:
            lines.append(rf"\Omega_u &\sim \mathrm{{W}}^{{-1}}({q}, {q}\,\hat\Omega_u)")
    for variance in variances:
        if model.prior == UNIFORM:
            lines.append(rf"p({variance}) &\propto 1")
        else:
            lines.append(rf"1/{variance} &\sim \mathrm{{Gamma}}(0.001, 0.001)")
    return lines


def algorithm_latex(model: Model, schema: Schema) -> str:
    """One iteration of the sampler, in words and conditional distributions."""
    q = len(columns(model.x2, schema))
    steps = _normal_steps(model, q) if model.family == NORMAL else _general_steps(model, q)
    items = "\n".join(rf"\item {step}" for step in steps)
    return r"\begin{enumerate}" + "\n" + items + "\n" + r"\end{enumerate}" + "\n"


def _variance_step(model: Model, q: int) -> str:
    """q: random slopes and intercept, 0 for an intercept alone."""
    if q:
        if model.prior == UNIFORM:
            degrees, scale = f"J - {q + 1}", ""
        else:
            degrees, scale = f"J + {q}", rf"{q}\hat\Omega_u + "
        return (
            r"$\Omega_u$ given $u$: inverse Wishart, "
            rf"$\mathrm{{W}}^{{-1}}({degrees}, {scale}\textstyle\sum_j u_j u_j')$."
        )
    shape, rate = ("J/2 + 0.001", "0.001 + ") if model.prior == GAMMA else ("J/2 - 1", "")
    return (
        r"$\sigma^2_u$ given $u$: "
        rf"$1/\sigma^2_u \sim \mathrm{{Gamma}}({shape}, {rate}\tfrac12\textstyle\sum_j u_j^2)$."
    )


SCALE = (
    r"The scale of each group effect and of its variance together, $u_j \to a\,u_j$: a draw of $a$ on the scale group "
    r"(Liu and Sabatti, 2000), so that a small variance does not stick near zero."
)


def _normal_steps(model: Model, q: int) -> list[str]:
    shape, rate = ("n/2 + 0.001", "0.001 + ") if model.prior != UNIFORM else ("n/2 - 1", "")
    residual = rf"$\sigma^2$ given the rest: $1/\sigma^2 \sim \mathrm{{Gamma}}({shape}, {rate}\tfrac12\mathrm{{RSS}})$."
    if not model.group:
        return [r"$\beta$ given $\sigma^2$: $\mathrm{N}\left((X'X)^{-1}X'y, \sigma^2 (X'X)^{-1}\right)$.", residual]
    return [
        (
            r"$\beta$ with the group effects integrated out: $V_j = \sigma^2 I + Z_j \Omega_u Z_j'$, "
            r"$\beta \sim \mathrm{N}\left(A^{-1}\textstyle\sum_j X_j'V_j^{-1}y_j, A^{-1}\right)$, "
            r"$A = \sum_j X_j'V_j^{-1}X_j$ (Chib and Carlin, 1999)."
        ),
        (
            r"$u_j$ given $\beta$: $\mathrm{N}\left(\Omega_u Z_j'V_j^{-1}(y_j - X_j\beta), "
            r"(\Omega_u^{-1} + Z_j'Z_j/\sigma^2)^{-1}\right)$."
        ),
        SCALE,
        _variance_step(model, q),
        residual,
    ]


def _general_steps(model: Model, q: int) -> list[str]:
    proposal = (
        r"a Newton step from the present value with Normal noise, weights $W$ fixed when the burn-in ends, accepted by "
        r"Metropolis and Hastings (after Gamerman, 1997)"
    )
    more = [r"$\log\alpha$ by a random walk."] if model.family == NEGATIVE_BINOMIAL else []
    if not model.group:
        return [rf"$\beta$ jointly: {proposal}.", *more]
    return [
        (
            r"$\beta$ jointly, each $u_j$ moving with it by $-(Z_j'WZ_j + \Omega_u^{-1})^{-1}Z_j'WX_j$ times the "
            r"change, so that $\beta$ and what is left of $u$ are nearly independent (Papaspiliopoulos, Roberts and "
            rf"Sk\"old, 2003): {proposal}."
        ),
        rf"Each $u_j$ given $\beta$: {proposal}.",
        SCALE,
        _variance_step(model, q),
        *more,
    ]
