"""The example data that come with the product: SIMULATED, to the published description of the file "tutmiss".

    tutmiss        4059 pupils in 65 schools, an examination score, a reading test, and columns with deleted values
    tutmiss_lev2   the same schools, one row each

No row is of a real pupil. The published description (the missing-data guide's variable table, and the two-level
analyses of the examination data in the MLwiN and Stat-JR manuals) gives the counts, codes and ranges, and a model:

    normexam_ij = b0 + 0.56 standlrt_ij + 0.17 girl_ij + 0.18 boys' school_j + 0.16 girls' school_j + u_j + e_ij,
    var(u) = 0.086, var(e) = 0.563

which is what is simulated here; b0 centres normexam at 0. Schools differ in their mean reading score by an SD of 0.31.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from templates_engine.data.dataset import Dataset, Values
from templates_engine.data.design_matrix import first_in_group
from templates_engine.data.simulate.breeding import breeding, breeding_wide
from templates_engine.data.simulate.crossed import crossed_gaps, crossed_schools
from templates_engine.data.simulate.fundus import fundus_clinic, fundus_discs
from templates_engine.data.simulate.series import halfyear_insured, hourly_demand, many_series, quarterly_sales

SEED = 1382  # among the first 2000 the one whose ranges are nearest to the published ones
N_PUPILS, N_SCHOOLS = 4059, 65
LARGEST, SMALLEST = 198, 2
N_MIXED, N_BOYS, N_GIRLS = 35, 10, 20
NO_GENDER_PUPILS = 439  # in three mixed, one boys' and three girls' schools
NO_AVERAGE_PUPILS = 431  # in seven other schools
NO_READING_PUPILS, NO_GIRL_PUPILS = 400, 435
BETA_READING, BETA_GIRL, BETA_BOYS_SCHOOL, BETA_GIRLS_SCHOOL = 0.56, 0.17, 0.18, 0.16
VAR_SCHOOL, VAR_PUPIL = 0.086, 0.563
SCHOOL_MEAN_SD, SCHOOL_MEAN_RANGE = 0.31, (-0.76, 0.64)
PUPIL_SD, PUPIL_RANGE = 0.98, (-2.55, 2.55)  # about the school's mean; scores then lie in about -3 to 3 with SD 1
BAND_SHARES = (0.29, 0.867)  # top quarter by the national norm: 29 % here; bottom: 13 %

TITLES = {
    "school": "School",
    "student": "Pupil's number within school",
    "normexam": "Examination score at 16, standardised",
    "cons": "Constant (1)",
    "standlrt": "Reading test at 11, standardised",
    "girl": "Girl",
    "schgend": "School's gender",
    "avslrt": "School's average of standlrt",
    "schav": "School's band of average reading",
    "vrband": "Pupil's verbal reasoning band",
    "schgendmiss": "School's gender, with missing values",
    "avslrtmiss": "School's average of standlrt, with missing values",
    "standlrtmiss": "Reading test, with missing values",
    "girlmiss": "Girl, with missing values",
    "nonmixedmiss": "Single-sex school, with missing values",
}
_SEX = {"0": "boy", "1": "girl"}
_GENDER = {"0": "mixed", "1": "boys'", "2": "girls'"}
LABELS = {
    "girl": _SEX,
    "girlmiss": _SEX,
    "schgend": {"1": "mixed", "2": "boys'", "3": "girls'"},
    "schgendmiss": _GENDER,
    "nonmixedmiss": {"0": "mixed", "1": "single sex"},
    "schav": {"1": "bottom 25%", "2": "middle 50%", "3": "top 25%"},
    "vrband": {"1": "top 25%", "2": "middle 50%", "3": "bottom 25%"},
}
NOTE = (
    "Simulated data: made by a seeded generator to the published description of the tutmiss data. "
    "No row is of a real pupil or school."
)


@dataclass(frozen=True)
class Supplied:
    """A dataset that comes with the product; calling it makes the dataset."""

    description: str
    make: Callable[[], Dataset]

    def __call__(self) -> Dataset:
        return self.make()


@cache
def tutmiss() -> Dataset:
    """4059 simulated pupils in 65 schools; columns, codes, ranges and missing counts as published."""
    rng = np.random.Generator(np.random.PCG64(SEED))
    gender = rng.permutation(np.repeat([1, 2, 3], [N_MIXED, N_BOYS, N_GIRLS]))
    no_gender, no_average = _schools_with_gaps(rng, gender)
    sizes = _sizes(rng, no_gender, no_average)
    school = np.repeat(np.arange(N_SCHOOLS), sizes)
    pupil = np.arange(N_PUPILS) - np.repeat(np.cumsum(sizes) - sizes, sizes)

    girl = np.where(gender[school] == 1, rng.random(N_PUPILS) < 0.49, gender[school] == 3).astype(np.float64)
    standlrt = np.round(_reading(rng, school, sizes), 6)
    avslrt = np.round(np.bincount(school, standlrt) / sizes, 6)
    fixed = (
        BETA_READING * standlrt
        + BETA_GIRL * girl
        + BETA_BOYS_SCHOOL * (gender[school] == 2)
        + BETA_GIRLS_SCHOOL * (gender[school] == 3)
    )
    u = rng.normal(0.0, np.sqrt(VAR_SCHOOL), N_SCHOOLS)
    normexam = fixed - fixed.mean() + u[school] + rng.normal(0.0, np.sqrt(VAR_PUPIL), N_PUPILS)
    talent = 0.8 * standlrt + 0.6 * rng.normal(size=N_PUPILS)  # verbal reasoning: correlation 0.8 with reading
    top, bottom = np.quantile(talent, [1 - BAND_SHARES[0], 1 - BAND_SHARES[1]])
    vrband = np.select([talent > top, talent < bottom], [1, 3], 2)
    low, high = np.quantile(avslrt, [0.25, 0.75])
    schav = np.select([avslrt < low, avslrt > high], [1, 3], 2)

    gender_known, average_known = np.ones(N_SCHOOLS, bool), np.ones(N_SCHOOLS, bool)
    gender_known[no_gender], average_known[no_average] = False, False
    columns: dict[str, npt.ArrayLike] = {
        "school": school + 1,
        "student": pupil + 1,
        "normexam": np.round(normexam, 6),
        "cons": np.ones(N_PUPILS),
        "standlrt": standlrt,
        "girl": girl,
        "schgend": gender[school],
        "avslrt": avslrt[school],
        "schav": schav[school],
        "vrband": vrband,
        "schgendmiss": np.where(gender_known, gender - 1, np.nan)[school],
        "avslrtmiss": np.where(average_known, avslrt, np.nan)[school],
        "standlrtmiss": _deleted(rng, standlrt, NO_READING_PUPILS),
        "girlmiss": _deleted(rng, girl, NO_GIRL_PUPILS),
        "nonmixedmiss": np.where(gender_known, gender > 1, np.nan)[school],
    }
    return _dataset("tutmiss", columns, {})


@cache
def tutmiss_lev2() -> Dataset:
    """The 65 schools of the simulated tutmiss, one row each.

    As in the published file, the complete columns schgend and schav are coded from 0 by how common a code is, unlike
    schgendmiss, which is coded as in tutmiss; the value labels tell.
    """
    pupils = tutmiss()
    codes, _ = pupils.groups("school")
    columns: dict[str, npt.ArrayLike] = {}
    labels: dict[str, dict[str, str]] = {}
    for name in ("school", "cons", "schgend", "avslrt", "schav", "schgendmiss", "avslrtmiss", "nonmixedmiss"):
        values: Values = first_in_group(codes, pupils[name])
        if name in ("schgend", "schav"):
            found, counts = np.unique(values, return_counts=True)
            by_size = found[np.lexsort((found, -counts))]
            labels[name] = {str(i): LABELS[name][str(int(code))] for i, code in enumerate(by_size)}
            values = (values[:, None] == by_size[None, :]).argmax(axis=1)
        columns[name] = values
    return _dataset("tutmiss_lev2", columns, labels)


def _dataset(name: str, columns: dict[str, npt.ArrayLike], labels: dict[str, dict[str, str]]) -> Dataset:
    arrays = {column: np.asarray(values, np.float64) for column, values in columns.items()}
    titles = {column: f"{TITLES[column]} (simulated)" for column in columns}
    return Dataset(name, arrays, {**LABELS, **labels}, titles, (NOTE,))


def _schools_with_gaps(rng: np.random.Generator, gender: npt.NDArray[np.int64]) -> tuple[Values, Values]:
    """Seven schools without a gender (three mixed, one boys', three girls'), seven others without an average."""
    parts = [rng.choice(np.flatnonzero(gender == kind), n, replace=False) for kind, n in ((1, 3), (2, 1), (3, 3))]
    no_gender = np.concatenate(parts)
    return no_gender, rng.choice(np.setdiff1d(np.arange(N_SCHOOLS), no_gender), 7, replace=False)


def _sizes(rng: np.random.Generator, no_gender: Values, no_average: Values) -> npt.NDArray[np.int64]:
    """Pupils in each school: right in total and in the schools with gaps, the largest and smallest as published."""
    sizes = np.zeros(N_SCHOOLS, np.int64)
    others = np.setdiff1d(np.arange(N_SCHOOLS), np.concatenate([no_gender, no_average]))
    largest, smallest, rest = others[0], others[1], others[2:]
    sizes[largest], sizes[smallest] = LARGEST, SMALLEST
    left = N_PUPILS - NO_GENDER_PUPILS - NO_AVERAGE_PUPILS - LARGEST - SMALLEST
    for schools, total in ((no_gender, NO_GENDER_PUPILS), (no_average, NO_AVERAGE_PUPILS), (rest, left)):
        sizes[schools] = _shared_out(total, rng.uniform(0.2, 1.0, len(schools)))
    return sizes[_unordered(rng, sizes, no_gender, no_average)]


def _unordered(rng: np.random.Generator, sizes: Values, *kept: Values) -> Values:
    """A permutation of the schools that leaves those with gaps where they are."""
    order = np.arange(N_SCHOOLS)
    others = np.setdiff1d(order, np.concatenate(kept))
    order[others] = rng.permutation(others)
    return order


def _shared_out(total: int, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Whole numbers proportional to the weights, with this sum (largest remainders)."""
    exact = total * weights / weights.sum()
    shares = np.floor(exact).astype(np.int64)
    shares[np.argsort(shares - exact)[: total - shares.sum()]] += 1
    return shares


