"""HoltWinters: exponential smoothing of one series or thousands, classical and robust, with forecasts.

Simple, double (Holt, 1957) and triple smoothing (Winters, 1960), additive and multiplicative, one season or several;
start values as R's HoltWinters makes them, or optimised; the robust variant of Gelper, Fried and Croux (2010).
"""

from __future__ import annotations

from typing import Any

from templates_engine.asking import Ask, Option
from templates_engine.data.schema import Column, Schema
from templates_engine.template import Template

from .checking import constant_problems
from .equations import recursion
from .models import Model
from .spec import Spec

LONGEST_PERIOD = 10_000
LONGEST_HORIZON = 1_000
_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?"

START_LABELS = {
    "decompose": "decompose: moving averages of the first two periods, as R's HoltWinters",
    "hyndman": "hyndman: the same, with fitted values from the first observation on",
    "regression": "regression: trend and seasonal dummies on the first periods",
    "backcast": "backcast: the recursion run backwards over the series",
    "optimal": "optimal: chosen together with the constants",
    "robust": "robust: repeated medians, for series with outliers",
}


class HoltWinters(Template):
    name = "HoltWinters"
    title = "Exponential smoothing and forecasts for seasonal series, with outliers treated honestly"
    heading = "Time series"
    tags = ("time series", "forecast", "robust")
    equation = "<< recursion >>"
    outputs = {
        "Coefficients": "smoothing constants, start values and last states; whether each was given or chosen",
        "Fit": "a row for each series: errors, information criteria, the worst series first",
        "Fitted": "observed and fitted values, residual, level, trend and season at each time",
        "Forecast": "h, time, point forecast and prediction interval",
        "ResidualDiagnostics": "mean, Durbin–Watson, runs test, Ljung–Box, normality, fences",
        "Outliers": "flagged values with their times, and what they were replaced by in the robust variant",
        "Accuracy": "forecast errors from rolling origins, beside the naive and the seasonal naive forecast",
        "Candidates": "what Automatic compared (Automatic only)",
        "SeasonTrends": "exponential trend of each season",
        "Verdicts": "what to think of the results, in sentences",
        "fitted, forecast": "datasets that join the list",
        "forecast.svg, components.svg, residuals.svg, seasons.svg": "pictures; of the worst series when there are many",
        "equation.tex, Methods": "the recursion that was run, and a paragraph for a paper",
    }

    def questions(self, ask: Ask) -> Spec:
        y, time, series = _data(ask)
        period = ask.text(
            "period",
            "Length of the season",
            pattern=r"\s*\d{1,9}\s*(,\s*\d{1,9}\s*)*",
            form="a whole number such as 12, or several with commas between them, such as 24,168",
            sample="12",
            help="Rows in one cycle: 12 for months, 4 for quarters, 2 for half-years. Several seasons at once have "
            "commas between them: 24,168 for hours with a season of the day and of the week. 1 for no season.",
        )
        method = ask.choice(
            "method",
            "Method",
            (
                Option("SES", "SES: simple smoothing, a level only"),
                Option("Holt", "Holt: double smoothing, level and trend"),
                Option("Holt-Winters", "Holt-Winters: triple smoothing, level, trend and season"),
                Option("Automatic", "Automatic: the best of these by AICc"),
            ),
            default="Holt-Winters",
            help="Automatic compares all that the series allows and shows the comparison; you may prefer to choose.",
        )
        damped, seasonal = _form(ask, y, series, method)
        with ask.section("Robustness and start"):
            robust, k = _robustness(ask)
            start = _start(ask, method, robust)
        with ask.section("Smoothing constants"):
            periods = self._periods(ask, period, method)
            alpha, beta, gamma, phi, outside = _constants(ask, method, damped, periods)
        with ask.section("Forecast"):
            longest = max(periods)
            horizon = ask.integer(
                "horizon",
                "Steps to forecast",
                min=1,
                max=LONGEST_HORIZON,
                default=10 if longest == 1 else min(2 * longest if len(periods) == 1 else longest, LONGEST_HORIZON),
                help="Counted from the last row of a series, in the steps of its times: 12 is a year of months.",
            )
            level = ask.number(
                "level",
                "Level of the prediction intervals, per cent",
                min=50,
                max=99.9,
                default=95,
                help="An interval of 95 holds 95 of 100 future values if the model is right. The picture always shows "
                "50, 80 and 95.",
            )
            seed = ask.integer(
                "seed",
                "Random seed",
                min=0,
                max=2**31 - 1,
                default=1,
                help="For intervals that are simulated (multiplicative seasons). The same seed gives the same numbers.",
            )
        return Spec(
            y, time, series, periods, method, damped, seasonal, robust, k, start, alpha, beta, gamma, phi, outside,
            horizon, level, seed,
        )  # fmt: skip

    def _periods(self, ask: Ask, text: str, method: str) -> tuple[int, ...]:
        """The period's numbers, with what is wrong with them told at the question. Faulty ones are passed on mended."""
        found = [int(word) for word in text.split(",")]
        if len(found) > 1 and 1 in found:
            ask.fault("period", "A period of 1 is no season; leave it out beside the others.")
        elif 0 in found:
            ask.fault("period", "A period of 0 is no season. The shortest season has 2 rows; 1 stands for no season.")
        elif max(found) > LONGEST_PERIOD:
            ask.fault("period", f"A period of {max(found):,} is too long; at most {LONGEST_PERIOD:,} are accepted.")
        elif len(set(found)) < len(found):
            ask.fault("period", "A period is given twice.")
        elif len(found) > 4:
            ask.fault("period", "At most four seasons at once.")
        elif found == [1] and method == "Holt-Winters":
            message = "Holt-Winters needs a season of at least 2 rows. Give its length, or choose Holt for a series without one."
            ask.fault("period", message)
        return tuple(sorted({min(max(p, 1), LONGEST_PERIOD) for p in found}))

    def equation_values(self, spec: Spec, schema: Schema) -> dict[str, Any]:
        return {"recursion": recursion(spec)}

    def check(self, spec: Spec, data: Any) -> list[Any]:
        from .checks import check

        return check(spec, data)

    def run(self, spec: Spec, data: Any, job: Any) -> Any:
        from .running import run

        return run(spec, data, job)

    def warm(self) -> None:
        from .running import warm

        warm()


