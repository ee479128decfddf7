"""The vocabulary behind a column of ids: what ids stand for, and a smaller one with a table from old ids to new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from headrace.catalog.files import sha256_of
from headrace.catalog.manifest import Column, Extends
from headrace.catalog.reader import Dataset, near
from headrace.catalog.records import FileRef
from headrace.engines.cpu import CpuEngine
from headrace.engines.kernels.xxhash64 import hash64
from headrace.schemas.errors import DataError, UsageError

VALUE: Final = "value"
COUNT: Final = "count"
ID: Final = "id"

OOV_BUCKETS: Final = "headrace.oov_buckets"
"""In the metadata of a table for `Categorify(previous=...)`: how many ids out of vocabulary come before its own."""


@dataclass(frozen=True)
class Vocabulary:
    """A vocabulary that is read whole.

    Parameters
    ----------
    column
        Whose ids it explains.
    table
        `value`, for combinations `value:<i>` as well, and `count` (Int64; null where the values were given). Row n has
        the id `first_id + n`.
    pad_id, null_id, oov_ids
        The ids that stand for no value.
    """

    column: str
    table: pl.DataFrame
    pad_id: int | None
    null_id: int | None
    oov_ids: tuple[int, ...]
    cardinality: int
    extends: Extends | None = None

    @property
    def first_id(self) -> int:
        """The id of the first value; one after the last of those that stand for none."""
        return self.cardinality - self.table.height

    @property
    def values(self) -> tuple[str, ...]:
        """The columns that say what an id stands for."""
        parts = tuple(c for c in self.table.columns if c.startswith(f"{VALUE}:"))
        return parts or (VALUE,)

    @property
    def decoded(self) -> pl.DataFrame:
        """`id` (Int32), the values, and `count`: a row for each value, in the order of ids."""
        numbered = self.table.select(*self.values, COUNT).with_row_index(ID, self.first_id)
        return numbered.cast({ID: pl.Int32})

    def meaning(self, number: int) -> str:
        """What an id that stands for no value means; empty for one that does. Raises UsageError for one beyond."""
        if not 0 <= number < self.cardinality:
            raise UsageError(f"column {self.column!r} has no id {number}; they go from 0 to {self.cardinality - 1}")
        if number >= self.first_id:
            return ""
        if number in self.oov_ids:
            return "out of vocabulary"
        return "padding" if number == self.pad_id else "null" if number == self.null_id else "unused"

    def compacted(self, min_count: int = 1, max_size: int | None = None) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The vocabulary ranked anew, and where each id goes.

        Parameters
        ----------
        min_count, max_size
            Which values stay: those that were counted so often, and of them so many, the most frequent ones.

        Returns
        -------
        tuple[polars.DataFrame, polars.DataFrame]
            A table for `Categorify(previous=...)`, by count (descending) and value (ascending); and `old_id`, `new_id`
            (Int32) for every id there was. A value that goes has the id out of vocabulary that its rows now get.

        Raises
        ------
        UsageError
            Values that were never counted, because they were given.
        """
        if self.table[COUNT].null_count():
            raise UsageError(
                f"the vocabulary of {self.column!r} was given and has no counts, so there is nothing to rank it by"
            )
        keys = list(self.values)
        numbered = self.table.with_row_index(_OLD, self.first_id)
        ranked = numbered.filter(pl.col(COUNT) >= min_count).sort(
            [COUNT, *keys], descending=[True, *(False for _ in keys)]
        )
        ranked = ranked.head(max_size) if max_size is not None else ranked
        moved = ranked.select(_OLD).with_row_index(_NEW, self.first_id)
        gone = numbered.join(ranked, on=_OLD, how="anti", maintain_order="left")
        same = pl.DataFrame({_OLD: range(self.first_id), _NEW: range(self.first_id)}, schema=_REMAP)
        parts = [same, moved.select(_OLD, _NEW).cast(_REMAP), self._out_of_vocabulary(gone).cast(_REMAP)]  # type: ignore[arg-type]
        return ranked.drop(_OLD), pl.concat(parts).sort(_OLD)

    def _out_of_vocabulary(self, gone: pl.DataFrame) -> pl.DataFrame:
        first = self.oov_ids[0]
        if len(self.oov_ids) == 1 or gone.is_empty():
            return gone.select(_OLD, pl.lit(first, pl.Int32).alias(_NEW))
        hashed = hash64(CpuEngine(), gone.lazy(), VALUE, gone.schema[VALUE], _HASH)
        bucket = (pl.col(_HASH) % len(self.oov_ids)).cast(pl.Int32) + first
        return hashed.select(_OLD, bucket.alias(_NEW)).collect()


def columns_with(dataset: Dataset) -> tuple[Column, ...]:
    """The columns of a version that have a vocabulary."""
    return tuple(c for c in dataset.manifest.columns if c.vocabulary is not None)


def read_vocabulary(dataset: Dataset, column: str) -> Vocabulary:
    """The vocabulary of one column, checked against the manifest's SHA-256.

    Raises
    ------
    UsageError
        No such column, or one without a vocabulary.
    DataError
        Its table is missing or damaged.
    """
    found = {c.name: c for c in columns_with(dataset)}
    where = f"{dataset.name}@{dataset.version}"
    if column not in found:
        known = column in dataset.columns
        what = f"column {column!r} of {where} has no vocabulary" if known else f"{where} has no column {column!r}"
        raise UsageError(f"{what}{near(column, list(found))}")
    entry = found[column]
    assert entry.vocabulary is not None
    unlisted = FileRef(path=entry.vocabulary.path, bytes=0, sha256=entry.vocabulary.sha256)
    listed = {file.path: file for file in dataset.manifest.files}
    path = dataset.local(listed.get(unlisted.path, unlisted))
    try:
        _, digest = sha256_of(path)
        if digest != entry.vocabulary.sha256:
            raise DataError("SHA-256 differs from the one in the manifest", where=str(path))
        table = pl.read_parquet(path, glob=False)
    except (OSError, pl.exceptions.PolarsError) as problem:
        raise DataError(f"the vocabulary cannot be read: {problem}", where=str(path)) from None
    return Vocabulary(
        column=column,
        table=table,
        pad_id=entry.pad_id,
        null_id=entry.null_id,
        oov_ids=entry.oov_ids,
        cardinality=entry.cardinality or table.height,
        extends=entry.vocabulary.extends,
    )


def ids_of(vocabulary: Vocabulary, values: Sequence[str]) -> pl.DataFrame:
    """The ids of values as they are written: `value`, `id` (Int32, null where the vocabulary does not have it)."""
    key = vocabulary.values[0]
    if len(vocabulary.values) > 1:
        raise UsageError(f"ids of {vocabulary.column!r} stand for combinations: look them up in `decoded`")
    wanted = pl.DataFrame({"written": list(values)}, schema={"written": pl.String})
    known = vocabulary.decoded.select(pl.col(key).cast(pl.String).alias("written"), ID)
    return wanted.join(known, on="written", how="left", maintain_order="left").rename({"written": VALUE})


_OLD: Final = "old_id"
_NEW: Final = "new_id"
_HASH: Final = "__hash"
_REMAP: Final = {_OLD: pl.Int32, _NEW: pl.Int32}
