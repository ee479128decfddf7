"""Kernel `join_asof` on the device: binary search in the table, sorted by key and time.

The contract stands in `headrace.engines.kernels.asof`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Literal

import polars as pl
import pylibcudf as plc

from headrace.engines.gpu.frame import DeviceFrame
from headrace.engines.gpu.times import ticks
from headrace.engines.kernels.asof import Direction, JoinAsof

_INT32: Final = plc.DataType(plc.TypeId.INT32)
_BOOL: Final = plc.DataType(plc.TypeId.BOOL8)


def gpu(rows: DeviceFrame, kernel: JoinAsof, table: DeviceFrame) -> DeviceFrame:
    """Search each row's key and time among the table's, and the key alone to tell where it begins or ends there.

    `table` is the kernel's, on the device.

    Keys and times must be of one dtype on both sides. NaN keys are equal to each other. Cost: a stable sort of the
    table, and two searches of log2(rows of the table) comparisons a row; the rows themselves are not sorted.
    """
    table.stream.synchronize()  # from here on all runs on the stream of the rows
    by, left_on, right_on = kernel.by, kernel.left_on, kernel.right_on
    names = [name for name in table.schema if name not in (*by, right_on)]
    known = _sorted(table, (*by, right_on), rows)
    if known.height == 0:
        return _with(rows, known, names, [_nulls(known.column(name), rows) for name in names])
    asked = DeviceFrame(
        plc.Table([*rows.select(by).table.columns(), rows.column(left_on)]),
        pl.Schema({**{name: rows.schema[name] for name in by}, right_on: rows.schema[left_on]}),
        rows.stream,
    )
    match = _nearest(asked, known, by, right_on, kernel.direction, kernel.exact)
    if kernel.tolerance is not None:
        match = _near(match, asked, known, right_on, kernel.direction, kernel.tolerance)
    found = known.select(names).gather(match, plc.copying.OutOfBoundsPolicy.NULLIFY)
    return _with(rows, known, names, found.table.columns())


def _sorted(table: DeviceFrame, names: Sequence[str], rows: DeviceFrame) -> DeviceFrame:
    """The table's rows without a null among these columns, sorted by them; equal ones keep their order."""
    places = [table.schema.names().index(name) for name in names]
    known = plc.stream_compaction.drop_nulls(table.table, places, len(places), stream=rows.stream)
    keys = plc.Table([known.columns()[place] for place in places])
    ordered = plc.sorting.stable_sort_by_key(known, keys, *_orders(names), stream=rows.stream)
    return DeviceFrame(ordered, table.schema, rows.stream)


def _nearest(
    asked: DeviceFrame, known: DeviceFrame, by: tuple[str, ...], time: str, direction: Direction, exact: bool
) -> plc.Column:
    """The position of each row's match in the sorted table; the table's height where nothing matches.

    A null comes after everything: a null key lies where no table row has its key, null times are masked.
    """
    stream, line = asked.stream, (*by, time)
    begin: plc.Column | plc.Scalar
    end: plc.Column | plc.Scalar
    if direction == "backward":
        end = _bound("upper" if exact else "lower", asked, known, line)
        begin = _bound("lower", asked, known, by) if by else _int32(0, asked)
        subtract = plc.binaryop.BinaryOperator.SUB
        position = plc.binaryop.binary_operation(end, _int32(1, asked), subtract, _INT32, stream=stream)
    else:
        begin = position = _bound("lower" if exact else "upper", asked, known, line)
        end = _bound("upper", asked, known, by) if by else _int32(known.height, asked)
    there = plc.binaryop.binary_operation(begin, end, plc.binaryop.BinaryOperator.LESS, _BOOL, stream=stream)
    position = _only(position, there, known)
    return _only(position, plc.unary.is_valid(asked.column(time), stream=stream), known)


def _near(
    match: plc.Column, asked: DeviceFrame, known: DeviceFrame, time: str, direction: Direction, tolerance: timedelta
) -> plc.Column:
    """The matches that are at most `tolerance` away.

    Distances are taken on the times' bits, unsigned, where they cannot overflow: one side is never before the other.
    """
    stream, dtype = asked.stream, known.schema[time]
    width = 32 if dtype == pl.Date else 64
    bits = plc.DataType(plc.TypeId.UINT32 if width == 32 else plc.TypeId.UINT64)
    found = known.select([time]).gather(match, plc.copying.OutOfBoundsPolicy.NULLIFY).column(time)
    later, earlier = (asked.column(time), found) if direction == "backward" else (found, asked.column(time))
    apart = plc.binaryop.binary_operation(
        plc.unary.bit_cast(later, bits, stream=stream),
        plc.unary.bit_cast(earlier, bits, stream=stream),
        plc.binaryop.BinaryOperator.SUB,
        bits,
        stream=stream,
    )
    most = plc.Scalar.from_py(min(ticks(tolerance, dtype), 2**width - 1), bits, stream=stream)
    near = plc.binaryop.binary_operation(apart, most, plc.binaryop.BinaryOperator.LESS_EQUAL, _BOOL, stream=stream)
    return _only(match, near, known)


def _bound(side: Literal["lower", "upper"], asked: DeviceFrame, known: DeviceFrame, names: Sequence[str]) -> plc.Column:
    """Where each row would stand in the table among its equals: before the first, or after the last."""
    search = plc.search.lower_bound if side == "lower" else plc.search.upper_bound
    return search(known.select(names).table, asked.select(names).table, *_orders(names), stream=asked.stream)


def _only(position: plc.Column, where: plc.Column, known: DeviceFrame) -> plc.Column:
    """The positions where a condition holds, the table's height elsewhere: a gather takes that for no row."""
    return plc.copying.copy_if_else(position, _int32(known.height, known), where, stream=known.stream)


def _with(rows: DeviceFrame, known: DeviceFrame, names: Sequence[str], columns: Sequence[plc.Column]) -> DeviceFrame:
    for name, column in zip(names, columns, strict=True):
        rows = rows.with_column(name, column, known.schema[name])
    return rows


def _orders(names: Sequence[str]) -> tuple[list[plc.types.Order], list[plc.types.NullOrder]]:
    return [plc.types.Order.ASCENDING] * len(names), [plc.types.NullOrder.AFTER] * len(names)


def _nulls(like: plc.Column, rows: DeviceFrame) -> plc.Column:
    return plc.Column.all_null_like(like, rows.height, stream=rows.stream)


def _int32(value: int, rows: DeviceFrame) -> plc.Scalar:
    return plc.Scalar.from_py(value, _INT32, stream=rows.stream)