def _observed(column: Column) -> bool:
    return column.kind in ("number", "whole", "binary")


def _data(ask: Ask) -> tuple[str, str, str]:
    with ask.section("Data"):
        y = ask.column(
            "y",
            "Series to smooth and forecast",
            where=_observed,
            why="Text, constant and wholly missing columns cannot be forecast.",
            help="The observed values, one row a time. Missing values are allowed.",
        )
        time = ask.column(
            "time",
            "Times",
            optional=True,
            text_ok=True,
            exclude=(y,),
            default="none",
            help="A column of dates (2019-03-31, 2019-03, 2019-Q1, 2019-H1, 2019-W05) or of numbers in equal steps. Rows "
            "are sorted by it; gaps become missing values. With none the rows are taken in their order.",
        )
        series = ask.column(
            "series",
            "Series identifier",
            optional=True,
            text_ok=True,
            exclude=(y, *([time] if time else [])),
            default="none",
            help="For several series in one long table: the column that says to which series a row belongs. Each is "
            "fitted by itself, with the same questions answered for all.",
        )
    return y, time, series


def _form(ask: Ask, y: str, series: str, method: str) -> tuple[bool, str]:
    damped, seasonal = False, ""
    if method in ("Holt", "Holt-Winters"):
        damped = ask.yes_no(
            "damped",
            "Let the trend die out?",
            default="No",
            help="A damped trend flattens with the horizon: each step ahead adds less by a factor φ between 0.8 and 0.98.",
        )
    if method == "Holt-Winters":
        low = ask.data[y].minimum
        barred = low is not None and low <= 0 and not series
        multiplicative = Option(
            "Multiplicative",
            "Multiplicative: swings that grow with the level",
            not barred,
            f"{y} has values of zero or less, and factors need positive values" if barred else "",
        )
        seasonal = str(
            ask.choice(
                "seasonal",
                "Kind of season",
                (Option("Additive", "Additive: swings of a constant size"), multiplicative),
                default="Additive",
                help="Look at the picture of the series: if its swings grow as its level grows, choose Multiplicative. "
                "Automatic compares the two.",
            )
        )
    return damped, seasonal


