"""Where files go to and come from, and what is said of their columns; the enumerations are pylibcudf's own."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pylibcudf.io.types import ColumnEncoding, CompressionType, DictionaryPolicy, StatisticsFreq
from pylibcudf.types import TypeId
from tests.imitation.column import Column
from tests.imitation.table import Table

__all__ = [
    "ColumnEncoding",
    "ColumnInMetadata",
    "CompressionType",
    "DictionaryPolicy",
    "SinkInfo",
    "SourceInfo",
    "StatisticsFreq",
    "TableInputMetadata",
    "TableWithMetadata",
]


class SinkInfo:
    """One file to write, or one object that is written to; what the object raises is dropped, as libcudf does."""

    def __init__(self, sinks: Sequence[Any]) -> None:
        [sink] = sinks
        if not isinstance(sink, str | io.IOBase):
            raise TypeError(f"Unrecognized input type: {type(sink)}")
        self._sink = Path(sink).open("wb") if isinstance(sink, str) else sink  # noqa: SIM115  closed by `_close`
        self._own = isinstance(sink, str)

    def _write(self, data: bytes) -> None:
        if self._own:
            self._sink.write(data)
            return
        with contextlib.suppress(BaseException):  # Cython prints it and goes on
            self._sink.write(memoryview(data))

    def _close(self) -> None:
        if self._own:
            self._sink.close()


class SourceInfo:
    """Files to read, by path."""

    def __init__(self, sources: Sequence[Any]) -> None:
        for source in sources:
            if not isinstance(source, str | os.PathLike):
                raise TypeError("Sources must be a list of str/paths")
            if not Path(source).is_file():
                raise FileNotFoundError(2, "No such file or directory", str(source))
        self._paths = [Path(source) for source in sources]


class ColumnInMetadata:
    """What is said of a column; nothing at first."""

    def __init__(self) -> None:
        raise ValueError("ColumnInMetadata should not be constructed directly. Use one of the factories.")

    @classmethod
    def _of(cls, column: Column) -> ColumnInMetadata:
        made = cls.__new__(cls)
        made._type, made._array = column.type().id(), column._array.type
        made._name, made._nullable, made._precision = "", None, None
        made._encoding = ColumnEncoding.USE_DEFAULT
        made._children = [cls._of(child) for child in _children(column)]
        return made

    _type: TypeId
    _array: pa.DataType
    _name: str
    _nullable: bool | None
    _precision: int | None
    _encoding: ColumnEncoding
    _children: list[ColumnInMetadata]

    def set_name(self, name: str) -> ColumnInMetadata:
        self._name = name
        return self

    def get_name(self) -> str:
        return self._name

    def set_nullability(self, nullable: bool) -> ColumnInMetadata:
        self._nullable = nullable
        return self

    def set_decimal_precision(self, precision: int) -> ColumnInMetadata:
        if not self._type.name.startswith("DECIMAL"):
            raise TypeError(f"a column of {self._type.name} has no precision")
        self._precision = precision
        return self

    def set_encoding(self, encoding: ColumnEncoding) -> ColumnInMetadata:
        if self._children and self._type != TypeId.STRING:
            raise TypeError(f"a column of {self._type.name} is not encoded, its children are")
        fixed = self._type not in (TypeId.STRING, TypeId.BOOL8)
        if encoding == ColumnEncoding.BYTE_STREAM_SPLIT and not fixed:
            raise TypeError(f"libcudf warns and does not split the bytes of {self._type.name}")
        self._encoding = encoding
        return self

    def child(self, i: int) -> ColumnInMetadata:
        return self._children[i]


class TableInputMetadata:
    """What is said of the columns of a table."""

    def __init__(self, table: Table) -> None:
        self._columns = [ColumnInMetadata._of(column) for column in table.columns()]

    @property
    def column_metadata(self) -> list[ColumnInMetadata]:
        return self._columns


class TableWithMetadata:
    """A table that was read."""

    tbl: Table

    def __init__(self, tbl: Table, column_names: list[Any]) -> None:
        self.tbl = tbl
        self._names = [name for name, _ in column_names]

    def column_names(self, include_children: bool = False) -> list[Any]:
        if include_children:
            raise NotImplementedError
        return self._names


def _children(column: Column) -> list[Column]:
    """The children that libcudf's columns have: offsets of strings and lists, items, fields."""
    from tests.imitation.io.parquet import column_of

    array = column._array
    if column.type().id() == TypeId.LIST:
        return [column_of(array.offsets), column_of(array.values)]
    if column.type().id() == TypeId.STRUCT:
        return [column_of(array.field(i)) for i in range(array.type.num_fields)]
    if column.type().id() == TypeId.STRING:
        return [column_of(pa.array([], pa.int32()))]
    return []
