"""Example time series that come with the product. SIMULATED: no value was ever observed.

quarterly_sales    60 quarters with a growing season and three planted outliers, and the same without them
halfyear_insured   38 half-years of a count that grows exponentially, with two structural jumps
hourly_demand      six weeks of hours with a season of the day and one of the week
many_series        40 shops, 60 months each, in long form: shops that grow, shops with outliers, one with gaps
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
import numpy.typing as npt

from templates_engine.data.dataset import Dataset

NOTE = "Simulated data: made by a seeded generator. No value was observed anywhere."
OUTLIERS = {17: 1.6, 34: 0.5, 47: 1.5}  # quarter (from 0) -> factor, in quarterly_sales

Array = npt.NDArray[np.float64]


@cache
def quarterly_sales() -> Dataset:
    """60 quarters from 2010: level 120 with a slope of 2.4, factors of the season, errors of 3 %, three outliers."""
    rng = np.random.Generator(np.random.PCG64(11))
    n = 60
    clean = _multiplicative(rng, n, 120.0, 2.4, np.array([0.82, 1.06, 0.94, 1.18]), 0.03)
    sales = clean.copy()
    for at, factor in OUTLIERS.items():
        sales[at] *= factor
    columns = {
        "quarter": np.array([f"{2010 + k // 4}-Q{k % 4 + 1}" for k in range(n)]),
        "t": np.arange(1.0, n + 1),
        "sales": np.round(sales, 1),
        "sales_clean": np.round(clean, 1),
    }
    planted = " and ".join(f"{columns['quarter'][at]} (times {factor:g})" for at, factor in OUTLIERS.items())
    titles = {
        "quarter": "Quarter",
        "t": "Number of the quarter",
        "sales": "Sales, with three planted outliers",
        "sales_clean": "Sales before the outliers were planted",
    }
    return _dataset("quarterly_sales", columns, titles, f"Outliers were planted at {planted}.")


@cache
def halfyear_insured() -> Dataset:
    """38 half-years from 2000, Kharif then Rabi: thousands insured, growth of 7 % a half-year, jumps at two places."""
    rng = np.random.Generator(np.random.PCG64(23))
    n = 38
    k = np.arange(n)
    level = 18.0 * np.exp(0.07 * k) * np.where(k >= 22, 1.25, 1.0) * np.where(k >= 32, 1.4, 1.0)
    insured = level * np.array([0.45, 1.55])[k % 2] * np.exp(0.1 * rng.standard_normal(n))
    columns = {
        "half": np.array([f"{2000 + i // 2}-H{i % 2 + 1}" for i in k]),
        "year": 2000.0 + k // 2,
        "season": np.array(["Kharif", "Rabi"])[k % 2],
        "insured": np.round(insured, 2),
    }
    titles = {
        "half": "Half-year",
        "year": "Year in which the season begins",
        "season": "Season",
        "insured": "Farmers insured, thousands",
    }
    return _dataset("halfyear_insured", columns, titles, "The level jumps in 2011 and in 2016.")


@cache
def hourly_demand() -> Dataset:
    """Six weeks of hours: additive seasons of the day and of the week, autocorrelated errors."""
    rng = np.random.Generator(np.random.PCG64(37))
    n = 6 * 168
    k = np.arange(n)
    day = 9.0 * np.sin(2 * np.pi * (k - 8) / 24) + 4.0 * np.sin(4 * np.pi * (k - 3) / 24)
    week = np.where((k // 24) % 7 >= 5, -7.0, 2.8)
    error = np.zeros(n)
    shocks = 1.2 * rng.standard_normal(n)
    for i in range(1, n):
        error[i] = 0.4 * error[i - 1] + shocks[i]
    columns = {"hour": np.arange(1.0, n + 1), "demand": np.round(60.0 + 0.004 * k + day + week + error, 2)}
    return _dataset("hourly_demand", columns, {"hour": "Hour", "demand": "Demand"}, "Periods: 24 hours and 168 hours.")


@cache
def many_series() -> Dataset:
    """40 shops by 60 months, long form. Shops 5, 15, 25 and 35 have an outlier each; shop 8 lacks four months."""
    rng = np.random.Generator(np.random.PCG64(53))
    shops, n = 40, 60
    season = 1.0 + 0.2 * np.sin(2 * np.pi * (np.arange(12) - 2) / 12)
    season[11] += 0.25
    season /= season.mean()
    rows: list[Array] = []
    for shop in range(1, shops + 1):
        level, slope = float(rng.uniform(40, 400)), float(rng.uniform(-0.004, 0.015))
        strength = float(rng.uniform(0.3, 1.4))
        values = _multiplicative(rng, n, level, slope * level, 1.0 + strength * (season - 1.0), 0.05)
        if shop % 10 == 5:
            values[int(rng.integers(24, n - 2))] *= 2.5
        rows.append(np.round(values, 1))
    rows[7][[13, 14, 31, 45]] = np.nan
    month = np.array([f"{2019 + i // 12}-{i % 12 + 1:02d}" for i in range(n)])
    columns = {
        "shop": np.repeat(np.arange(1.0, shops + 1), n),
        "month": np.tile(month, shops),
        "sales": np.concatenate(rows),
    }
    titles = {"shop": "Shop", "month": "Month", "sales": "Sales"}
    return _dataset("many_series", columns, titles, "Shops 5, 15, 25 and 35 have one planted outlier each.")


def _multiplicative(rng: np.random.Generator, n: int, level: float, slope: float, season: Array, error: float) -> Array:
    """(n,) values from the innovations model with relative errors of sd `error` (alpha 0.3, beta 0.02, gamma 0.1)."""
    figure = season.copy()
    found = np.empty(n)
    shocks = error * rng.standard_normal(n)
    for i in range(n):
        at = i % len(season)
        found[i] = (level + slope) * figure[at] * (1 + shocks[i])
        level, slope = (level + slope) * (1 + 0.3 * shocks[i]), slope + 0.02 * (level + slope) * shocks[i]
        figure[at] *= 1 + 0.1 * shocks[i]
    return found


def _dataset(name: str, columns: Mapping[str, npt.ArrayLike], titles: Mapping[str, str], note: str) -> Dataset:
    return Dataset(
        name,
        {column: np.asarray(values) for column, values in columns.items()},
        titles={column: f"{title} (simulated)" for column, title in titles.items()},
        notes=(NOTE, note),
    )
