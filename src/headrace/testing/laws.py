"""The laws of a step that computes rows from rows, and of its description. Those of learners stand in `learning`.

A law is a function of a `Subject` that gives the first way in which it is broken, None where it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from math import isfinite
from typing import Final

import polars as pl

from headrace.schemas.errors import HeadraceError
from headrace.schemas.names import SPLIT
from headrace.testing.compare import differing, first_difference, first_line, same_rows, same_values
from headrace.testing.report import Broken
from headrace.testing.subject import ENGINE, Subject, applied, fit, importable, reread
from headrace.transforms.base import Join, Learner, Window

NUMBER: Final = "__number"
"""The number of a row, carried through a step to see what becomes of the rows."""


def edges(subject: Subject) -> Broken | None:
    """Learn from every frame and apply to it: without a row, of nulls alone, with NaN and infinities."""
    for name, frame in subject.frames.items():
        for rows, how in ((frame.clear(), "learned from no row, "), (frame, "")):
            try:
                applied(fit(subject.step, [rows]), frame)
            except HeadraceError as problem:
                what = f"{how}refused the rows {name!r}, whose columns it had taken: {problem}"
            except Exception as problem:  # whatever an operator of a user's own raises is what is looked for
                what = f"{how}raised {type(problem).__name__} on the rows {name!r}: {first_line(problem)}"
            else:
                continue
            mend = "null, NaN, infinities and no rows at all need an answer; say in the docstring which"
            return Broken(what, mend, frame.select(c for c in subject.step.reads if c in frame.columns).head(8))
    return None


def schema(subject: Subject) -> Broken | None:
    """The result's columns and types are those that it gives without rows."""
    expected = subject.blank.apply(subject.rows.clear().lazy(), ENGINE).collect_schema()
    for name, frame in subject.frames.items():
        query = fit(subject.step, [frame]).apply(frame.lazy(), ENGINE)
        said, got = query.collect_schema(), ENGINE.collect([query])[0].schema
        for who, found in (("the query", said), ("the result", got)):
            if list(found.items()) != list(expected.items()):
                return Broken(
                    f"on the rows {name!r} {who} has {differing(found, expected)}, expected as without rows "
                    f"{differing(expected, found)}",
                    "types follow from the input's types and the fields alone: cast the result, give literals a type",
                    subject.shown(frame).head(3),
                )
    return None


_FIELDS: Final = (
    "fields are the whole of a step: give each a type that JSON can hold (a DataFrame as a "
    "headrace.transforms.table.Table), and leave none out of what is saved"
)


def json_round_trip(subject: Subject) -> Broken | None:
    """What is saved as JSON is equal to what is read back, unfitted and fitted."""
    learned = {name: fit(subject.step, [frame]) for name, frame in subject.frames.items()}
    for name, value in {"": subject.declared, "as resolved": subject.step, **learned}.items():
        kind = type(value)
        infinite = [(f, x) for f in kind.model_fields for x in _floats(getattr(value, f)) if not isfinite(x)]
        if infinite:
            return Broken(
                f"{kind.__name__}, learned from the rows {name!r}, has {infinite[0][0]} {infinite[0][1]}",
                "JSON has no number for it: leave what is not finite out of the statistics, or say None",
                subject.frames.get(name),
            )
        if not kind.__module__.startswith("headrace.") and not importable(kind):
            return Broken(
                f"there is no {kind.__module__}:{kind.__qualname__}, by which a saved pipeline names the class",
                "put the class at the top of a module that can be imported",
            )
        if isinstance(value, Join):
            continue
        try:
            back = reread(value)
        except (HeadraceError, TypeError, ValueError) as problem:
            return Broken(f"{kind.__name__} cannot be saved and read: {first_line(problem)}", _FIELDS)
        if back != value:
            fields = [f for f in kind.model_fields if getattr(back, f) != getattr(value, f)]
            return Broken(f"{kind.__name__} comes back with another {', '.join(fields) or 'value'}", _FIELDS)
    return None


def _floats(value: object) -> Iterator[float]:
    """The floats in a field, in lists and mappings too."""
    match value:
        case float():
            yield value
        case list() | tuple():
            yield from chain.from_iterable(map(_floats, value))
        case dict():
            yield from _floats(tuple(value.values()))


def columns(subject: Subject) -> Broken | None:
    """Columns in `writes` are added or replaced, those in `drops` go; all others stay as they were."""
    form, before = subject.form, subject.rows
    after = applied(form, before.with_row_index(NUMBER))
    numbers = after[NUMBER].cast(pl.Int64)
    expected = {*before.columns, *form.writes, NUMBER} - set(form.drops)
    for names, what in (
        (sorted(set(after.columns) - expected), "was added, which `writes` does not have"),
        (sorted(expected - set(after.columns)), "is not there, though `drops` does not have it"),
    ):
        if names:
            mend = "name in `writes` what it adds or replaces, in `drops` what it takes away"
            return Broken(f"column {', '.join(map(repr, names))} {what}", mend)
    for name in before.columns:
        if name in form.writes or name in form.drops:
            continue
        was, now = before[name].gather(numbers), after[name]
        if not same_values(was, now):
            place = first_difference(was, now)
            return Broken(
                f"column {name!r} was changed, which `writes` does not have: {was[place]!r} became {now[place]!r}",
                "name it in `writes`, or leave it as it is",
                before[name].to_frame().slice(int(numbers[place]), 1),
            )
    return None


