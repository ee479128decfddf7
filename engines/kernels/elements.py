"""Kernel `elements`: a query over the elements of a column of lists, whose results are lists again.

Contract: `column` holds lists of anything but lists and arrays. The query is given a frame of that one column, under
its name, that has a row for each element, null ones too, list after list; of null lists it has none. It gives as many
rows in the same order. Its columns `outputs` are added or replaced as lists that are cut where those of `column` are: a
null list gives null, an empty one an empty list. Rows keep their number and order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

import polars as pl
import pyarrow as pa

from headrace.engines.kernels.lists import inner

if TYPE_CHECKING:
    from headrace.engines.engine import Engine

Query = Callable[[pl.LazyFrame], pl.LazyFrame]


@dataclass(frozen=True)
class Elements:
    """What `apply` makes on an engine of the elements of the lists of `column`."""

    column: str
    outputs: tuple[str, ...]
    apply: Callable[[pl.LazyFrame, Engine], pl.LazyFrame]
    name: ClassVar[str] = "elements"

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.column,)

    def writes(self, schema: pl.Schema, engine: Engine) -> dict[str, pl.DataType]:
        made = self.apply(pl.LazyFrame(schema={self.column: inner(schema[self.column])}), engine).collect_schema()
        return {output: pl.List(made[output]) for output in self.outputs}

    def cpu(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        """The query over the values that Arrow's lists are of, which are not copied; a run of it for each output.

        It stands in the rest of the query as an expression, so that Polars asks for no more rows and columns than it
        needs.
        """
        # Asked for its types here, the query makes here what it keeps, such as the index of a vocabulary: within the
        # expression, on a thread of Polars, making it could wait for a thread that waits for it.
        dtypes = self.writes(frame.collect_schema(), engine)

        def query(rows: pl.LazyFrame) -> pl.LazyFrame:
            return self.apply(rows, engine)

        return frame.with_columns(
            pl.col(self.column)
            .map_batches(partial(_mapped, query, self.column, output, dtype), return_dtype=dtype, is_elementwise=True)
            .alias(output)
            for output, dtype in dtypes.items()
        )

    def stand_in(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        """With the query in it."""
        dtypes = {self.column: inner(frame.collect_schema()[self.column]), _ROW: pl.Int64()}
        made = self.apply(pl.LazyFrame(schema=dtypes), engine)
        lists = made.group_by(_ROW).agg(pl.col(o).implode().alias(_made(o)) for o in self.outputs)
        rows = frame.with_columns(pl.col(self.column).is_null().cast(pl.Int64).alias(_ROW))
        joined = rows.join(lists, on=_ROW, how="left")
        return joined.with_columns(pl.col(_made(o)).alias(o) for o in self.outputs).drop(
            _ROW, *map(_made, self.outputs)
        )


def _mapped(query: Query, column: str, output: str, dtype: pl.DataType, lists: pl.Series) -> pl.Series:
    if not len(lists):
        return pl.Series(output, [], dtype)
    array = lists.to_arrow(compat_level=_AS_IT_LIES)
    offsets, elements = _elements(array)
    values = pl.Series(column, elements, inner(lists.dtype))
    made = query(pl.DataFrame({column: values}).lazy()).select(output).collect()[output]
    if len(made) != len(values):
        raise AssertionError(f"the query made {len(made)} of {len(values)} elements of {column!r}")
    null = array.is_null() if array.null_count else None
    found = pa.LargeListArray.from_arrays(offsets, made.to_arrow(compat_level=_AS_IT_LIES), mask=null)
    return pl.Series(output, found, dtype)


def _elements(array: pa.LargeListArray) -> tuple[pa.Array, pa.Array]:
    """Where each list begins and ends, and the elements of all lists that are not null."""
    import numpy as np

    offsets = array.offsets.to_numpy()
    if array.null_count:
        sizes, null = np.diff(offsets), array.is_null().to_numpy(zero_copy_only=False)
        if sizes[null].any():  # elements that a null list is over
            return pa.array(np.concatenate([[0], np.cumsum(np.where(null, 0, sizes))])), array.flatten()
    return pa.array(offsets - offsets[0]), array.values.slice(offsets[0], offsets[-1] - offsets[0])


def _made(output: str) -> str:
    return f"__elements:{output}"


_ROW: Final = "__elements_row"
_AS_IT_LIES: Final = pl.CompatLevel.newest()
"""Text as Polars holds it: not copied."""
