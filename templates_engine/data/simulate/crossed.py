"""A simulated crossed example: pupils by the primary and the secondary school that they went to. No row is real.

attain = 5.5 + 1.5 verbal + 0.15 girl + u1[primary] + u2[second] + e,  variances 0.35, 0.15 and 4
         and the slope of verbal varies between primary schools with variance 0.05
passed   1 when a logistic variable with the same schools behind it is above 0
absences a count over `days` school days, Poisson with extra variation between pupils
"""

from __future__ import annotations

import numpy as np

from templates_engine.data.dataset import Dataset

N_PUPILS, N_PRIMARY, N_SECOND = 1600, 80, 16
SEED = 2024
NOTE = "Simulated data: made by a seeded generator. No row is of a real pupil."

TITLES = {
    "pupil": "Pupil",
    "primary": "Primary school",
    "second": "Secondary school",
    "district": "District of the primary school",
    "cons": "Constant (1)",
    "attain": "Attainment at 16",
    "verbal": "Verbal reasoning at 11, centred, in units of 10",
    "girl": "Girl",
    "passed": "Passed the leaving examination",
    "absences": "Days absent",
    "days": "School days on the register",
    "logdays": "Logarithm of days",
}


def crossed_schools() -> Dataset:
    """1,600 pupils, 80 primary and 16 secondary schools; most of a primary school's pupils go to one of two."""
    rng = np.random.Generator(np.random.PCG64(SEED))
    primary = rng.choice(N_PRIMARY, N_PUPILS, p=rng.dirichlet(np.full(N_PRIMARY, 4.0)))
    district = np.arange(N_PRIMARY) // 8
    near = np.column_stack([np.arange(N_PRIMARY) // 5, rng.integers(0, N_SECOND, N_PRIMARY)])
    choice = rng.choice(3, N_PUPILS, p=[0.62, 0.26, 0.12])
    second = np.where(
        choice == 2, rng.integers(0, N_SECOND, N_PUPILS), near[primary, np.minimum(choice, 1)]
    )  # fmt: skip
    verbal = np.round(rng.normal(0, 1.2, N_PUPILS) + rng.normal(0, 0.4, N_PRIMARY)[primary], 1)
    girl = (rng.random(N_PUPILS) < 0.5).astype(float)
    schools = rng.normal(0, 0.35**0.5, N_PRIMARY)[primary] + rng.normal(0, 0.15**0.5, N_SECOND)[second]
    slope = 1.5 + rng.normal(0, 0.05**0.5, N_PRIMARY)[primary]
    attain = 5.5 + slope * verbal + 0.15 * girl + schools + rng.normal(0, 2, N_PUPILS)
    passed = 0.4 + 0.6 * verbal + 0.3 * girl + 0.8 * schools + rng.logistic(size=N_PUPILS) > 0
    days = rng.integers(140, 191, N_PUPILS).astype(float)
    rate = np.exp(-3.2 - 0.1 * verbal - 0.4 * schools + rng.normal(0, 0.4, N_PUPILS))
    columns = {
        "pupil": np.arange(1.0, N_PUPILS + 1),
        "primary": primary + 1.0,
        "second": second + 1.0,
        "district": district[primary] + 1.0,
        "cons": np.ones(N_PUPILS),
        "attain": np.round(attain, 2),
        "verbal": verbal,
        "girl": girl,
        "passed": passed.astype(float),
        "absences": rng.poisson(rate * days).astype(float),
        "days": days,
        "logdays": np.log(days),
    }
    titles = {column: f"{title} (simulated)" for column, title in TITLES.items()}
    labels = {"girl": {"0": "boy", "1": "girl"}, "passed": {"0": "no", "1": "yes"}}
    return Dataset("crossed_schools", columns, labels, titles, (NOTE,))


GAPS_SEED = 4059
GAPS_TITLES = {
    "verbalmiss": "Verbal reasoning at 11, with missing values",
    "girlmiss": "Girl, with missing values",
    "social": "Social class of the family: 0 low, 1 middle, 2 high",
    "socialmiss": "Social class, with missing values",
    "church": "Church primary school",
    "churchmiss": "Church primary school, missing for some schools",
}


def crossed_gaps() -> Dataset:
    """crossed_schools with values deleted at random given attainment, and of a variable of the primary schools."""
    pupils = crossed_schools()
    rng = np.random.Generator(np.random.PCG64(GAPS_SEED))
    primary = pupils["primary"].astype(int) - 1
    attain, verbal = pupils["attain"], pupils["verbal"]
    latent = 0.4 * verbal + rng.normal(0, 0.4, N_PRIMARY)[primary] + rng.normal(size=N_PUPILS)
    social = np.digitize(latent, [-0.5, 0.7]).astype(float)
    means = np.bincount(primary, attain) / np.bincount(primary)
    church = (means - means.mean() + rng.normal(0, 0.8, N_PRIMARY) > 0).astype(float)
    low = 1 / (1 + np.exp(1.4 + 0.35 * (attain - attain.mean())))

    def holed(values: np.ndarray, chance: np.ndarray | float) -> np.ndarray:
        return np.where(rng.random(len(values)) < chance, np.nan, values)

    unknown = rng.random(N_PRIMARY) < 0.15
    columns = {
        "verbalmiss": holed(verbal, low),
        "girlmiss": holed(pupils["girl"], 0.1),
        "social": social,
        "socialmiss": holed(social, low),
        "church": church[primary],
        "churchmiss": np.where(unknown, np.nan, church)[primary],
    }
    kept = {name: pupils[name] for name in pupils.names} | columns
    titles = TITLES | GAPS_TITLES
    labels = {"girl": {"0": "boy", "1": "girl"}, "girlmiss": {"0": "boy", "1": "girl"}}
    said = {column: f"{title} (simulated)" for column, title in titles.items()}
    return Dataset("crossed_gaps", kept, labels, said, (NOTE,))
