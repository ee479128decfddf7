"""The laws of a Learner: what is merged, and how the rows were cut, do not show in what is learned."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import combinations, pairwise
from typing import Final

import polars as pl

from headrace.testing.compare import differing
from headrace.testing.report import Broken
from headrace.testing.subject import Subject, measure, told_apart
from headrace.transforms.base import Learner, Operator
from headrace.transforms.table import Table

_FLOATS: Final = (
    "floats added in another order have other last digits: say `by_unit: ClassVar[bool] = True`, merge by "
    "`concatenated` and add up `in_unit_order` in learn; or sum exactly (headrace.transforms.exact)"
)


def merging(subject: Subject) -> Broken | None:
    """Merging is associative and commutative, and leaves the columns and types of what is measured."""
    step = _learner(subject)
    for units in (units for frame in subject.long for units in _units(frame) if len(units) > 2):
        a, b, c = (measure(step, [unit], number).lazy() for number, unit in enumerate(units[:3]))
        once = step.merge([a, b, c])
        if list(once.collect_schema().items()) != list(a.collect_schema().items()):
            got, expected = once.collect_schema(), a.collect_schema()
            what = f"merge gives {differing(got, expected)}, measure {differing(expected, got)}"
            return Broken(what, "merge gives one table with the columns and types of those it is given")
        for words, other in (
            ("merging in another order", step.merge([step.merge([c, b]), a])),
            ("merging in another grouping", step.merge([a, step.merge([b, c])])),
            ("merging one after the other", step.merge([step.merge([a, b]), c])),
        ):
            one, two = step.learn(once.collect()), step.learn(other.collect())
            if told_apart(one, two):
                return Broken(f"{words} gives {_difference(two, one)}", _mend(one, two, _ORDER), _rows(subject, units))
    return None


_ORDER: Final = (
    "merge tables by what does not mind their order: sum, min, max, or rows grouped by key; sort in learn what has to "
    "have an order"
)


def identity(subject: Subject) -> Broken | None:
    """Statistics of no rows change nothing."""
    step = _learner(subject)
    none = measure(step, [subject.rows.clear()], 90)
    for units in _units(subject.rows):
        some = measure(step, units, 0)
        one = step.learn(step.merge([some.lazy()]).collect())
        for tables in ([none, some], [some, none]):
            two = step.learn(step.merge([table.lazy() for table in tables]).collect())
            if told_apart(one, two):
                return Broken(
                    f"merged with what was measured on no rows, {_difference(two, one)}",
                    "measure on no rows gives null, 0 or no row, whichever merge leaves out",
                    _rows(subject, units),
                )
    return None


def partitions(subject: Subject) -> Broken | None:
    """However the rows are cut into partitions, the same is learned, to the byte."""
    step = _learner(subject)
    for frame in subject.frames.values():
        for units in _units(frame):
            part = cache(lambda a, b, units=units: measure(step, units[a:b], a).lazy())
            whole = step.learn(step.merge([part(0, len(units))]).collect())
            for count in range(1, len(units)):
                for cuts in combinations(range(1, len(units)), count):
                    cut = step.learn(step.merge([part(*ends) for ends in pairwise([0, *cuts, len(units)])]).collect())
                    if told_apart(whole, cut):
                        return Broken(
                            f"measured in {count + 1} partitions, {_difference(cut, whole)}",
                            _mend(whole, cut, _PARTS),
                            _rows(subject, units),
                        )
    return None


_PARTS: Final = (
    "measure what can be added up (a sum and a count, not a mean), and nothing of the partition itself, such as its "
    "number of rows or a row's place in it"
)


def settling(subject: Subject) -> Broken | None:
    """What is settled is enough to learn from, whatever groups were settled together, and when they are again."""
    step = _learner(subject)
    for frame in subject.frames.values():
        for units in list(_units(frame))[-1:]:
            total = measure(step, units, 0)
            missing = [c for c in dict.fromkeys((*step.groups, *(c for c, _ in step.order))) if c not in total.columns]
            if missing:
                what = f"what it measures has no column {', '.join(map(repr, missing))}, but {', '.join(total.columns)}"
                return Broken(what, "`groups` and `order` name columns of the measured table")
            odd = [f"{c} ({total.schema[c]})" for c in step.groups if not _hashed(total.schema[c])]
            if odd:
                mend = "groups are strings, integers, floats, booleans or times: cast them in measure"
                return Broken(f"rows cannot be told apart by {', '.join(odd)} in `groups`", mend)
            whole = step.learn(total)
            places: dict[tuple[object, ...], int] = {}
            groups = [places.setdefault(key, len(places)) for key in total.select(step.groups).rows()]
            for count in (1, 3):
                bucket = pl.Series([place % count for place in groups], dtype=pl.Int64)
                settled = pl.concat([step.settle(total.filter(bucket == number)) for number in range(count)])
                for again, left in (("", settled), (" and again", step.settle(settled))):
                    learned = step.learn(left)
                    if told_apart(whole, learned):
                        return Broken(
                            f"with its groups settled in {count} parts{again}, {_difference(learned, whole)}",
                            "settle drops nothing of a group that learn needs, or a later settle, and no group that "
                            "one among others may still beat",
                            _rows(subject, units),
                        )
    return None


def _hashed(dtype: pl.DataType) -> bool:
    return dtype in (pl.String, pl.Boolean) or dtype.is_integer() or dtype.is_float() or dtype.is_temporal()


def _learner(subject: Subject) -> Learner:
    assert isinstance(subject.step, Learner)
    return subject.step


def _units(frame: pl.DataFrame) -> Iterator[list[pl.DataFrame]]:
    """The first rows of a frame as runs that no partition cuts; few rows first."""
    for sizes in ((1, 1), (1, 1, 1), (1, 2, 3), (5, 1, 6, 11)):
        if sum(sizes) <= frame.height:
            starts = [sum(sizes[:n]) for n in range(len(sizes))]
            yield [frame.slice(start, size) for start, size in zip(starts, sizes, strict=True)]


def _rows(subject: Subject, units: list[pl.DataFrame]) -> pl.DataFrame:
    measured = [c for c in _learner(subject).measured if c in subject.rows.columns]
    return pl.concat(units).select(measured or subject.rows.columns)


def _difference(got: Operator, expected: Operator) -> str:
    """The first field in which two forms differ, with both values."""
    for field in type(expected).model_fields:
        one, two = getattr(got, field, None), getattr(expected, field)
        if repr(one) != repr(two) or one != two:
            return f"{field} is {_shown(one)}, expected {_shown(two)}"
    return f"{type(got).__name__} has other bytes than {type(expected).__name__}"


def _shown(value: object) -> str:
    text = repr(value.frame.to_dicts()) if isinstance(value, Table) else repr(value)
    return text if len(text) <= 160 else f"{text[:157]}..."


def _mend(one: Operator, two: Operator, otherwise: str) -> str:
    """What to do: about the order of sums where the forms differ in the last digits of floats alone."""
    return _FLOATS if _close(one.model_dump(mode="python"), two.model_dump(mode="python")) else otherwise


def _close(one: object, two: object) -> bool:
    match one, two:
        case (Table(), Table()):
            return _close(one.frame.to_dicts(), two.frame.to_dicts())
        case (dict(), dict()):
            return one.keys() == two.keys() and all(_close(one[k], two[k]) for k in one)
        case (list() | tuple(), list() | tuple()):
            return len(one) == len(two) and all(map(_close, one, two))
        case (float(), float()):
            return abs(one - two) <= 1e-9 * max(abs(one), abs(two))
        case _:
            return one == two
