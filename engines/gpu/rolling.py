"""Kernel `rolling` on the device: libcudf's range windows over one line of values and questions per key.

The contract stands in `headrace.engines.kernels.rolling`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import pylibcudf as plc

from headrace.engines.gpu.frame import DeviceFrame
from headrace.engines.gpu.times import ticks
from headrace.engines.kernels.rolling import Output, Rolling

_INT32: Final = plc.DataType(plc.TypeId.INT32)
_INT64: Final = plc.DataType(plc.TypeId.INT64)
_FLOAT64: Final = plc.DataType(plc.TypeId.FLOAT64)
_DURATIONS: Final = {
    plc.TypeId.TIMESTAMP_DAYS: plc.TypeId.DURATION_DAYS,
    plc.TypeId.TIMESTAMP_MILLISECONDS: plc.TypeId.DURATION_MILLISECONDS,
    plc.TypeId.TIMESTAMP_MICROSECONDS: plc.TypeId.DURATION_MICROSECONDS,
    plc.TypeId.TIMESTAMP_NANOSECONDS: plc.TypeId.DURATION_NANOSECONDS,
}


class Line(NamedTuple):
    """Values and questions of all keys, sorted by key and time.

    Parameters
    ----------
    keys, times
        Where each point stands; none of them is null.
    rows
        The row that a question is of, Int32; null where the point only holds values.
    values
        Float64 columns; null where the point only asks.
    length
        The duration of the window, in the unit of the times.
    """

    keys: plc.Table
    times: plc.Column
    rows: plc.Column
    values: dict[str, plc.Column]
    length: plc.Scalar


def gpu(rows: DeviceFrame, kernel: Rolling) -> DeviceFrame:
    """Stand values at the time they became known and questions at their row's time, as the CPU does.

    libcudf reads every value of a window anew: no sum runs from one window to the next, so nothing is left of a value
    that is out of it; a deviation is found by Welford's method. `on` and `known_at` are of one dtype. NaN keys are
    equal to each other. Cost: a stable sort of the rows (twice as many with `known_at`) by key and time, then time in
    proportion to the values in all windows together; memory for the line and a column per output.
    """
    line = _line(rows, kernel)
    for output, answers in zip(kernel.outputs, _answers(line, rows, kernel.outputs), strict=True):
        rows = rows.with_column(output.name, answers, output.dtype)
    return rows


def _line(rows: DeviceFrame, kernel: Rolling) -> Line:
    stream, place = rows.stream, len(kernel.by)
    on, known_at, names = kernel.on, kernel.known_at, sorted({o.column for o in kernel.outputs})
    keys = rows.select(kernel.by).table.columns()
    numbers = plc.filling.sequence(rows.height, _int32(0, rows), _int32(1, rows), stream=stream)
    own = [plc.unary.cast(rows.column(name), _FLOAT64, stream=stream) for name in names]
    if known_at is None:  # a row is known at its own time: its question and its values stand together
        points = plc.Table([*keys, rows.column(on), numbers, *own])
    else:
        nobody, *unknown = (plc.Column.all_null_like(like, rows.height, stream=stream) for like in (numbers, *own))
        events = plc.Table([*keys, rows.column(known_at), nobody, *own])
        questions = plc.Table([*keys, rows.column(on), numbers, *unknown])
        points = plc.concatenate.concatenate([events, questions], stream=stream)
    points = plc.stream_compaction.drop_nulls(points, list(range(place + 1)), place + 1, stream=stream)
    orders, nulls = [plc.types.Order.ASCENDING] * (place + 1), [plc.types.NullOrder.AFTER] * (place + 1)
    by_time = plc.Table(points.columns()[: place + 1])
    columns = plc.sorting.stable_sort_by_key(points, by_time, orders, nulls, stream=stream).columns()
    times = columns[place]
    unit = plc.DataType(_DURATIONS[times.type().id()])
    return Line(
        keys=plc.Table(columns[:place]),
        times=times,
        rows=columns[place + 1],
        values=dict(zip(names, columns[place + 2 :], strict=True)),
        length=plc.Scalar.from_py(min(ticks(kernel.length, rows.schema[on]), 2**63 - 1), unit, stream=stream),
    )


def _answers(line: Line, rows: DeviceFrame, outputs: tuple[Output, ...]) -> Sequence[plc.Column]:
    """The outputs in the order of the rows; null for rows that stand nowhere on the line."""
    stream = rows.stream
    dtypes = [_INT64 if o.statistic == "count" else _FLOAT64 for o in outputs]
    nulls = [plc.Scalar.from_py(None, dtype, stream=stream) for dtype in dtypes]
    nothing = [plc.Column.from_scalar(null, rows.height, stream=stream) for null in nulls]
    if line.rows.size() == 0:
        return nothing
    asked = plc.Table([line.rows, *_statistics(line, rows, outputs)])
    if line.rows.null_count():
        question = plc.unary.is_valid(line.rows, stream=stream)
        asked = plc.stream_compaction.apply_retention_mask(asked, question, stream=stream)
    number, *found = asked.columns()
    return plc.copying.scatter(plc.Table(found), number, plc.Table(nothing), stream=stream).columns()


def _statistics(line: Line, rows: DeviceFrame, outputs: tuple[Output, ...]) -> list[plc.Column]:
    """The outputs at each point of the line.

    The window has its beginning and not its end: [t - length, t + 0).
    """
    stream = rows.stream
    requests = [_requests(output, line.values[output.column], rows) for output in outputs]
    nothing = plc.Scalar.from_py(0, line.length.type(), stream=stream)
    results = iter(
        plc.rolling.grouped_range_rolling_window(
            line.keys,
            line.times,
            plc.types.Order.ASCENDING,
            plc.types.NullOrder.AFTER,
            plc.rolling.BoundedClosed(line.length),
            plc.rolling.BoundedOpen(nothing),
            [request for own in requests for request in own],
            stream=stream,
        ).columns()
    )
    return [
        _finished(output, [next(results) for _ in own], rows) for output, own in zip(outputs, requests, strict=True)
    ]


def _requests(output: Output, values: plc.Column, rows: DeviceFrame) -> list[plc.rolling.RollingRequest]:
    """What to ask libcudf for: the statistic, and for extremes also how many values there are with and without NaN.

    libcudf's `min` and `max` do not say what they make of NaN, so it is taken out before and put back after them.
    """
    count = plc.aggregation.count(plc.types.NullPolicy.EXCLUDE)
    match output.statistic:
        case "count":
            return [plc.rolling.RollingRequest(values, 1, count)]
        case "sum":
            return [plc.rolling.RollingRequest(values, 1, plc.aggregation.sum())]
        case "mean":
            return [plc.rolling.RollingRequest(values, 1, plc.aggregation.mean())]
        case "std":
            return [plc.rolling.RollingRequest(values, 2, plc.aggregation.std(1))]
        case "min" | "max":
            extreme = plc.aggregation.min() if output.statistic == "min" else plc.aggregation.max()
            numbers = plc.transform.column_nans_to_nulls(values, stream=rows.stream)
            if numbers.null_count() == values.null_count():
                return [plc.rolling.RollingRequest(values, 1, extreme)]
            counts = [plc.rolling.RollingRequest(column, 1, count) for column in (numbers, values)]
            return [plc.rolling.RollingRequest(numbers, 1, extreme), *counts]


def _finished(output: Output, results: Sequence[plc.Column], rows: DeviceFrame) -> plc.Column:
    """An output from what was asked for it: 0 for the count and the sum of nothing, NaN where it is in the window."""
    stream, answer = rows.stream, results[0]
    if output.statistic == "count":
        counted = plc.replace.replace_nulls(answer, _int32(0, rows), stream=stream)
        return plc.unary.cast(counted, _INT64, stream=stream)
    if output.statistic == "sum":
        return plc.replace.replace_nulls(answer, plc.Scalar.from_py(0.0, _FLOAT64, stream=stream), stream=stream)
    if len(results) == 1:
        return answer
    _, numbers, values = results
    less = plc.binaryop.BinaryOperator.LESS
    has_nan = plc.binaryop.binary_operation(numbers, values, less, plc.DataType(plc.TypeId.BOOL8), stream=stream)
    nan = plc.Scalar.from_py(float("nan"), _FLOAT64, stream=stream)
    return plc.copying.copy_if_else(nan, answer, has_nan, stream=stream)


def _int32(value: int, rows: DeviceFrame) -> plc.Scalar:
    return plc.Scalar.from_py(value, _INT32, stream=rows.stream)