def _reading(rng: np.random.Generator, school: Values, sizes: Values) -> Values:
    """Reading scores with mean 0 and SD 1: schools' means of SD 0.31, pupils around them, in about -3 to 3."""
    means = _within(rng, SCHOOL_MEAN_SD, SCHOOL_MEAN_RANGE, N_SCHOOLS)
    means -= (means * sizes).sum() / N_PUPILS
    pupils = _within(rng, PUPIL_SD, PUPIL_RANGE, N_PUPILS)
    pupils -= (np.bincount(school, pupils) / sizes)[school]  # small schools would have averages out of range
    return np.asarray(means[school] + pupils)


def _within(rng: np.random.Generator, sd: float, limits: tuple[float, float], n: int) -> Values:
    """n draws from N(0, sd²) within the limits."""
    draws = rng.normal(0.0, sd, 2 * n)
    return draws[(draws > limits[0]) & (draws < limits[1])][:n]


def _deleted(rng: np.random.Generator, values: Values, n: int) -> Values:
    """The values with n cells deleted completely at random."""
    copy = values.copy()
    copy[rng.choice(len(values), n, replace=False)] = np.nan
    return copy


SUPPLIED: dict[str, Supplied] = {
    "tutmiss": Supplied("4059 simulated pupils in 65 schools, with missing values in both levels", tutmiss),
    "tutmiss_lev2": Supplied("The 65 simulated schools of tutmiss, one row each", tutmiss_lev2),
    "crossed_schools": Supplied("1600 simulated pupils by primary and secondary school, crossed", crossed_schools),
    "crossed_gaps": Supplied("The same simulated pupils with missing values, of primary schools too", crossed_gaps),
    "quarterly_sales": Supplied("60 simulated quarters of sales with three planted outliers", quarterly_sales),
    "halfyear_insured": Supplied("38 simulated half-years of insured farmers, growing exponentially", halfyear_insured),
    "hourly_demand": Supplied("Six simulated weeks of hourly demand, with seasons of the day and week", hourly_demand),
    "many_series": Supplied("40 simulated shops, 60 months each, in long form", many_series),
    "breeding": Supplied("60 simulated sires with offspring: weights, lambs weaned, ticks; long form", breeding),
    "breeding_wide": Supplied("100 simulated sires with two offspring side by side, wide form", breeding_wide),
    "fundus": Supplied("240 simulated fundus-like drawings of 120 subjects in two classes: images", fundus_discs),
    "fundus_clinic": Supplied("40 simulated drawings of 20 other subjects, as an external set: images", fundus_clinic),
}
