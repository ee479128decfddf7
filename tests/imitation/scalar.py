"""Scalars: one value, or null, of a type."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
from pylibcudf.types import DataType, TypeId
from tests.imitation.arrays import NUMBERS, Stream, arrow_type, ready


class Scalar:
    """A value on the device."""

    _type: DataType
    _value: Any

    def __init__(self) -> None:
        raise ValueError("Scalar should be constructed with a factory")

    def type(self) -> DataType:
        return self._type

    def is_valid(self, stream: Stream | None = None) -> bool:
        ready(stream, None)
        return self._value is not None

    @classmethod
    def from_py(cls, py_val: Any, dtype: DataType | None = None, stream: Stream | None = None) -> Scalar:
        """A Python value as a scalar; out of the type's range or of another kind is refused."""
        ready(stream, None)
        if dtype is None:
            raise TypeError("say which type the scalar is of")
        if py_val is not None:
            _check(py_val, dtype)
        scalar = cls.__new__(cls)
        scalar._type, scalar._value = dtype, py_val
        return scalar

    def to_py(self, stream: Stream | None = None) -> Any:
        ready(stream, None)
        return self._value

    def _arrow(self) -> pa.Scalar:
        known = (TypeId.BOOL8, TypeId.STRING, TypeId.TIMESTAMP_DAYS)
        if self._value is None or self._type.id() in NUMBERS or self._type.id() in known:
            return pa.scalar(self._value, arrow_type(self._type))
        raise NotImplementedError(f"a {self._type.id().name} scalar with a value")


def _check(value: Any, dtype: DataType) -> None:
    kind = dtype.id()
    if kind in (TypeId.FLOAT32, TypeId.FLOAT64):
        fits = isinstance(value, int | float)
    elif kind == TypeId.BOOL8:
        fits = value in (0, 1)
    elif kind == TypeId.STRING:
        fits = isinstance(value, str)
    elif kind == TypeId.TIMESTAMP_DAYS:
        fits = type(value) is date
    else:
        stored = NUMBERS.get(kind, np.dtype("i4" if kind == TypeId.DURATION_DAYS else "i8"))
        limits = np.iinfo(stored)
        fits = isinstance(value, int) and limits.min <= value <= limits.max
    if not fits:
        raise OverflowError(f"{value!r} is out of range for a {kind.name} scalar")
