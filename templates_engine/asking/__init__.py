"""Asking: a template's questions, walked over the answers given so far.

In: a template, the answers as texts by key, the dataset's schema. Out: a Walk (questions, problems, and the spec once
all are answered). Neighbours: data.schema for columns, problems.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from templates_engine.faces import lazily

if TYPE_CHECKING:
    from templates_engine.asking.ask import Ask as Ask
    from templates_engine.asking.asked import ESTOPTIONS as ESTOPTIONS, Asked as Asked, Walk as Walk
    from templates_engine.asking.bare_walk import once as once
    from templates_engine.asking.columns import OTHER as OTHER, Columns as Columns, OneColumn as OneColumn
    from templates_engine.asking.exploring import (
        Clause as Clause,
        Exploration as Exploration,
        explore as explore,
        say as say,
    )
    from templates_engine.asking.mcmc_questions import (
        ACCEPTED as ACCEPTED,
        ACCEPTED_ALGORITHM as ACCEPTED_ALGORITHM,
        AFTER_ITERATIONS as AFTER_ITERATIONS,
        MOST_ITERATIONS as MOST_ITERATIONS,
        RENAMED as RENAMED,
        UNTIL_TARGETS as UNTIL_TARGETS,
        McmcOptions as McmcOptions,
        Starts as Starts,
        Stopping as Stopping,
        made_dataset as made_dataset,
        mcmc_options as mcmc_options,
        seed as seed,
    )
    from templates_engine.asking.questions import (
        Choice as Choice,
        Chosen as Chosen,
        Integer as Integer,
        Number as Number,
        Option as Option,
        TemplateBug as TemplateBug,
        Term as Term,
        Text as Text,
        YesNo as YesNo,
    )
    from templates_engine.asking.term_lists import items as items, quote as quote
    from templates_engine.asking.walking import rename as rename, walk as walk

__getattr__, __all__ = lazily(__name__, __file__)
