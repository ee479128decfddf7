"""Kernel `lists` on the device: parts by libcudf's list functions, statistics by grouping the elements by their row."""

from __future__ import annotations

from typing import Any, Final

import pylibcudf as plc
from rmm.pylibrmm.stream import Stream

from headrace.engines.gpu.frame import DeviceFrame
from headrace.engines.kernels.lists import Contains, Lists, Reduce, Slice, Statistic, output_dtype

_INT32: Final = plc.DataType(plc.TypeId.INT32)
_SUMS: Final = {
    plc.TypeId.FLOAT32: plc.TypeId.FLOAT64,
    plc.TypeId.FLOAT64: plc.TypeId.FLOAT64,
    plc.TypeId.UINT64: plc.TypeId.UINT64,
}
_FLOATS: Final = (plc.TypeId.FLOAT32, plc.TypeId.FLOAT64)


def gpu(rows: DeviceFrame, kernel: Lists) -> DeviceFrame:
    """The rows with the result beside them; memory for the elements once more, and for their row numbers."""
    lists, operation = rows.column(kernel.column), kernel.operation
    dtype = output_dtype(operation, rows.schema[kernel.column])
    if isinstance(operation, Slice):
        made = _sliced(lists, operation, rows.stream) if rows.height else lists
    elif isinstance(operation, Contains):
        made = _contained(lists, operation, rows.stream)
    elif operation.statistic == "length":
        made = plc.lists.count_elements(lists, stream=rows.stream)
    else:
        made = _reduced(lists, operation, rows.stream)
    return rows.with_column(kernel.output, made, dtype)


def _sliced(lists: plc.Column, part: Slice, stream: Stream) -> plc.Column:
    counted = plc.lists.count_elements(lists, stream=stream)
    lengths = plc.replace.replace_nulls(counted, _int32(0, stream), stream=stream)
    first = _position(lengths, part.start, stream)
    last = lengths if part.end is None else _position(lengths, part.end, stream)
    sizes = _at_least_zero(_binary(last, first, plc.binaryop.BinaryOperator.SUB, stream), stream)
    places = plc.lists.sequences(first, sizes, stream=stream)
    kept = plc.lists.segmented_gather(lists, places, plc.copying.OutOfBoundsPolicy.DONT_CHECK, stream=stream)
    if part.pad is None or part.width is None:
        return _null_where(kept, lists, stream)
    missing = _binary(_int32(part.width, stream), sizes, plc.binaryop.BinaryOperator.SUB, stream)
    padding = _runs(missing, part.pad, lists.list_view().child().type(), stream)
    return plc.lists.concatenate_rows(plc.Table([kept, padding]), stream=stream)  # null lists add nothing to a row


def _position(lengths: plc.Column, end: int, stream: Stream) -> plc.Column:
    if end < 0:
        return _at_least_zero(_binary(lengths, _int32(end, stream), plc.binaryop.BinaryOperator.ADD, stream), stream)
    return _binary(lengths, _int32(end, stream), plc.binaryop.BinaryOperator.NULL_MIN, stream)


def _at_least_zero(numbers: plc.Column, stream: Stream) -> plc.Column:
    return _binary(numbers, _int32(0, stream), plc.binaryop.BinaryOperator.NULL_MAX, stream)


def _runs(lengths: plc.Column, value: Any, dtype: plc.DataType, stream: Stream) -> plc.Column:
    """Lists of these lengths that hold nothing but `value`."""
    zeros = plc.Column.from_scalar(_int32(0, stream), lengths.size(), stream=stream)
    runs = plc.lists.sequences(zeros, lengths, stream=stream)
    shape = runs.list_view()
    scalar = plc.Scalar.from_py(value, dtype, stream=stream)
    values = plc.Column.from_scalar(scalar, shape.child().size(), stream=stream)
    return plc.Column(runs.type(), runs.size(), None, None, 0, 0, [shape.offsets(), values])


