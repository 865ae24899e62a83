"""The questions about the smoothing constants: each a number or auto, and a word more where one is out of its range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from templates_engine.asking import Ask
from templates_engine.smoothing import Model, constant_problems

_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?"
_ONE = rf"\s*([Aa][Uu][Tt][Oo]|{_NUMBER})\s*"
_SEVERAL = rf"\s*([Aa][Uu][Tt][Oo]|{_NUMBER}(\s*,\s*{_NUMBER})*)\s*"
_FORM = "auto, or a number from 0 to 1"
_FORM_SEVERAL = f"{_FORM}; with several periods one number for each, with commas between them"


@dataclass(frozen=True)
class Given:
    """The constants that were given, None for those to be chosen; outside: values out of their range are meant."""

    alpha: float | None = None
    beta: float | None = None
    gamma: tuple[float, ...] | None = None
    phi: float | None = None
    outside: bool = False


def ask_constants(ask: Ask, method: str) -> dict[str, str]:
    """The texts of alpha, beta and gamma, as far as the method has them; nothing is looked at yet."""
    texts: dict[str, str] = {}
    if method == "Automatic":
        return texts
    texts["alpha"] = ask.text(
        "alpha",
        "Constant of the level, α",
        pattern=_ONE,
        form=_FORM,
        default="auto",
        help="auto chooses it so that the squared one-step errors are smallest. Near 1 the level follows the last "
        "value, near 0 it hardly moves.",
    )
    if method in ("Holt", "Holt-Winters"):
        texts["beta"] = ask.text(
            "beta",
            "Constant of the trend, β",
            pattern=_ONE,
            form=_FORM,
            default="auto",
            help="auto chooses it with the others. Near 0 the trend hardly changes. In the article on crop insurance "
            "this constant is called γ.",
        )
    if method == "Holt-Winters":
        texts["gamma"] = ask.text(
            "gamma",
            "Constant of the season, γ",
            pattern=_SEVERAL,
            form=_FORM_SEVERAL,
            default="auto",
            help="auto chooses it with the others. At 1 the season is that of the last cycle alone; at 0 it never "
            "changes. As in R, the season is updated by the new level.",
        )
    return texts


def read_constants(ask: Ask, texts: Mapping[str, str], method: str, damped: bool, periods: tuple[int, ...]) -> Given:
    """The numbers of the texts; asks for phi where the trend is damped, and about values out of their range."""
    if method == "Automatic":
        return Given()
    phi = None
    if damped:
        text = ask.text(
            "phi",
            "Damping of the trend, φ",
            pattern=_ONE,
            form=_FORM,
            default="auto",
            help="auto chooses it with the others, between 0.8 and 0.98.",
        )
        phi = _number(text)
    alpha = _number(texts["alpha"])
    beta = _number(texts["beta"]) if "beta" in texts else None
    gamma = None
    if "gamma" in texts and not _auto(texts["gamma"]):
        gamma = tuple(float(word) for word in texts["gamma"].split(","))
        if len(gamma) != len(periods):
            many = (
                f"{len(periods)} periods need {len(periods)} constants" if len(periods) > 1 else "One period needs one"
            )
            message = f"{many} of the season, and here are {len(gamma)}. Give one for each, or auto."
            ask.fault("gamma", message)
            return Given(alpha, beta, None, phi)
    seasonal = method == "Holt-Winters"
    model = Model(method != "SES", damped, "additive" if seasonal else "none", periods if seasonal else ())
    return Given(alpha, beta, gamma, phi, _outside(ask, model, alpha, beta, gamma, phi))


def _auto(text: str) -> bool:
    return text.strip().casefold() == "auto"


def _number(text: str) -> float | None:
    return None if _auto(text) else float(text)


def _outside(
    ask: Ask, model: Model, alpha: float | None, beta: float | None, gamma: tuple[float, ...] | None, phi: float | None
) -> bool:
    """Asks whether constants outside their region are meant; without that they are refused with the reason."""
    faults = constant_problems(model, alpha, beta, gamma, phi)
    if not any(fault.code == "inadmissible" for fault in faults):
        return False
    allowed = ask.yes_no(
        "outside",
        "Allow constants outside 0 to 1?",
        default="No",
        help="Inside, every past value has a weight that fades with its age. Outside, some weights are negative or "
        "grow, and forecasts can swing away from the data. Answer Yes only to repeat a published calculation.",
    )
    if not allowed:
        for fault in faults:
            more = "Give a number that is, or auto; to use it all the same, answer Yes to outside."
            ask.fault(fault.key, f"{fault.message} {more}", code=fault.code, nearest=fault.nearest)
    return allowed
