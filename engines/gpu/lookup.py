"""Kernel `lookup` on the device: binary search in a vocabulary that lies there sorted.

The contract stands in `headrace.engines.kernels.lookup`.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Final

import polars as pl
import pylibcudf as plc

from headrace.engines.gpu import query
from headrace.engines.gpu.frame import DeviceFrame
from headrace.engines.kernels.lookup import Lookup

_INT32: Final = plc.DataType(plc.TypeId.INT32)
_BOOL: Final = plc.DataType(plc.TypeId.BOOL8)
_ORDER: Final = [plc.types.Order.ASCENDING]
_NULLS: Final = [plc.types.NullOrder.AFTER]


@dataclass(frozen=True)
class Vocabulary:
    """A vocabulary on the device.

    Parameters
    ----------
    values
        One column: the values in ascending order, unique, none of them null.
    positions
        The vocabulary's row of each of them, Int32.
    """

    values: plc.Table
    positions: plc.Column


class Vocabularies:
    """The vocabularies that this process has on its device: each is copied there and sorted once, for all partitions.

    A vocabulary leaves the device with the frame it was made of, or with this, or with `clear`.
    """

    def __init__(self) -> None:
        self._held: dict[int, Vocabulary] = {}

    def of(self, frame: pl.DataFrame) -> Vocabulary:
        """The vocabulary of a frame with a column `value`, known by the frame's identity."""
        key = id(frame)
        if key not in self._held:
            self._held[key] = in_order(query.from_polars(frame.select("value")))
            # By a weak reference: steps that stay loaded hold their frames for longer than an engine is open.
            weakref.finalize(frame, _forget, weakref.ref(self), key)
        return self._held[key]

    def clear(self) -> None:
        """Let go of all of them, so that their memory is free."""
        self._held.clear()


def _forget(vocabularies: weakref.ref[Vocabularies], key: int) -> None:
    there = vocabularies()
    if there is not None:
        there._held.pop(key, None)


def in_order(vocabulary: DeviceFrame) -> Vocabulary:
    """Sort a vocabulary: its column `value` must be unique and not null.

    It is ready for every stream when this returns, because later partitions may come on others.
    """
    stream = vocabulary.stream
    values = plc.Table([vocabulary.column("value")])
    positions = plc.sorting.sorted_order(values, _ORDER, _NULLS, stream=stream)
    ordered = plc.copying.gather(values, positions, plc.copying.OutOfBoundsPolicy.DONT_CHECK, stream=stream)
    stream.synchronize()
    return Vocabulary(ordered, positions)


def gpu(rows: DeviceFrame, kernel: Lookup, vocabulary: Vocabulary) -> DeviceFrame:
    """Find where each value would be inserted before and after its equals: it is there if the two differ.

    `vocabulary` is the kernel's, on the device.

    Cost: two times log2(size of the vocabulary) comparisons and 12 bytes a row, whatever the length of strings. Hashing
    strings first would make the comparisons cheaper, but the vocabulary would have to be gathered to tell equal
    hashes from equal strings; a join would hash the vocabulary anew for every partition.
    """
    stream = rows.stream
    value = rows.column(kernel.column)
    ids = _found(value, vocabulary, kernel, rows)
    if kernel.null != kernel.missing:
        known = plc.unary.is_valid(value, stream=stream)
        ids = plc.copying.copy_if_else(ids, _scalar(kernel.null, rows), known, stream=stream)
    return rows.with_column(kernel.output, ids, pl.Int32())


def _found(value: plc.Column, vocabulary: Vocabulary, kernel: Lookup, rows: DeviceFrame) -> plc.Column:
    """The ids of values that are there, `missing` for others and for nulls."""
    stream, missing = rows.stream, _scalar(kernel.missing, rows)
    if vocabulary.values.num_rows() == 0:
        return plc.Column.from_scalar(missing, rows.height, stream=stream)
    needles = plc.Table([value])
    # A null comes after all values, where nothing stands.
    start = plc.search.lower_bound(vocabulary.values, needles, _ORDER, _NULLS, stream=stream)
    end = plc.search.upper_bound(vocabulary.values, needles, _ORDER, _NULLS, stream=stream)
    there = plc.binaryop.binary_operation(start, end, plc.binaryop.BinaryOperator.LESS, _BOOL, stream=stream)
    outside = plc.copying.OutOfBoundsPolicy.NULLIFY
    [ids] = plc.copying.gather(plc.Table([vocabulary.positions]), start, outside, stream=stream).columns()
    if kernel.first:
        add = plc.binaryop.BinaryOperator.ADD
        ids = plc.binaryop.binary_operation(ids, _scalar(kernel.first, rows), add, _INT32, stream=stream)
    return plc.copying.copy_if_else(ids, missing, there, stream=stream)


def _scalar(value: int | None, rows: DeviceFrame) -> plc.Scalar:
    return plc.Scalar.from_py(value, _INT32, stream=rows.stream)