def _robustness(ask: Ask) -> tuple[bool, float]:
    robust = ask.yes_no(
        "robust",
        "Guard against outliers?",
        default="No",
        help="Yes runs the robust variant of Gelper, Fried and Croux (2010): a value far from its forecast moves level, "
        "trend and season no more than k scales' worth, and is listed with what replaced it.",
    )
    k = 2.0
    if robust:
        k = ask.number(
            "k",
            "Scales at which a value is cut",
            min=0.5,
            max=10,
            default=2,
            help="A value further from its forecast than k times the present scale counts as an outlier. 2 as in the "
            "paper; 3 flags fewer clean values.",
        )
    return robust, k


def _start(ask: Ask, method: str, robust: bool) -> str:
    if method == "Automatic":  # all that are compared must begin alike
        return "robust" if robust else "optimal"
    barred = "the robust criterion is too rough to choose start values by" if robust else ""
    return ask.choice(
        "start",
        "Start values",
        [Option(v, label, not (barred and v == "optimal"), barred) for v, label in START_LABELS.items()],
        default="robust" if robust else "decompose",
        help="Where level, trend and season begin. They matter most in short series and with small constants. With "
        "decompose the first period has no fitted values.",
    )


def _constants(
    ask: Ask, method: str, damped: bool, periods: tuple[int, ...]
) -> tuple[float | None, float | None, tuple[float, ...] | None, float | None, bool]:
    """The four constants, None where they are to be chosen, and whether values outside 0 to 1 are allowed."""
    alpha = beta = phi = gamma = None
    if method == "Automatic":
        return alpha, beta, gamma, phi, False
    seasonal = method == "Holt-Winters"
    model = Model(method != "SES", damped, "additive" if seasonal else "none", periods if seasonal else ())
    alpha = _constant(ask, "alpha", "Constant of the level, α")
    if method in ("Holt", "Holt-Winters"):
        beta = _constant(ask, "beta", "Constant of the trend, β")
    if method == "Holt-Winters":
        text = ask.text(
            "gamma",
            "Constant of the season, γ",
            pattern=rf"\s*([Aa][Uu][Tt][Oo]|{_NUMBER}(\s*,\s*{_NUMBER})*)\s*",
            form="auto, or a number from 0 to 1; with several periods one number for each, with commas between them",
            default="auto",
            help="auto chooses it with the others. At 1 the season is that of the last cycle alone; at 0 it never changes. "
            "As in R, the season is updated by the new level.",
        )
        if text.strip().casefold() != "auto":
            found = tuple(float(word) for word in text.split(","))
            if len(found) != len(periods):
                ask.fault("gamma", f"{len(periods)} periods need {len(periods)} constants of the season, and here are "
                          f"{len(found)}. Give one for each, or auto.")  # fmt: skip
            gamma = found
    if damped:
        phi = _constant(ask, "phi", "Damping of the trend, φ")
    return alpha, beta, gamma, phi, _outside(ask, model, alpha, beta, gamma, phi)


def _constant(ask: Ask, key: str, label: str) -> float | None:
    text = ask.text(
        key,
        label,
        pattern=rf"\s*([Aa][Uu][Tt][Oo]|{_NUMBER})\s*",
        form="auto, or a number from 0 to 1",
        default="auto",
        help={
            "alpha": "auto chooses it so that the squared one-step errors are smallest. Near 1 the level follows the last "
            "value, near 0 it hardly moves.",
            "beta": "auto chooses it with the others. Near 0 the trend hardly changes. In the article on crop insurance "
            "this constant is called γ.",
            "phi": "auto chooses it with the others, between 0.8 and 0.98.",
        }[key],
    )
    return None if text.strip().casefold() == "auto" else float(text)


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
