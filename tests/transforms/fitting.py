"""Drive learners as the executor does: measure parts, merge in some grouping, collect, learn."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl

from headrace.engines.cpu import CpuEngine
from headrace.engines.translation import TranslationEngine, untranslatable
from headrace.transforms.base import UNIT, Learner, Operator, Transform
from headrace.transforms.elements import parts
from headrace.transforms.table import TableFolder

ENGINE = CpuEngine()


def learned(step: Operator, frame: pl.DataFrame, cuts: Iterable[int] = ()) -> list[Transform]:
    """The fitted form of each part, from the frame cut at `cuts`, the last tables merged first."""
    fitted = []
    for part in parts(step, frame.schema):
        if isinstance(part, Transform):
            fitted.append(part)
            continue
        assert isinstance(part, Learner)
        bounds = [0, *cuts, frame.height]
        tables = [
            ENGINE.collect([part.measure(frame.slice(low, high - low).lazy(), ENGINE)], any_order=True)[0].lazy()
            for low, high in pairwise(bounds)
        ]
        while len(tables) > 1:
            tables = [*tables[:-2], ENGINE.collect([part.merge(tables[-2:])], any_order=True)[0].lazy()]
        fitted.append(part.learn(ENGINE.collect([part.merge(tables)])[0]))
    return fitted


def in_units(step: Operator, units: Sequence[Any], schema: pl.Schema) -> Transform:
    """The fitted form of a `by_unit` learner of one column, from the values of its units."""
    resolved = step.resolve(schema)
    assert isinstance(resolved, Learner)
    (column,) = schema
    tables = [
        resolved.measure(pl.LazyFrame({column: unit}, schema=schema), ENGINE).with_columns(
            pl.lit(n, pl.Int64).alias(UNIT)
        )
        for n, unit in enumerate(units)
    ]
    return resolved.learn(resolved.merge(tables).collect())


def applied(steps: Iterable[Transform], frame: pl.DataFrame) -> pl.DataFrame:
    lazy = frame.lazy()
    for step in steps:
        lazy = step.apply(lazy, ENGINE)
    return ENGINE.collect([lazy])[0]


def transformed(step: Operator, frame: pl.DataFrame, train: pl.DataFrame | None = None) -> pl.DataFrame:
    """Learn from `train` (the frame itself by default) and apply to the frame."""
    return applied(learned(step, frame if train is None else train), frame)


def saved_and_loaded(step: Operator) -> Any:
    """The step after a way through JSON, with its tables in files."""
    with tempfile.TemporaryDirectory() as folder:
        text = step.model_dump_json(context=TableFolder(Path(folder)))
        loaded = type(step).model_validate_json(text, context=TableFolder(Path(folder)))
        assert loaded == step
    return loaded


def gpu_gaps(step: Operator, frame: pl.DataFrame) -> tuple[list[str], set[str]]:
    """What of measure, merge and apply cudf-polars cannot run, and the kernels they use."""
    engine = TranslationEngine()
    gaps = []
    for part in parts(step, frame.schema):
        form: Operator = part
        if isinstance(part, Learner):
            measured = part.measure(frame.lazy(), engine)
            gaps += untranslatable(measured) + untranslatable(part.merge([measured, measured]))
            form = learned(part, frame)[0]
        assert isinstance(form, Transform)
        gaps += untranslatable(form.apply(frame.lazy(), engine))
    return gaps, set(engine.kernels)
