"""Datasets: columns with kinds and labels, read from files, written, described, turned into design matrices.

In: files and texts of many kinds. Out: Dataset (columns as arrays) and Schema (what questions see). Neighbours: none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from templates_engine.faces import lazily

if TYPE_CHECKING:
    from templates_engine.data import (
        dataset as dataset,
        expressions as expressions,
        folders as folders,
        readers as readers,
    )
    from templates_engine.data.dataset import (
        Dataset as Dataset,
        Images as Images,
        Values as Values,
        code_text as code_text,
        missing as missing,
    )
    from templates_engine.data.describing import (
        QUARTILES as QUARTILES,
        SKEWNESS as SKEWNESS,
        SUMMARY as SUMMARY,
        correlation as correlation,
        levels as levels,
        patterns_table as patterns_table,
        summary as summary,
    )
    from templates_engine.data.design_matrix import (
        Design as Design,
        collinear as collinear,
        design as design,
        first_in_group as first_in_group,
        levels_of as levels_of,
        varies_within as varies_within,
    )
    from templates_engine.data.expressions import (
        ExpressionError as ExpressionError,
        Node as Node,
        columns_of as columns_of,
        read as read,
    )
    from templates_engine.data.gaps import missing_patterns as missing_patterns
    from templates_engine.data.intercept import (
        CONS as CONS,
        ones as ones,
        schema_with_intercept as schema_with_intercept,
        with_intercept as with_intercept,
    )
    from templates_engine.data.names import unique as unique
    from templates_engine.data.schema import Column as Column, Schema as Schema
    from templates_engine.data.spans import no_intercept as no_intercept, spans_ones as spans_ones
    from templates_engine.data.working_out import told as told, work_out as work_out
    from templates_engine.data.writers import write as write

__getattr__, __all__ = lazily(__name__, __file__)
