"""Drift: how far the values of each column have moved from one set of statistics to another."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal

import polars as pl
from pydantic import Field, FiniteFloat

from headrace.catalog import shift
from headrace.catalog.common_ids import in_ids_of, named_by
from headrace.catalog.manifest import Manifest, Scalar
from headrace.catalog.reader import Dataset
from headrace.catalog.records import Count, Record
from headrace.catalog.sketch import Sketch, Sketches, summarize_sketches
from headrace.catalog.sketch_files import SOURCE, sketches_of
from headrace.catalog.summary import scalar
from headrace.schemas.dtypes import dtype_name
from headrace.schemas.errors import UsageError

MODERATE: Final = 0.1
MAJOR: Final = 0.25
"""PSI from which on a column counts as moved, and as another: the field's rule of thumb (Siddiqi 2006)."""

CATEGORIES: Final = frozenset({"categorical", "boolean", "mask"})
"""Kinds of columns whose numbers are names for something."""

OUT_OF_FOLD: Final = frozenset({"TargetEncode"})
"""Steps that give a row of the first split other values than the same row would have in another."""

LISTED: Final = 10
"""Most frequent values that are looked at for new and vanished ones."""

Verdict = Literal["stable", "moderate", "major", "unknown"]


class Pair(Record):
    """A number of the first and of the second."""

    first: FiniteFloat
    second: FiniteFloat

    @property
    def change(self) -> float:
        """How much larger the second is."""
        return self.second - self.first


class ColumnDrift(Record):
    """A column in two sets of rows. What makes no sense for its type, or without rows, is None or empty."""

    name: str
    dtype: str = Field(description="in the first; `first -> second` where they differ")
    kind: Literal["number", "category", "opaque"]
    verdict: Verdict
    psi: FiniteFloat | None = Field(description="population stability index; nulls have a bin")
    psi_by_chance: FiniteFloat = Field(description="below it in 95 of 100 cases where nothing has moved")
    ks: FiniteFloat | None = Field(description="Kolmogorov-Smirnov distance, of numbers and times")
    js: FiniteFloat | None = Field(description="Jensen-Shannon divergence in bits, of categories")
    nulls: Pair | None = Field(description="shares of the rows")
    distinct: Pair | None = Field(description="numbers of distinct values")
    mean_shift: FiniteFloat | None = Field(description="of numbers, in standard deviations of the first")
    new: tuple[Scalar, ...] = Field(
        description="among the second's ten most frequent values, and not in the first; ids as values"
    )
    vanished: tuple[Scalar, ...] = Field(description="the other way round")


class Drift(Record):
    """Two sets of rows, by column: the largest PSI first, then by name."""

    first: str
    second: str
    rows: tuple[Count, Count]
    columns: tuple[ColumnDrift, ...]
    added: tuple[str, ...] = Field(description="columns that only the second has")
    removed: tuple[str, ...] = Field(description="columns that only the first has")
    out_of_fold: tuple[str, ...] = Field(
        default=(),
        description="columns encoded by the label, in one of the two out of fold: they differ for that alone",
    )

    def beyond(self, psi: float) -> tuple[ColumnDrift, ...]:
        """The columns whose PSI is larger."""
        return tuple(column for column in self.columns if column.psi is not None and column.psi > psi)


def compare(
    first: Sketches,
    second: Sketches,
    categories: Collection[str] = (),
    names: tuple[str, str] = ("first", "second"),
) -> Drift:
    """How far each column has moved from the first to the second.

    Parameters
    ----------
    first, second
        Statistics of a split, or of rows by `sketch_rows`, or several merged.
    categories
        Columns whose numbers are ids: compared value by value. Texts and booleans always are.

    Notes
    -----
    Bins of numbers and times lie between the deciles of the first; of categories, and of columns of at most 20 values,
    each of the first's 20 most frequent values has one, and the others share one. Nulls have a bin, and so do NaN and
    the infinities. A column is `moderate` from a PSI of 0.1 on and `major` from 0.25 on if the PSI is also more than
    chance gives rows so few; `unknown` without rows, or where a number has become a text. Values come from all
    rows where they are exact, else from the samples: distances below 0.01 may be the samples'.
    """
    names_of = [column for column in first if column in second]
    columns = [_column(first[name], second[name], name in categories) for name in names_of]
    return Drift(
        first=names[0],
        second=names[1],
        rows=(_rows(first), _rows(second)),
        columns=tuple(sorted(columns, key=lambda c: (1.0 if c.psi is None else -c.psi, c.name))),
        added=tuple(name for name in second if name not in first),
        removed=tuple(name for name in first if name not in second),
    )


