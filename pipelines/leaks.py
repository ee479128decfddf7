"""Whether a feature is made of the target: such a pipeline would publish the label as a feature."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from headrace.engines.engine import Engine
from headrace.pipelines.asked import asked
from headrace.transforms.base import Learner, Transform, Window, describe
from headrace.transforms.columns import Columns
from headrace.transforms.groups import GroupStats
from headrace.transforms.target_encoded import TargetEncoded, TargetLeftOut

Tainted = Mapping[str, str]
"""The columns that hold a row's own target in some form, and the step that made each of it; "" for the target."""


def after(
    tainted: Tainted, step: Transform | Learner, form: Transform, number: int, schema: pl.Schema, engine: Engine
) -> Tainted:
    """The tainted columns after a step.

    TargetEncode keeps a row's own target out of its encoding, also where it reads it to take it out of the sums
    (`leave_one_out`), and a Window looks at earlier rows, but for one that sees the row itself: those may read it. A
    category, a fold, an entity or an order that is made of the target gives it away all the same: which rows come
    before one then depends on its own target. What the target itself is made of is not known as such; leaving that out
    is up to the pipeline.
    """
    gone = {*form.writes, *form.drops}
    where = f"step {number} {describe(step)}"
    made = {name: where for name in form.writes if name in _made_of(tainted, step, form, schema, engine)}
    return {name: by for name, by in tainted.items() if name not in gone or not by} | made


def _made_of(
    tainted: Tainted, step: Transform | Learner, form: Transform, schema: pl.Schema, engine: Engine
) -> set[str]:
    if isinstance(step, Window) and not step.sees_itself:
        return set(form.writes) if tainted.keys() & {*step.entity, getattr(step, "order", None)} else set()
    if isinstance(form, TargetEncoded | TargetLeftOut):
        beside = {*form.columns, *(form.fold_on if isinstance(form, TargetEncoded) else ())}
        return set(form.writes) if tainted.keys() & beside else set()
    found: set[str] = set()
    if isinstance(step, GroupStats):  # a training row is part of its own group
        for column in set(step.of) & tainted.keys():
            found |= set(step.model_copy(update={"of": Columns(names=(column,))}).writes)
    if tainted.keys() & set(form.reads):
        for name in form.writes:
            if tainted.keys() & asked(schema, lambda frame, name=name: form.apply(frame, engine).select(name)):  # type: ignore[misc]
                found.add(name)
    return found
