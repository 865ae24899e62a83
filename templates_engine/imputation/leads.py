"""Where the imputation templates lead: to 2LevelMissingOnePass. No numerics."""

from __future__ import annotations

from templates_engine.template import Lead

ONE_PASS = "2LevelMissingOnePass"
ONE_PASS_LEAD = Lead(
    "one-pass",
    ONE_PASS,
    f"Open {ONE_PASS} with these answers",
    "It estimates and imputes at once, which is right for interactions, powers and random slopes too.",
)
COMPARE_LEAD = Lead(
    "compare",
    ONE_PASS,
    "Three answers side by side",
    "Complete cases, multiple imputation and one pass from these answers, in one table and one figure.",
    always=True,
)
