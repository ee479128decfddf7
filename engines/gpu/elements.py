"""Kernel `elements` on the device: the column of all elements as a frame, and its results under the same offsets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import polars as pl
import pylibcudf as plc

from headrace.engines.gpu import query
from headrace.engines.gpu.frame import DeviceFrame
from headrace.engines.kernels.lists import inner

_LIST: Final = plc.DataType(plc.TypeId.LIST)


def gpu(
    rows: DeviceFrame,
    column: str,
    outputs: Mapping[str, pl.DataType],
    run: Callable[[DeviceFrame], DeviceFrame],
) -> DeviceFrame:
    """The rows with the results beside them; the elements are copied only where the rows are a slice of others.

    What a null list is over, if anything, takes part and stays behind the null.
    """
    if rows.height == 0:
        none = query.from_polars(pl.DataFrame(schema=outputs))
        return _with(rows, {name: none.column(name) for name in outputs}, outputs)
    lists, stream = rows.column(column), rows.stream
    if lists.list_view().offsets().size() != rows.height + 1:
        lists = lists.copy(stream=stream)
    view = lists.list_view()
    schema = pl.Schema({column: inner(rows.schema[column])})
    made = run(DeviceFrame(plc.Table([view.child()]), schema, stream))
    if made.height != view.child().size():
        raise AssertionError(f"the query made {made.height} of {view.child().size()} elements of {column!r}")
    made.stream.synchronize()  # from here on all runs on the stream of the rows
    columns = {
        name: plc.Column(_LIST, rows.height, None, None, 0, 0, [view.offsets(), made.column(name)]) for name in outputs
    }
    if lists.null_count():
        mask, nulls = plc.null_mask.bitmask_and([lists], stream=stream)
        columns = {name: found.with_mask(mask, nulls) for name, found in columns.items()}
    return _with(rows, columns, outputs)


def _with(rows: DeviceFrame, columns: Mapping[str, plc.Column], dtypes: Mapping[str, pl.DataType]) -> DeviceFrame:
    for name, column in columns.items():
        rows = rows.with_column(name, column, dtypes[name])
    return rows
