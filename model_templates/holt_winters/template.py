"""HoltWinters: exponential smoothing of one series or thousands, classical and robust, with forecasts.

Simple, double (Holt, 1957) and triple smoothing (Winters, 1960), additive and multiplicative, one season or several;
start values as R's HoltWinters makes them, or optimised; the robust variant of Gelper, Fried and Croux (2010).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from templates_engine import VERDICTS, Column, Head, Mend, Output, Schema, Template
from templates_engine.asking import Ask, Option

from .constants import ask_constants, read_constants
from .equations import recursion
from .spec import Spec

LONGEST_PERIOD = 10_000
LONGEST_HORIZON = 1_000
MOST_DRAWN = 12  # series drawn by their names

START_LABELS = {
    "decompose": "decompose: moving averages of the first two periods, as R's HoltWinters",
    "hyndman": "hyndman: the same, with fitted values from the first observation on",
    "regression": "regression: trend and seasonal dummies on the first periods",
    "backcast": "backcast: the recursion run backwards over the series",
    "optimal": "optimal: chosen together with the constants",
    "robust": "robust: repeated medians, for series with outliers",
}


INTERVAL_LABELS = {
    "auto": "auto: by formula; simulated with normal errors for a multiplicative season of a single series",
    "formula": "formula: normal errors; for a multiplicative season an approximation",
    "normal": "normal: simulated with normal errors",
    "resample": "resample: simulated with the series' own residuals, drawn again",
}

HEADS = {
    "sse": Head("SSE", about="Sum of squared errors"),
    "mse": Head("MSE", about="Mean squared error"),
    "rmse": Head("RMSE", about="Root mean square error"),
    "mae": Head("MAE", about="Mean absolute error"),
    "mape": Head("MAPE", about="Mean absolute error, per cent of the value"),
    "mase": Head("MASE", about="Mean absolute error in units of that of the naive forecast"),
    "h": Head("h", about="Steps ahead"),
    "r2_log": Head("R²", about="Share of the variance of the log values"),
}


class HoltWinters(Template):
    name = "HoltWinters"
    title = "Exponential smoothing and forecasts for seasonal series, with outliers treated honestly"
    heading = "Time series"
    tags = ("time series", "forecast", "robust")
    equation = "<< recursion >>"
    outputs = (
        Output(
            "Coefficients",
            "smoothing constants, start values and last states; whether each was given or chosen",
            order=1,
            heads=HEADS,
        ),
        Output("Fit", "a row for each series: errors, information criteria, the worst series first", heads=HEADS),
        Output("Fitted", "observed and fitted values, residual, level, trend and season at each time", heads=HEADS),
        Output("Forecast", "h, time, point forecast and prediction interval", heads=HEADS),
        Output("ResidualDiagnostics", "mean, Durbin–Watson, runs test, Ljung–Box, normality, fences", heads=HEADS),
        Output(
            "Outliers",
            "flagged values with their times, and what they were replaced by in the robust variant",
            heads=HEADS,
        ),
        Output(
            "Accuracy",
            "forecast errors from rolling origins, beside the naive and the seasonal naive forecast",
            heads=HEADS,
        ),
        Output("Candidates", "what Automatic compared (Automatic only)", heads=HEADS),
        Output("SeasonTrends", "exponential trend of each season", heads=HEADS),
        Output(VERDICTS, "what to think of the results, in sentences"),
        Output("fitted", "the table as a dataset, in the list of datasets"),
        Output("forecast", "the forecasts as a dataset, in the list of datasets"),
        Output("<picture>.svg", "pictures; of the worst series when there are many"),
        Output("phases.svg", "two phases of the series on two axes, where a second phase is named"),
        Output("equation.tex", "the recursion that was run"),
        Output("Methods", "a paragraph for a paper"),
    )

    mends = (Mend("robust variant", "robust", "Try the robust variant", value="Yes", instead="No"),)

    def outputs_of(self, answers: Mapping[str, str]) -> Sequence[Output]:
        said = super().outputs_of(answers)
        if answers.get("series", "none") == "none":
            return said
        # Of many series a reader looks for the head of the list.
        return [replace(output, lead=1) if output.name == "Fit" else output for output in said]

    def questions(self, ask: Ask) -> Spec:
        # What can be asked together comes before anything that looks at its answers: each page asks as much as it can.
        y, time, series, period = _data(ask)
        with ask.section("Model"):
            method, robust = _method(ask)
            damped, seasonal = _form(ask, y, series, method)
            k, start = _robustness(ask, method, robust)
        periods = self._periods(ask, period, method)
        _once_each(ask, y, time, series)
        with ask.section("Smoothing constants"):
            texts = ask_constants(ask, method)
        with ask.section("Forecast"):
            horizon, level, intervals, estimated, seed, correct = _forecast(ask, periods)
        with ask.section("Pictures"):
            phase = _phase(ask)
            drawn = _drawn(ask) if series else ()
        with ask.section("Smoothing constants"):
            given = read_constants(ask, texts, method, damped, periods)
        return Spec(
            y, time, series, periods, method, damped, seasonal, robust, k, start, given.alpha, given.beta, given.gamma,
            given.phi, given.outside, horizon, level, seed, intervals, estimated, correct, drawn, phase,
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
            message = "Holt-Winters needs a season of at least 2 rows. Give its length, or choose Holt."
            ask.fault("period", message)
        return tuple(sorted({min(max(p, 1), LONGEST_PERIOD) for p in found}))

    def equation_values(self, spec: Spec, schema: Schema) -> dict[str, Any]:
        return {"recursion": recursion(spec)}

    def check(self, spec: Spec, data: Any) -> list[Any]:
        from model_templates.holt_winters.data_checks import check

        return check(spec, data)

    def run(self, spec: Spec, data: Any, job: Any) -> Any:
        from model_templates.holt_winters.run import run

        return run(spec, data, job)

    def warm(self) -> None:
        from model_templates.holt_winters.run import warm

        warm()


def _observed(column: Column) -> bool:
    return column.kind in ("number", "whole", "binary")


def _data(ask: Ask) -> tuple[str, str, str, str]:
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
            default="none",
            help="A column of dates (2019-03-31, 31.03.2019, 2019-03, 03/2019, Mar 2019, 2019-Q1, 2019-H1, 2019-W05) "
            "or of numbers in equal steps. Rows are sorted by it; gaps become missing values. With none the rows are "
            "taken in their order.",
        )
        series = ask.column(
            "series",
            "Series identifier",
            optional=True,
            text_ok=True,
            default="none",
            help="For several series in one long table: the column that says to which series a row belongs. Each is "
            "fitted by itself, with the same questions answered for all.",
        )
        period = ask.text(
            "period",
            "Length of the season",
            pattern=r"\s*\d{1,9}\s*(,\s*\d{1,9}\s*)*",
            form="a whole number such as 12, or several with commas between them, such as 24,168",
            sample="12",
            help="Rows in one cycle: 12 for months, 4 for quarters, 2 for half-years. Several seasons at once have "
            "commas between them: 24,168 for hours with a season of the day and of the week. 1 for no season.",
        )
    return y, time, series, period


def _once_each(ask: Ask, y: str, time: str, series: str) -> None:
    if time and time == y:
        ask.fault("time", f"{y} is already used as the series to forecast. Choose another column, or none.", column=y)
    if series and series in (y, time):
        ask.fault("series", f"{series} is already used above. Choose another column, or none.", column=series)


def _method(ask: Ask) -> tuple[str, bool]:
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
    robust = ask.yes_no(
        "robust",
        "Guard against outliers?",
        default="No",
        help="Yes runs the robust variant of Gelper, Fried and Croux (2010): a value far from its forecast moves "
        "level, trend and season no more than k scales' worth, and is listed with what replaced it.",
    )
    return method, robust


def _form(ask: Ask, y: str, series: str, method: str) -> tuple[bool, str]:
    damped, seasonal = False, ""
    if method in ("Holt", "Holt-Winters"):
        damped = ask.yes_no(
            "damped",
            "Let the trend die out?",
            default="No",
            help="A damped trend flattens with the horizon: each step ahead adds less, by a factor φ of 0.8 to 0.98.",
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
        seasonal = ask.choice(
            "seasonal",
            "Kind of season",
            (Option("Additive", "Additive: swings of a constant size"), multiplicative),
            default="Additive",
            help="Look at the picture of the series: if its swings grow as its level grows, choose Multiplicative. "
            "Automatic compares the two.",
        )
    return damped, seasonal


def _robustness(ask: Ask, method: str, robust: bool) -> tuple[float, str]:
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
    if method == "Automatic":  # all that are compared must begin alike
        return k, "robust" if robust else "optimal"
    barred = "the robust criterion is too rough to choose start values by" if robust else ""
    start = ask.choice(
        "start",
        "Start values",
        [Option(v, label, not (barred and v == "optimal"), barred) for v, label in START_LABELS.items()],
        default="robust" if robust else "decompose",
        help="Where level, trend and season begin. They matter most in short series and with small constants. With "
        "decompose the first period has no fitted values.",
    )
    return k, start


def _forecast(ask: Ask, periods: tuple[int, ...]) -> tuple[int, float, str, bool, int, bool]:
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
        help="An interval of 95 holds 95 of 100 future values if the model is right. The picture always shows 50, 80 "
        "and 95.",
    )
    intervals = ask.choice(
        "intervals",
        "How the intervals are made",
        [Option(value, label) for value, label in INTERVAL_LABELS.items()],
        default="auto",
        help="Those by formula and the normal ones suppose normal errors; resampled ones keep the shape that the "
        "residuals have, with its skewness and heavy tails.",
    )
    estimated = ask.yes_no(
        "estimated",
        "Allow for estimated constants?",
        default="Yes",
        help="Constants chosen from the series are uncertain, and so are the start values. Yes widens the intervals by "
        "that; No takes all as known, as R does, and gives intervals that are too narrow far ahead. Constants that you "
        "give are known; where all are given, and in the robust variant, the answer changes nothing.",
    )
    seed = ask.integer(
        "seed",
        "Random seed",
        min=0,
        max=2**31 - 1,
        default=1,
        help="For intervals that are simulated. The same seed gives the same numbers.",
    )
    correct = ask.yes_no(
        "correct",
        "Add the mean of the residuals to the forecasts?",
        default="No",
        help="A mean that is not zero says that forecasts one step ahead were too low or too high by it. Yes moves "
        "forecasts and intervals by the mean; the fitted values stay.",
    )
    return horizon, level, intervals, estimated, seed, correct


def _drawn(ask: Ask) -> tuple[str, ...]:
    text = ask.text(
        "draw",
        "Series to draw",
        pattern=r".{1,400}",
        form="worst, or names of series with commas between them",
        default="worst",
        help="The three worst series are always drawn. Name others here, as the column of identifiers writes them, at "
        f"most {MOST_DRAWN}.",
    )
    names = dict.fromkeys(word.strip() for word in text.split(",") if word.strip())
    found = tuple(name for name in names if name.casefold() != "worst")
    if len(found) > MOST_DRAWN:
        ask.fault("draw", f"{len(found)} series are named; at most {MOST_DRAWN} are drawn.")
    return found[:MOST_DRAWN]


def _phase(ask: Ask) -> str:
    word = ask.text(
        "phase",
        "A second phase begins at",
        pattern=r".{1,40}",
        form="none, or a time of the series as the data write it, such as 2009-H1",
        default="none",
        help="For a picture that lays a later part of the series over the earlier one, each on axes of its own, to "
        "see whether its pattern comes again at another size. With no column of times it is the number of a row.",
    )
    return "" if word.strip().casefold() == "none" else word.strip()
