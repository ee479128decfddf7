"""Kernel `line`: columns that are worked out with the rows of each key side by side.

Contract: `query` is given a frame in which column c of `columns` stands under the name `along(c)` in the order of
`keys`, nulls first and rows of equal keys as they come; it adds columns of that order. Those of them that `outputs`
names, of which some may replace columns of the rows, end up in the rows' own order; what else it added is dropped.

It has two bodies: one that every engine runs, which sorts the frame there and back, and one for the CPU, where sorting
by one key after the other is faster than by all at once, and only the columns that are asked for move.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import polars as pl

if TYPE_CHECKING:
    from headrace.engines.engine import Engine

Query = Callable[[pl.LazyFrame], pl.LazyFrame]
Body = Callable[[pl.LazyFrame, Sequence[str], Sequence[str], Sequence[str], Query], pl.LazyFrame]


def in_line(
    engine: Engine,
    frame: pl.LazyFrame,
    keys: Sequence[str],
    columns: Sequence[str],
    outputs: Sequence[str],
    query: Query,
) -> pl.LazyFrame:
    """As above, by the body that suits the engine."""
    body: Body = cpu if engine.name == "cpu" else anywhere
    return body(frame, keys, columns, outputs, query)


def along(column: str) -> str:
    """The name under which the query finds a column."""
    return f"__line:{column}"


def cpu(
    frame: pl.LazyFrame, keys: Sequence[str], columns: Sequence[str], outputs: Sequence[str], query: Query
) -> pl.LazyFrame:
    """The places of rows by the last key, then, of equal ones in that order, by the key before it, and so on."""
    last, *others = reversed(keys)
    ordered = frame.with_columns(pl.arg_sort_by(last, maintain_order=True).alias(_PLACE))
    for key in others:
        by_key = pl.arg_sort_by(pl.col(key).gather(pl.col(_PLACE)), maintain_order=True)
        ordered = ordered.with_columns(pl.col(_PLACE).gather(by_key))
    line = ordered.with_columns(pl.col(c).gather(pl.col(_PLACE)).alias(along(c)) for c in columns)
    back = pl.col(_PLACE).map_batches(_turned_round, return_dtype=pl.UInt32)
    made = query(line).with_columns(back).with_columns(pl.col(outputs).gather(pl.col(_PLACE)))
    return made.select(*_kept(frame, outputs))


def anywhere(
    frame: pl.LazyFrame, keys: Sequence[str], columns: Sequence[str], outputs: Sequence[str], query: Query
) -> pl.LazyFrame:
    """The frame sorted by all keys, and back by the number of the row."""
    line = frame.with_row_index(_PLACE).sort(*keys, maintain_order=True)
    made = query(line.with_columns(pl.col(c).alias(along(c)) for c in columns))
    return made.sort(_PLACE).select(*_kept(frame, outputs))


def _turned_round(places: pl.Series) -> pl.Series:
    """Where each place went: of the places of a sort, what sorts them again, without a sort."""
    import numpy as np

    back = np.empty(len(places), np.uint32)
    back[places.to_numpy()] = np.arange(len(places), dtype=np.uint32)
    return pl.Series(back)


def _kept(frame: pl.LazyFrame, outputs: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*frame.collect_schema(), *outputs]))


_PLACE: Final = "__line_place"
