"""The model and its sampler as LaTeX.

With one classification or none i is a unit and j its group. With several, the notation of Browne, Goldstein and Rasbash
(2001, Statistical Modelling 1, 103-124): i a row, school(i) its school.
"""

from __future__ import annotations

from templates_engine.data import Schema
from templates_engine.manual import PER_LINE, columns, var
from templates_engine.regression.questions import BINOMIAL, NEGATIVE_BINOMIAL, NORMAL, Classification, Model
from templates_engine.sampling import GAMMA, UNIFORM

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
    """Likelihood, linear predictor, effects of each classification and priors, one aligned block."""
    at = "ij" if model.group else "i"
    y = rf"{var(model.y)}_{{{at}}}"
    parts = [rf"\beta_{{{k}}}\,{name}_{{{at}}}" for k, name in enumerate(columns(model.x, schema))]
    laws, priors = [], [r"p(\beta) &\propto 1"]
    for each in model.classifications:
        q = len(columns(each.terms, schema))
        parts += _effects(each, schema)
        laws.append(_law(each, q))
        end = _end(each)
        if not each.terms:
            priors.append(_variance_prior(rf"\sigma^2_{end}", model.prior))
        elif model.prior == UNIFORM:
            priors.append(rf"p(\Omega_{end}) &\propto 1")
        else:
            priors.append(rf"\Omega_{end} &\sim \mathrm{{W}}^{{-1}}({q}, {q}\,\hat\Omega_{end})")
    own = {NORMAL: r"\sigma^2", NEGATIVE_BINOMIAL: r"\alpha"}.get(model.family)
    if own:
        priors.append(_variance_prior(own, model.prior))
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
    return r"\begin{aligned}" + "\n" + "\\\\\n".join(lines + laws + priors) + "\n" + r"\end{aligned}"


def _end(each: Classification) -> str:
    """Subscript of its variance or covariance matrix."""
    return f"{{u{each.end}}}" if each.end else "u"


def _effects(each: Classification, schema: Schema) -> list[str]:
    """Its terms of the linear predictor."""
    names = columns(each.terms, schema)
    if each.end:
        u, unit = rf"u^{{({each.end})}}", rf"{var(each.name)}(i)"
        return [rf"{u}_{{{k},{unit}}}\,{name}_{{i}}" for k, name in enumerate(names)] or [rf"{u}_{{{unit}}}"]
    return [rf"u_{{{k}j}}\,{name}_{{ij}}" for k, name in enumerate(names)] or ["u_j"]


def _law(each: Classification, q: int) -> str:
    """Distribution of its effects; q: random coefficients, 0 for an intercept alone."""
    effect, units = "u_j", rf", \quad j = {var(each.name)}"
    if each.end:
        effect = rf"u^{{({each.end})}}_j"
    elif q:
        effect, units = r"\left(" + ", ".join(rf"u_{{{k}j}}" for k in range(q)) + r"\right)'", ""
    law = rf"\mathrm{{N}}_{{{q}}}(0, \Omega_{_end(each)})" if q else rf"\mathrm{{N}}(0, \sigma^2_{_end(each)})"
    return rf"{effect} &\sim {law}{units}"


def _variance_prior(symbol: str, prior: str) -> str:
    if prior == UNIFORM:
        return rf"p({symbol}) &\propto 1"
    return rf"1/{symbol} &\sim \mathrm{{Gamma}}(0.001, 0.001)"


def algorithm_latex(model: Model, schema: Schema) -> str:
    """One iteration of the sampler, in words and conditional distributions."""
    steps = _normal_steps(model, schema) if model.family == NORMAL else _general_steps(model, schema)
    items = "\n".join(rf"\item {step}" for step in steps)
    return r"\begin{enumerate}" + "\n" + items + "\n" + r"\end{enumerate}" + "\n"


