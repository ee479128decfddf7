"""One part of an operator, ready to be tried: resolved, with rows to try it on, fitted the way a run fits it."""

from __future__ import annotations

import importlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Final

import polars as pl

from headrace.engines.cpu import CpuEngine
from headrace.engines.engine import Engine
from headrace.schemas.errors import PipelineError
from headrace.transforms.base import UNIT, Join, Learner, Operator, Transform, to_plain
from headrace.transforms.elements import inside, parts
from headrace.transforms.registry import operator_from_plain
from headrace.transforms.table import Table, TableFolder

ENGINE: Final = CpuEngine()


@dataclass(frozen=True)
class Subject:
    """A resolved step and the frames of rows to try it on.

    Parameters
    ----------
    declared
        The operator as the user wrote it.
    step
        One of the independent steps that it falls into.
    frames
        Rows by a name for messages: ordinary ones first, then none, one, all null, edges.
    """

    declared: Operator
    step: Transform | Learner
    frames: Mapping[str, pl.DataFrame]

    @cached_property
    def rows(self) -> pl.DataFrame:
        """The ordinary rows."""
        return next(iter(self.frames.values()))

    @cached_property
    def long(self) -> tuple[pl.DataFrame, ...]:
        """The frames that can be cut in several ways; the ordinary rows, if there are no others."""
        return tuple(frame for frame in self.frames.values() if frame.height > 3) or (self.rows,)

    @cached_property
    def form(self) -> Transform:
        """What is applied: the step, or what it learned from the ordinary rows."""
        return fit(self.step, [self.rows])

    @cached_property
    def blank(self) -> Transform:
        """What is applied where there was no row to learn from."""
        return fit(self.step, [self.rows.clear()])

    def shown(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The columns of a frame that matter to the step, for messages."""
        needed = dict.fromkeys((*self.step.reads, *self.form.reads))
        return frame.select(c for c in needed if c in frame.columns) if needed else frame


def subjects(
    declared: Operator, frames: Mapping[str, pl.DataFrame], tables: Mapping[str, Table]
) -> tuple[Subject, ...]:
    """The parts of an operator on these rows; raises PipelineError where it does not fit their columns."""
    bound: Operator = declared.bind(tables) if isinstance(declared, Join) else declared
    found = []
    for part in parts(bound, next(iter(frames.values())).schema):
        if not isinstance(part, Transform | Learner):
            raise PipelineError(f"{type(part).__name__} is no Transform and no Learner")
        found.append(Subject(declared, part, frames))
    return tuple(found)


def measure(step: Learner, units: Sequence[pl.DataFrame], first: int, engine: Engine = ENGINE) -> pl.DataFrame:
    """What a task measures on its partition, a run of units that begins with unit `first`."""
    if not step.by_unit:
        return engine.collect([step.measure(pl.concat(units).lazy(), engine)])[0]
    tables = [
        step.measure(unit.lazy(), engine).with_columns(pl.lit(number, pl.Int64).alias(UNIT))
        for number, unit in enumerate(units, first)
    ]
    return engine.collect([step.merge(tables)])[0]


def fit(step: Operator, units: Sequence[pl.DataFrame], cuts: Sequence[int] = ()) -> Transform:
    """The step as it works on rows, learned from units that partitions begin at `cuts`."""
    if isinstance(step, Transform):
        return step
    assert isinstance(step, Learner)
    ends = [0, *cuts, len(units)]
    partials = [measure(step, units[a:b], a) for a, b in pairwise(ends) if b > a or len(ends) == 2]
    return step.learn(step.merge([p.lazy() for p in partials]).collect())


def applied(form: Transform, frame: pl.DataFrame) -> pl.DataFrame:
    """The rows after a step."""
    return ENGINE.collect([form.apply(frame.lazy(), ENGINE)])[0]


def saved(step: Operator, folder: Path, *, allow_nan: bool = False) -> str:
    """The step as JSON text, its tables' sums included; raises ValueError for NaN and infinities."""
    return json.dumps(to_plain(step, TableFolder(folder)), allow_nan=allow_nan)


def told_apart(*forms: Operator) -> bool:
    """Whether the saved forms differ in a byte."""
    with tempfile.TemporaryDirectory() as folder:
        return len({saved(form, Path(folder) / str(n), allow_nan=True) for n, form in enumerate(forms)}) > 1


def reread(step: Operator) -> Operator:
    """The step after a way through JSON, by its class's import path where it is not shipped."""
    with tempfile.TemporaryDirectory() as folder:
        text = saved(step, Path(folder))
        module = type(inside(step)).__module__
        loaded = operator_from_plain(json.loads(text), TableFolder(Path(folder)), allowed=(module,))
        for name in type(inside(step)).model_fields:  # tables are read while their files are there
            if isinstance(table := getattr(inside(loaded), name, None), Table):
                _ = table.frame
    return loaded


def importable(kind: type) -> bool:
    """Whether a class is found under its import path."""
    try:
        found: object = importlib.import_module(kind.__module__)
        for part in kind.__qualname__.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        return False
    return found is kind