def _contained(lists: plc.Column, operation: Contains, stream: Stream) -> plc.Column:
    key = plc.Scalar.from_py(operation.value, lists.list_view().child().type(), stream=stream)
    found = plc.lists.contains(lists, key, stream=stream)
    # Null elements beside which there is no such value make a null of it, or not: the documentation has had both.
    no = plc.Scalar.from_py(False, plc.DataType(plc.TypeId.BOOL8), stream=stream)
    return _null_where(plc.replace.replace_nulls(found, no, stream=stream), lists, stream)


def _reduced(lists: plc.Column, operation: Reduce, stream: Stream) -> plc.Column:
    # libcudf's segmented reduction is not in pylibcudf. Exploded rows are in the order of the lists, an empty or null
    # list gives a row of its own, so the groups are the lists again, one by one.
    element, statistic = lists.list_view().child().type(), operation.statistic
    computed, result = _dtypes(statistic, element)
    if lists.size() == 0:
        return _as(plc.lists.count_elements(lists, stream=stream), result, stream)  # no rows, but of that type
    numbers = plc.filling.sequence(lists.size(), _int32(0, stream), _int32(1, stream), stream=stream)
    exploded = plc.lists.explode_outer(plc.Table([numbers, lists]), 1, stream=stream)
    row, values = exploded.columns()
    if statistic in ("min", "max") and element.id() in _FLOATS:
        values = plc.transform.column_nans_to_nulls(values, stream=stream)
    groups = plc.groupby.GroupBy(plc.Table([row]), keys_are_sorted=plc.types.Sorted.YES)
    request = plc.groupby.GroupByRequest(_as(values, computed, stream), [_aggregation(statistic)])
    _, [table] = groups.aggregate([request], stream=stream)
    [found] = table.columns()
    if statistic == "sum":
        found = plc.replace.replace_nulls(found, plc.Scalar.from_py(0, found.type(), stream=stream), stream=stream)
    return _null_where(_as(found, result, stream), lists, stream)


def _dtypes(statistic: Statistic, element: plc.DataType) -> tuple[plc.DataType, plc.DataType]:
    """The types that a statistic is computed from, and given in."""
    match statistic:
        case "mean":
            return (plc.DataType(plc.TypeId.FLOAT64),) * 2
        case "sum":
            return (plc.DataType(_SUMS.get(element.id(), plc.TypeId.INT64)),) * 2
        case "min" | "max" if element.id() == plc.TypeId.BOOL8:
            return plc.DataType(plc.TypeId.UINT8), element
        case "min" | "max":
            return element, element
    return element, _INT32


def _aggregation(statistic: Statistic) -> plc.aggregation.Aggregation:
    match statistic:
        case "sum":
            return plc.aggregation.sum()
        case "mean":
            return plc.aggregation.mean()
        case "min":
            return plc.aggregation.min()
        case "max":
            return plc.aggregation.max()
    return plc.aggregation.count(plc.types.NullPolicy.EXCLUDE)


def _null_where(column: plc.Column, lists: plc.Column, stream: Stream) -> plc.Column:
    """The column, null also in the rows whose list is."""
    if lists.null_count() == 0:
        return column
    mask, nulls = plc.null_mask.bitmask_and([column, lists], stream=stream)
    return column.with_mask(mask, nulls)


def _as(column: plc.Column, dtype: plc.DataType, stream: Stream) -> plc.Column:
    return column if column.type() == dtype else plc.unary.cast(column, dtype, stream=stream)


def _binary(
    left: plc.Column | plc.Scalar, right: plc.Column | plc.Scalar, operator: plc.binaryop.BinaryOperator, stream: Stream
) -> plc.Column:
    return plc.binaryop.binary_operation(left, right, operator, _INT32, stream=stream)


def _int32(value: int, stream: Stream) -> plc.Scalar:
    return plc.Scalar.from_py(value, _INT32, stream=stream)