def _variance_step(model: Model, schema: Schema) -> str:
    """Of one classification, or of each of several, c."""
    q = len(columns(model.x2, schema))
    end, groups, degrees, less = "u", "J", str(q), str(q + 1)
    given, effect, row, square = "$u$", "u_j", "u_j'", "u_j^2"
    if model.numbered:
        end, groups, degrees, less = "{uc}", "J_c", "q_c", "q_c - 1"
        effect, row = "u^{(c)}_j", r"u^{(c)\prime}_j"
        given, square = "the effects of classification $c$", "(u^{(c)}_j)^2"
    if model.classifications[0].terms:
        scale = rf"{degrees}\hat\Omega_{end} + " if model.prior != UNIFORM else ""
        df = f"{groups} + {degrees}" if model.prior != UNIFORM else f"{groups} - {less}"
        return (
            rf"$\Omega_{end}$ given {given}: inverse Wishart, "
            rf"$\mathrm{{W}}^{{-1}}({df}, {scale}\textstyle\sum_j {effect} {row})$."
        )
    shape, rate = (f"{groups}/2 + 0.001", "0.001 + ") if model.prior == GAMMA else (f"{groups}/2 - 1", "")
    return (
        rf"$\sigma^2_{end}$ given {given}: "
        rf"$1/\sigma^2_{end} \sim \mathrm{{Gamma}}({shape}, {rate}\tfrac12\textstyle\sum_j {square})$."
    )


SCALE = (
    r"The scale of each group effect and of its variance together, $u_j \to a\,u_j$: a draw of $a$ on the scale group "
    r"(Liu and Sabatti, 2000), so that a small variance does not stick near zero."
)
NESTED = (
    r"Where the units of one classification lie within those of another: the effect of each upper unit and the effects "
    r"within it are shifted against each other, which leaves the fit as it is (hierarchical centring; Gelfand, Sahu "
    r"and Carlin, 1995)."
)


ALPHA = (
    r"$\log\alpha$ by a Newton step with Normal noise, the curvature being its mean over the burn-in, accepted by "
    r"Metropolis and Hastings; then by a random walk."
)


def _normal_steps(model: Model, schema: Schema) -> list[str]:
    shape, rate = ("n/2 + 0.001", "0.001 + ") if model.prior != UNIFORM else ("n/2 - 1", "")
    residual = rf"$\sigma^2$ given the rest: $1/\sigma^2 \sim \mathrm{{Gamma}}({shape}, {rate}\tfrac12\mathrm{{RSS}})$."
    if not model.classifications:
        return [r"$\beta$ given $\sigma^2$: $\mathrm{N}\left((X'X)^{-1}X'y, \sigma^2 (X'X)^{-1}\right)$.", residual]
    if model.numbered:
        return [
            (
                r"For each larger classification: $\beta$, the effects of the small classifications and its own "
                r"effects jointly, given those of the other larger ones (Papaspiliopoulos, Roberts and Zanella, 2020). "
                r"With one larger classification this is a draw of all coefficients and effects at once."
            ),
            SCALE,
            _variance_step(model, schema),
            residual,
            NESTED,
        ]
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
        _variance_step(model, schema),
        residual,
    ]


def _general_steps(model: Model, schema: Schema) -> list[str]:
    proposal = (
        r"a Newton step from the present value with Normal noise, weights $W$ fixed when the burn-in ends, accepted by "
        r"Metropolis and Hastings (after Gamerman, 1997)"
    )
    more = [ALPHA] if model.family == NEGATIVE_BINOMIAL else []
    if not model.classifications:
        return [rf"$\beta$ jointly: {proposal}.", *more]
    if model.numbered:
        return [
            (
                r"For each classification $c$: $\beta$ jointly, each $u^{(c)}_j$ moving with it by "
                r"$-(Z_j'WZ_j + \Omega_{uc}^{-1})^{-1}Z_j'WX_j$ times the change (Papaspiliopoulos, Roberts and "
                rf"Zanella, 2020): {proposal}."
            ),
            rf"Each $u^{{(c)}}_j$ given the rest: {proposal}.",
            SCALE,
            _variance_step(model, schema),
            NESTED,
            *more,
        ]
    return [
        (
            r"$\beta$ jointly, each $u_j$ moving with it by $-(Z_j'WZ_j + \Omega_u^{-1})^{-1}Z_j'WX_j$ times the "
            r"change, so that $\beta$ and what is left of $u$ are nearly independent (Papaspiliopoulos, Roberts and "
            rf"Sk\"old, 2003): {proposal}."
        ),
        rf"Each $u_j$ given $\beta$: {proposal}.",
        SCALE,
        _variance_step(model, schema),
        *more,
    ]
