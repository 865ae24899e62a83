"""Both models as LaTeX: i a row, j its group."""

from __future__ import annotations

from templates_engine import Schema, Term
from templates_engine.manual import PER_LINE, columns, var
from templates_engine.regression import LINKS, NEGATIVE_BINOMIAL, POISSON
from templates_engine.sampling import UNIFORM

from .spec import BINARY, BOUNDED, COUNT, NORMAL, ORDERED, PATTERN, SELECTION, SKEWED, Response, Spec


def _term(spec: Spec, term: Term, schema: Schema, index: str) -> list[str]:
    """The columns of a chosen term; a built one is the product of what it is made of, each with its own index."""
    factors = spec.factors(term)
    if len(factors) == 1 and factors[0] == (term, 1):
        at = "j" if term.name in {r.name for r in spec.level2} else index
        return [rf"{name}_{{{at}}}" for name in columns((term,), schema)]
    parts = []
    for variable, power in factors:
        at = "j" if variable.name in {r.name for r in spec.level2} else index
        name = rf"{var(variable.name)}_{{{at}}}"
        name = rf"[{name} = c]" if variable.categorical else name
        parts.append(rf"{name}^{{{power}}}" if power > 1 else name)
    return [r"\,".join(parts)]


def _wrapped(head: str, parts: list[str]) -> list[str]:
    lines = [f"{head} &= " + " + ".join(parts[:PER_LINE])]
    lines += [r"&\quad {}+ " + " + ".join(parts[k : k + PER_LINE]) for k in range(PER_LINE, len(parts), PER_LINE)]
    return lines


def model_latex(spec: Spec, schema: Schema) -> str:
    """The model of interest, then the models of the incomplete variables, in one aligned block."""
    index = "ij" if spec.group is not None or spec.upper is not None else "i"
    every = [name for term in spec.x for name in _term(spec, term, schema, index)]
    parts = [rf"\beta_{{{k}}}\,{name}" for k, name in enumerate(every)]
    random = [name for term in spec.x2 for name in _term(spec, term, schema, index)]
    for r, name in enumerate(random):
        parts.append(rf"u^{{(y)}}_{{{r}j}}\,{name}")
    lines = _head(spec, index, parts)
    if random:
        law = r"u^{(y)}_j &\sim \mathrm{N}(0, \Omega_{\mathrm{uint}})"
        lines.append(law)
    for level, responses in ((1, spec.level1), (2, spec.level2)):
        lines += [
            line for k, response in enumerate(responses) for line in _covariate(spec, response, level, k, schema, index)
        ]
    if spec.level1:
        at = index if index == "i" else "ij"
        diagonal = "" if spec.more.correlated or len(spec.level1) < 2 else r",\quad \Omega_e \text{ diagonal}"
        lines.append(rf"e_{{{at}}} &\sim \mathrm{{N}}(0, \Omega_e){diagonal}")
    if spec.upper is not None:
        both = "(u_j, v_j)" if spec.level2 and spec.level1 else "v_j" if spec.level2 else "u_j"
        lines.append(rf"{both} &\sim \mathrm{{N}}(0, \Omega_u)")
    lines += _means(spec) + _not_random(spec, index, schema)
    lines.append(r"p(\beta, \gamma) &\propto 1" + _priors(spec))
    return r"\begin{aligned}" + "\n" + " \\\\\n".join(lines) + "\n" + r"\end{aligned}"


def _head(spec: Spec, index: str, parts: list[str]) -> list[str]:
    """The law of the response, and its predictor."""
    y = rf"{var(spec.y)}_{{{index}}}"
    if spec.link == "identity":
        error = rf"e^{{(y)}}_{{{index}}}"
        return [*_wrapped(y, [*parts, error]), rf"{error} &\sim \mathrm{{N}}(0, \sigma^2)"]
    if spec.offset is not None:
        parts = [*parts, rf"{var(spec.offset)}_{{{index}}}"]
    if spec.trials is not None:
        law = rf"\mathrm{{Binomial}}({var(spec.trials)}_{{{index}}}, \pi_{{{index}}})"
    elif spec.family == POISSON:
        law = rf"\mathrm{{Poisson}}(\mu_{{{index}}})"
    else:
        law = rf"\mathrm{{NegBin}}(\mu_{{{index}}}, \alpha),\quad \mathrm{{var}} = \mu + \alpha\mu^2"
    return [rf"{y} &\sim {law}", *_wrapped(LINKS[spec.link] % index, parts)]