def reads(subject: Subject) -> Broken | None:
    """Columns in `reads` are all that it needs to be applied, those in `measured` all that it needs to learn."""
    form, step = subject.form, subject.step
    frame = subject.rows.with_row_index(NUMBER)
    entity = step.entity if isinstance(step, Window) else ()
    needed = dict.fromkeys([*form.reads, *entity, *(c for c in form.drops if c in frame.columns), NUMBER])
    ways: list[tuple[str, str, list[str], Callable[[pl.LazyFrame], pl.LazyFrame]]] = [
        ("apply", "reads", list(needed), lambda rows: form.apply(rows, ENGINE).select(NUMBER, *form.writes))
    ]
    if isinstance(step, Learner) and step.measured:
        ways.append(("measure", "measured", list(step.measured), lambda rows: step.measure(rows, ENGINE)))
    for method, field, names, query in ways:
        mend = f"name in `{field}` every column whose values matter; a run brings no others along"
        try:
            least = ENGINE.collect([query(frame.select(names).lazy())])[0]
        except pl.exceptions.ColumnNotFoundError as problem:
            return Broken(f"{method} needs a column that `{field}` does not have: {first_line(problem)}", mend)
        if not same_rows(least, ENGINE.collect([query(frame.lazy())])[0], ordered=method == "apply"):
            return Broken(f"{method} gives other values where the rows have more columns than `{field}` has", mend)
    return None


def order(subject: Subject) -> Broken | None:
    """Rows keep their number and order; a step that `filters` may lose some."""
    for name, frame in subject.frames.items():
        numbers = applied(subject.form, frame.with_row_index(NUMBER))[NUMBER].to_list()
        example = subject.shown(frame).head(8)
        if not subject.form.filters and len(numbers) != frame.height:
            mend = "say `filters: ClassVar[bool] = True` if it is to drop rows; no step may add any"
            return Broken(f"of the {frame.height} rows {name!r} it makes {len(numbers)}", mend, example)
        if numbers != sorted(set(numbers)):
            mend = "leave rows where they are: sort nothing, and join with maintain_order='left'"
            return Broken(f"the rows {name!r} come in the order {numbers[:8]}", mend, example)
    return None


def alone(subject: Subject) -> Broken | None:
    """What a row gets does not depend on which others are beside it (for a Window: on those of other entities)."""
    window = subject.form if isinstance(subject.form, Window) else None
    for frame in _numbered(subject):
        for parts in _by_entity(frame, window.entity) if window else _by_cut(frame):
            expected = applied(subject.form, pl.concat(parts).sort(NUMBER)).sort(NUMBER)
            got = pl.concat([applied(subject.form, part) for part in parts]).sort(NUMBER)
            if same_rows(got, expected):
                continue
            written = [
                c for c in expected.columns if got.height != expected.height or not same_values(got[c], expected[c])
            ]
            return Broken(
                f"cut into parts of {[part.height for part in parts]} rows, it gives another {', '.join(written)}",
                "name the further columns in `entity`"
                if window
                else "a Transform sees one partition: make it a Learner (statistics of the training rows) or a Window "
                "(rows of the same entity)",
                subject.shown(pl.concat(parts)),
            )
    return None


def _numbered(subject: Subject) -> Iterator[pl.DataFrame]:
    """The frames with numbered rows, few rows first; for what was learned, as training rows too."""
    for frame in (subject.rows.head(3), *subject.long):
        numbered = frame.with_row_index(NUMBER)
        yield numbered
        if isinstance(subject.step, Learner):
            yield numbered.with_columns(pl.lit(0, pl.Int8).alias(SPLIT))


def _by_cut(frame: pl.DataFrame) -> Iterator[list[pl.DataFrame]]:
    for cut in sorted({1, frame.height // 2}):
        if 0 < cut < frame.height:
            yield [frame[:cut], frame[cut:]]


def _by_entity(frame: pl.DataFrame, entity: tuple[str, ...]) -> Iterator[list[pl.DataFrame]]:
    if frame.height:
        yield frame.partition_by(entity, maintain_order=True)


def ids(subject: Subject) -> Broken | None:
    """Columns of ids are Int32 (or lists of it), and ids lie from 0 to below their cardinality."""
    for name, frame in subject.frames.items():
        after = applied(subject.form, frame)
        for column, meaning in subject.form.ids.items():
            if column not in subject.form.writes:
                return Broken(f"`ids` names column {column!r}, which `writes` does not have", "name it in `writes`")
            values = after[column]
            if values.dtype not in (pl.Int32, pl.List(pl.Int32)):
                return Broken(f"column {column!r} of ids is {values.dtype}, expected Int32", "cast it to pl.Int32")
            flat = (values.explode(empty_as_null=False) if isinstance(values.dtype, pl.List) else values).drop_nulls()
            wrong = flat.filter(~flat.is_between(0, meaning.cardinality - 1))
            if len(wrong):
                return Broken(
                    f"column {column!r} has id {wrong[0]} on the rows {name!r}, expected 0 to "
                    f"{meaning.cardinality - 1}",
                    "count padding, null and values out of vocabulary in `Ids.cardinality`: embeddings have that size",
                    subject.shown(frame).head(8),
                )
    return None
