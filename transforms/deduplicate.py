"""Deduplicate: of rows with equal keys one stays, wherever in the source they are."""

from __future__ import annotations

from typing import Final, Literal

import polars as pl

from headrace.engines.engine import Engine
from headrace.schemas.errors import PipelineError
from headrace.transforms import history
from headrace.transforms.base import CATEGORY, Selection
from headrace.transforms.columns import Columns


class Deduplicate(Selection):
    """Keep one of the rows that have equal keys: the first or the last of them.

    Parameters
    ----------
    by
        The key: strings, integers, booleans, dates or datetimes.
    order
        What the rows of a key are ordered by: a number, a date or a datetime. Equal ones stand in source order, and so
        do all rows where `order` is not given. A row whose order is null stays only where the key has no other.
    keep
        `first` or `last`.

    Raises
    ------
    PipelineError
        No key, a key or an order of another type.

    Notes
    -----
    A row of whose key a column is null stays: two values that are not known need not be equal, which is SQL's rule for
    UNIQUE and that of a contract's keys. Put `DropNull` before it to drop them. All other columns, their types and the
    order of rows stay. It holds for the whole source: rows of equal keys are brought together first, from whatever
    partitions they are in. Rows that are dropped are counted as filtered, unlike those that break a contract's unique
    key, which go to quarantine. When the fitted pipeline serves, a row that is asked for always stays.
    Cost: the key, the order and the number of each row move once; one sort by order, one grouping by key.
    Known elsewhere as drop_duplicates (pandas, cuDF: within a partition); NVTabular, TFT and Ray Data have none.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> frame = pl.LazyFrame({"order": [1, 2, 1, None], "at": [3, 1, 2, 4]})
    >>> Deduplicate(by="order", order="at", keep="last").apply(frame, CpuEngine()).collect().rows()
    [(1, 3), (2, 1), (None, 4)]
    """

    by: Columns
    order: str | None = None
    keep: Literal["first", "last"] = "first"

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self.by, *([self.order] if self.order else [])]))

    @property
    def entity(self) -> tuple[str, ...]:
        return self.by.names

    def check(self, schema: pl.Schema) -> None:
        if not len(self.by):
            raise PipelineError("Deduplicate: `by` must name at least one column")
        for column in self.by:
            if not (CATEGORY.test(schema[column]) or schema[column] == pl.Datetime):
                raise PipelineError(
                    "Deduplicate: `by` takes a string, an integer, a boolean, a date or a datetime, "
                    f"got {schema[column]} in column {column!r}"
                )
        if self.order:
            history.check_order(self, self.order, schema)

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        known = pl.all_horizontal(pl.col(c).is_not_null() for c in self.by)
        rows = frame.with_row_index(history.INDEX).with_columns(known.alias(_KNOWN))
        keys = rows.filter(_KNOWN).select(*self.reads, history.INDEX)
        if self.order:
            keys = keys.sort(self.order, nulls_last=self.keep == "first", maintain_order=True)
        row = pl.col(history.INDEX).first() if self.keep == "first" else pl.col(history.INDEX).last()
        chosen = keys.group_by(self.by.names).agg(row).select(history.INDEX, pl.lit(True).alias(_CHOSEN))
        marked = rows.join(chosen, on=history.INDEX, how="left", maintain_order="left")
        kept = marked.filter(pl.col(_CHOSEN).is_not_null() | ~pl.col(_KNOWN))
        return kept.drop(history.INDEX, _KNOWN, _CHOSEN)

    def answer(self, frame: pl.LazyFrame, asked: str, engine: Engine) -> pl.LazyFrame:
        return frame.filter(asked)


_KNOWN: Final = "__deduplicate_known"
_CHOSEN: Final = "__deduplicate_chosen"