def _covariate(spec: Spec, response: Response, level: int, k: int, schema: Schema, index: str) -> list[str]:
    """One incomplete variable: its (latent) Normal regression, and how a category comes of it."""
    at = index if level == 1 else "j"
    name = var(response.name)
    latent = name if response.kind == NORMAL else rf"{name}^{{*}}"
    coefficient = rf"\gamma^{{({level},{k})}}"
    parts = [rf"{coefficient}_{{{p}}}\,{x}_{{{at}}}" for p, x in enumerate(columns(response.predictors, schema))]
    effect = [rf"u_{{{k}j}}"] if level == 1 and spec.upper is not None else []
    error = rf"e_{{{k}{at}}}" if level == 1 else rf"v_{{{k}j}}"
    lines = _wrapped(rf"{latent}_{{{at}}}", [*parts, *effect, error])
    if response.kind == BINARY:
        lines.append(rf"{name}_{{{at}}} &= 1 \iff {latent}_{{{at}}} > 0")
    elif response.kind == ORDERED:
        lines.append(rf"{name}_{{{at}}} &= c \iff \tau_c < {latent}_{{{at}}} \le \tau_{{c+1}}")
    elif response.kind == COUNT:
        lines.append(rf"{name}_{{{at}}} &= \lfloor \exp {latent}_{{{at}}} \rfloor")
    elif response.kind == SKEWED:
        lines.append(rf"{name}_{{{at}}} &= {response.low:g} + \exp {latent}_{{{at}}}")
    elif response.kind == BOUNDED:
        wide = response.high - response.low
        lines.append(rf"{name}_{{{at}}} &= {response.low:g} + {wide:g} / (1 + \exp(-{latent}_{{{at}}}))")
    elif response.kind != NORMAL:
        last = response.n_categories - 1
        text = rf"\text{{the largest of }} {last} \text{{ latents, if positive; else category }} {last}"
        lines.append(rf"{name}_{{{at}}} &= {text}")
    return lines


def _means(spec: Spec) -> list[str]:
    """Group means that are made of what is drawn."""
    return [
        rf"{var(name)}_{{j}} &= \frac{{1}}{{n_j}} \sum_i {var(of)}_{{ij}} \quad \text{{of the values drawn}}"
        for name, of in spec.more.means
    ]


def _not_random(spec: Spec, index: str, schema: Schema) -> list[str]:
    """What is assumed of values that are not missing at random."""
    apart, lines = spec.more.not_random, []
    if apart.kind == PATTERN:
        names = ", ".join(rf"{var(name)}" for name in apart.shifted)
        lines.append(rf"\text{{missing values of }} {names} &: \text{{ their Normals moved by }} \delta \text{{ sd}}")
    for k, each in enumerate(apart.selected if apart.kind == SELECTION else ()):
        own = [rf"{x}_{{{index}}}" for x in columns((*each.x, Term(each.name)), schema)]
        parts = [rf"\alpha^{{({k + 1})}}_{{{p}}}\,{x}" for p, x in enumerate(own)]
        head = rf"\Phi^{{-1}} P({var(each.name)}_{{{index}}} \text{{ missing}})"
        lines += _wrapped(head, parts)
        lines.append(rf"\alpha^{{({k + 1})}} &\sim \text{{N(0, 1) for each sd; intercept flat}}")
    return lines


def _priors(spec: Spec) -> str:
    said = []
    if spec.group is not None:
        flat = r"p(\Omega_{\mathrm{uint}}) \propto 1"
        said.append(
            flat if spec.prior_interest == UNIFORM else rf"\Omega_{{\mathrm{{uint}}}}: \text{{{spec.prior_interest}}}"
        )
    if spec.upper is not None:
        said.append(
            r"p(\Omega_u) \propto 1" if spec.prior_covariates == UNIFORM else r"\Omega_u: \text{Inverse Wishart}"
        )
    return "".join(rf",\quad {each}" for each in said)


def algorithm(spec: Spec) -> str:
    """One sweep of the sampler."""
    steps = [
        (
            r"Each row: latent Normals of observed categories; each missing value from its law given the row's other "
            r"covariates times $p(y_{ij} \mid \cdot)$ of the model of interest: a Normal draw with precision "
            r"$s_{ij}^2/\sigma^2 + 1/v$ where the predictor is linear in it with slope $s_{ij}$, a slice where it is a "
            r"polynomial, all categories enumerated where it is Binary or Ordered, Metropolis where it is Unordered"
        ),
        r"Coefficients of the incomplete variables' models",
    ]
    if spec.more.means:
        steps.append(
            r"(A value whose group mean is in the model: the same, over all rows of its group, as it moves them all)"
        )
    if spec.more.not_random.kind == SELECTION:
        steps.append(
            r"Selection models: latent Normals of being missing, truncated; their coefficients; each missing value's "
            r"law has their factor too"
        )
    if spec.level2:
        both = "of both models" if spec.link == "identity" else "of their own model"
        steps.append(rf"Missing level 2 values, once a group, with the group effects {both} integrated out")
    if spec.upper is not None:
        steps.append(r"Group effects of the incomplete variables; $\Omega_u$")
    steps.append(r"$\Omega_e$")
    if spec.link == "identity":
        steps.append(
            r"$\beta$ with $u^{(y)}$ integrated out, then $u^{(y)}$ given $\beta$; $\Omega_{\mathrm{uint}}$; $\sigma^2$"
        )
    else:
        steps.append(
            r"$\beta$ given $u^{(y)}$, and each $u^{(y)}_j$ given $\beta$: a Newton step with Normal noise, accepted "
            r"by Metropolis and Hastings (Gamerman, 1997); $\beta$ and $u^{(y)}$ shifted against one another; "
            r"$\Omega_{\mathrm{uint}}$" + (r"; $\alpha$ by slice sampling" if spec.family == NEGATIVE_BINOMIAL else "")
        )
    items = "\n".join(rf"\item {step}." for step in steps)
    note = r"Goldstein, Carpenter and Browne (2014), Journal of the Royal Statistical Society A 177(2), 553--564."
    return r"\begin{enumerate}" + "\n" + items + "\n" + r"\end{enumerate}" + "\n" + note + "\n"