def compare_splits(first: Dataset, split: str, second: Dataset, other: str) -> Drift:
    """Compare the features and the label in a split of a dataset with those in a split of the same or another.

    Keys and times are left out, but not of `source`, the rows that came in. Where vocabularies differ, the second's
    ids are taken as the first's of the same values. Raises as `sketches_of` and `in_ids_of` do.
    """
    raw = [side == SOURCE and side not in d.splits for d, side in ((first, split), (second, other))]
    if any(raw):
        if not all(raw):
            raise UsageError(
                f"{split} and {other}: the rows that came in are compared with rows that came in",
                hint="name `source` on both sides, or a split on both",
            )
        names = f"{first.name}@{first.version}/{split}", f"{second.name}@{second.version}/{other}"
        return compare(sketches_of(first, split), sketches_of(second, other), names=names)
    ids = {c.name for d in (first, second) for c in d.manifest.columns if c.kind in CATEGORIES}
    rows = identifying(first.manifest) | identifying(second.manifest)
    names = f"{first.name}@{first.version}/{split}", f"{second.name}@{second.version}/{other}"
    one = {name: found for name, found in sketches_of(first, split).items() if name not in rows}
    two = {
        name: in_ids_of(first, second, name, found)
        for name, found in sketches_of(second, other).items()
        if name not in rows
    }
    found = compare(one, two, ids, names)
    changes: dict[str, object] = {"columns": tuple(_in_words(c, first, second) for c in found.columns)}
    if (split == first.splits[0]) is not (other == second.splits[0]):
        encoded = {c.name for d in (first, second) for c in d.manifest.columns if c.source in OUT_OF_FOLD}
        changes["out_of_fold"] = tuple(c.name for c in found.columns if c.name in encoded)
    return found.model_copy(update=changes)


def _in_words(column: ColumnDrift, first: Dataset, second: Dataset) -> ColumnDrift:
    """Ids that are new or have vanished by the values that they stand for."""
    if not (column.new or column.vanished):
        return column
    named = named_by(first, second, column.name)
    sides = {"new": tuple(map(named, column.new)), "vanished": tuple(map(named, column.vanished))}
    return column.model_copy(update=sides)


def identifying(manifest: Manifest) -> set[str]:
    """The columns that say which row it is: keys and times are others in other rows, and no drift."""
    return {column.name for column in manifest.columns if column.role in ("key", "time", "group")}


def _rows(sketches: Sketches) -> int:
    return max((found.column.rows for found in sketches.values()), default=0)


def _column(a: Sketch, b: Sketch, category: bool) -> ColumnDrift:
    one, two = a.column, b.column
    said = dtype_name(one.dtype)
    if one.dtype != two.dtype:
        said = f"{said} -> {dtype_name(two.dtype)}"
    opaque = one.family == "opaque"
    category = category or one.family == "text" or one.dtype == pl.Boolean
    comparable = one.family == two.family and (one.family != "temporal" or one.dtype == two.dtype)
    there = bool(one.rows and two.rows)
    counted = _counted(a, b, category) if comparable else []
    first, second = (_shares(found, [pair[i] for pair in counted]) for i, found in enumerate((a, b)))
    used = [i for i, pair in enumerate(zip(first, second, strict=True)) if any(pair)]
    psi = shift.psi([first[i] for i in used], [second[i] for i in used]) if there and comparable else None
    chance = shift.psi_by_chance(len(used), _seen(a), _seen(b))
    left, right = (summarize_sketches({"": found})[""] for found in (a, b))
    ordered = comparable and not category and not opaque
    moved = None
    if ordered and left.mean is not None and right.mean is not None and left.std:
        moved = (right.mean - left.mean) / left.std
    few = one.values is not None and two.values is not None and not one.dtype.is_float()
    listed = comparable and not opaque and (category or few)
    return ColumnDrift(
        name=one.name,
        dtype=said,
        kind="opaque" if opaque else "category" if category else "number",
        verdict=_verdict(psi, chance),
        psi=psi,
        psi_by_chance=chance,
        ks=shift.kolmogorov_smirnov(a.values(), b.values()) if ordered else None,
        js=shift.jensen_shannon(first, second) if there and comparable and category else None,
        nulls=Pair(first=one.nulls / one.rows, second=two.nulls / two.rows) if there else None,
        distinct=None
        if left.distinct is None or right.distinct is None
        else Pair(first=left.distinct, second=right.distinct),
        mean_shift=moved,
        new=_only(b, a) if listed else (),
        vanished=_only(a, b) if listed else (),
    )


def _counted(a: Sketch, b: Sketch, category: bool) -> list[tuple[int, int]]:
    """Finite values by bin."""
    if a.column.family == "opaque":
        return [(a.column.finite, b.column.finite)]
    first, second = a.values(), b.values()
    if category or (a.column.values is not None and first.height <= shift.TOP):
        return shift.by_value(first, second)
    return shift.by_decile(first, second)


def _shares(found: Sketch, counts: list[int]) -> list[float]:
    """Of all rows: in each bin of finite values, null, and not finite."""
    column = found.column
    total, rows = sum(counts), max(1, column.rows)
    finite = column.finite / rows
    return [
        *(count / total * finite if total else 0.0 for count in counts),
        column.nulls / rows,
        (column.nans + column.infinities) / rows,
    ]


def _seen(found: Sketch) -> float:
    """Rows that the bins were counted from."""
    return found.column.rows if found.exact else found.column.rows / found.stride


def _verdict(psi: float | None, chance: float) -> Verdict:
    if psi is None:
        return "unknown"
    if psi < MODERATE or psi <= chance:
        return "stable"
    return "moderate" if psi < MAJOR else "major"


def _only(found: Sketch, other: Sketch) -> tuple[Scalar, ...]:
    """Of the ten most frequent values those that the other does not have."""
    top = found.values().sort(["count", "value"], descending=[True, False]).head(LISTED)["value"].to_list()
    there = set(other.values()["value"].to_list())
    shown = (scalar(value, found.column) for value in top if value not in there)
    return tuple(value for value in shown if value is not None)
