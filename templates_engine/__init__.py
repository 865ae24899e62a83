"""What a template's author needs: `from templates_engine import Ask, Job, Result, Table, Template, …`.

A template is one class (Template) whose questions are one method over `ask` (Ask) and whose run gets its spec, the
dataset (Dataset) and a job (Job), and gives a Result. What the user has to mend is a Problem. docs/adding-a-template.md
leads through one. Families of models have rooms of their own below: regression, imputation, smoothing, sampling, data,
figures, each with a face like this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from templates_engine.faces import lazily

if TYPE_CHECKING:
    from templates_engine.asking import (
        Ask as Ask,
        McmcOptions as McmcOptions,
        Option as Option,
        TemplateBug as TemplateBug,
        Term as Term,
        mcmc_options as mcmc_options,
    )
    from templates_engine.data import Column as Column, Dataset as Dataset, Schema as Schema
    from templates_engine.outputs import (
        HEADS as HEADS,
        VERDICTS as VERDICTS,
        Beside as Beside,
        Cell as Cell,
        Curve as Curve,
        Draws as Draws,
        Head as Head,
        Mend as Mend,
        Output as Output,
        Result as Result,
        Table as Table,
        table_from as table_from,
    )
    from templates_engine.problems import Problem as Problem, Refused as Refused
    from templates_engine.running import Job as Job, lengths as lengths, summaries as summaries
    from templates_engine.sampling import (
        Live as Live,
        Progress as Progress,
        Saved as Saved,
        saving as saving,
        streams as streams,
    )
    from templates_engine.template import Example as Example, Lead as Lead, Template as Template

__getattr__, __all__ = lazily(__name__, __file__)
