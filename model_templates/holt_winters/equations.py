"""The recursion as LaTeX: the form that the answers (or the automatic choice) come to, and the constants used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from templates_engine.manual import var

from .spec import Spec


def recursion(spec: Spec) -> str:
    """The equations for a spec, before anything is run."""
    if spec.method == "Automatic":
        return _candidates(spec)
    seasonal = spec.seasonal.lower() if spec.seasonal else "none"
    periods = spec.periods if spec.method == "Holt-Winters" else ()
    return form(spec, spec.trend, spec.damped, seasonal, periods, spec.given)


def _candidates(spec: Spec) -> str:
    """What Automatic compares, as general equations."""
    y = rf"{var(spec.y)}_t"
    parts = [
        rf"{y} &\approx \hat{{y}}_{{t \mid t-1}} = f(\ell_{{t-1}}, b_{{t-1}}, s_{{t-m}}), \\",
        r"f &\in \{\ell,\ \ell + b,\ \ell + \phi b,",
    ]
    if spec.periods != (1,):
        parts[-1] += r" \\"
        parts.append(r"&\quad\ \ell + b + s,\ \ell + \phi b + s, \\")
        parts.append(r"&\quad\ (\ell + b)\,s,\ (\ell + \phi b)\,s\}, \\")
        parts.append(rf"m &= {_join(spec.periods)}, \quad \text{{smallest AICc}}")
    else:
        parts[-1] += r"\}, \quad \text{smallest AICc}"
    return "\n".join(parts)


def form(
    spec: Spec, trend: bool, damped: bool, seasonal: str, periods: Sequence[int], constants: Mapping[str, float]
) -> str:
    """The forecast equation, the updates and the h-step forecast; constants known are set out below.

    seasonal: "none", "additive" or "multiplicative".
    """
    phi = r"\phi " if damped else ""
    base = r"\ell_{t-1}" + (f" + {phi}b_{{t-1}}" if trend else "")
    bracket = f"({base})" if trend else base
    several = len(periods) > 1
    names = [f"s^{{({m})}}" if several else "s" for m in periods]
    behind = [f"{s}_{{t-{m}}}" for s, m in zip(names, periods, strict=True)]
    seen = rf"{var(spec.y)}_t"
    used = r"y^*_t" if spec.robust else seen
    mult = seasonal == "multiplicative"
    product = r"\,".join(behind)
    if not periods:
        forecast, free = base, used
    elif mult:
        forecast, free = rf"{bracket}\,{product}", rf"{used} / {_grouped(product, several)}"
    else:
        forecast = base + " + " + " + ".join(behind)
        free = f"({used} - " + " - ".join(behind) + ")"
    lines = [rf"\hat{{y}}_t &= {forecast}"]
    if spec.robust:
        lines += _cleaning(seen, mult)
    before = bracket if trend else rf"\,{base}"
    lines.append(rf"\ell_t &= \alpha\,{free} + (1 - \alpha){before}")
    if trend:
        lines.append(rf"b_t &= \beta(\ell_t - \ell_{{t-1}}) + (1 - \beta){phi}b_{{t-1}}")
    for k, (name, last) in enumerate(zip(names, behind, strict=True)):
        gamma = rf"\gamma_{{{periods[k]}}}" if several else r"\gamma"
        others = [other for j, other in enumerate(behind) if j != k]
        if mult and spec.robust:  # the ETS form: the forecast of the level stands where the new level does above
            under = r"\,".join([bracket, *others])
            update = rf"{used} / {_grouped(under, bool(others) or not trend)}"
            lines.append(rf"{name}_t &= {last} + (1 - \alpha){gamma}\,\bigl({update} - {last}\bigr)")
            continue
        if mult:
            under = r"\,".join([r"\ell_t", *others])
            update = rf"{used} / {_grouped(under, bool(others))}"
        else:
            update = f"({used} - " + " - ".join([r"\ell_t", *others]) + ")"
        lines.append(rf"{name}_t &= {gamma}\,{update} + (1 - {gamma})\,{last}")
    lines.append(_ahead(trend, damped, mult, names, periods))
    if constants:
        lines += _values(constants)
    return " \\\\\n".join(lines)


def _cleaning(seen: str, relative: bool) -> list[str]:
    """The pre-cleaning of Gelper, Fried and Croux (2010), equations 9 to 12."""
    error = rf"({seen} - \hat{{y}}_t) / \hat{{y}}_t" if relative else rf"{seen} - \hat{{y}}_t"
    cleaned = (
        r"\hat{y}_t\,\bigl(1 + \sigma_t\,\psi_k(e_t / \sigma_t)\bigr)"
        if relative
        else r"\hat{y}_t + \sigma_t\,\psi_k(e_t / \sigma_t)"
    )
    return [
        rf"e_t &= {error}",
        r"\sigma_t^2 &= \lambda\,\rho_k(e_t / \sigma_{t-1})\,\sigma_{t-1}^2 + (1 - \lambda)\,\sigma_{t-1}^2",
        rf"y^*_t &= {cleaned}, \quad \psi_k(x) = \max(-k, \min(k, x))",
    ]


def _ahead(trend: bool, damped: bool, mult: bool, names: Sequence[str], periods: Sequence[int]) -> str:
    base = r"\ell_t"
    if trend:
        base += r" + (\phi + \dots + \phi^h)\,b_t" if damped else r" + h\,b_t"
    seasons = [rf"{s}_{{t+h-{m}\lceil h/{m}\rceil}}" for s, m in zip(names, periods, strict=True)]
    if not seasons:
        right = base
    elif mult:
        right = (f"({base})" if trend else base) + r"\," + r"\,".join(seasons)
    else:
        right = " + ".join([base, *seasons])
    return rf"\hat{{y}}_{{t+h \mid t}} &= {right}"


def _values(constants: Mapping[str, float]) -> list[str]:
    """The constants, two a line."""
    said = [f"{_symbol(name)} = {_number(value)}" for name, value in constants.items()]
    return ["&" + r",\quad ".join(said[k : k + 2]) for k in range(0, len(said), 2)]


def _symbol(name: str) -> str:
    stem, _, index = name.partition("_")
    return rf"\{stem}" + (f"_{{{index}}}" if index else "")


def _number(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".") if abs(value) >= 0.001 or value == 0 else f"{value:.3g}"


def _grouped(product: str, several: bool) -> str:
    return f"({product})" if several else product


def _join(periods: Sequence[int]) -> str:
    return r",\ ".join(str(p) for p in periods)
