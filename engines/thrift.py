"""Just enough of Thrift's compact protocol to look into the headers and the footer of a Parquet file.

Source: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum


class Kind(IntEnum):
    """The types of values; a boolean field is its own value."""

    TRUE = 1
    FALSE = 2
    BYTE = 3
    I16 = 4
    I32 = 5
    I64 = 6
    DOUBLE = 7
    BINARY = 8
    LIST = 9
    SET = 10
    MAP = 11
    STRUCT = 12


class Reader:
    """Walks over encoded values.

    Parameters
    ----------
    data
        Starts with the value to read; what comes after it is not looked at.

    Raises
    ------
    IndexError
        From any method: the data end too early.
    ValueError
        From any method: the data are something else.
    """

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data = data
        self.at = 0

    def fields(self) -> Iterator[tuple[int, Kind]]:
        """Number and type of each field of a struct; the value of a field is skipped unless the caller reads it.

        When a pair is given, `at` is behind the field's header: the byte before it holds the type of a short header.
        """
        number = 0
        while header := self._byte():
            number = number + (header >> 4) if header >> 4 else self.integer()
            kind, start = Kind(header & 15), self.at
            yield number, kind
            if self.at == start:
                self._skip(kind)

    def items(self) -> Iterator[Kind]:
        """The type of each item of a list; an item is skipped unless the caller reads it."""
        header = self._byte()
        count = header >> 4 if header >> 4 < 15 else self._varint()
        kind = Kind(header & 15)
        for _ in range(count):
            start = self.at
            yield kind
            if self.at == start:
                self._skip(kind, item=True)

    def integer(self) -> int:
        """An integer of 16, 32 or 64 bits."""
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def binary(self) -> bytes:
        """Bytes or text; `at` is behind their last byte."""
        size = self._varint()
        self.at += size
        return bytes(self._data[self.at - size : self.at])

    def _skip(self, kind: Kind, *, item: bool = False) -> None:
        match kind:
            case Kind.TRUE | Kind.FALSE:
                self.at += item
            case Kind.BYTE:
                self.at += 1
            case Kind.I16 | Kind.I32 | Kind.I64:
                self._varint()
            case Kind.DOUBLE:
                self.at += 8
            case Kind.BINARY:
                self.binary()
            case Kind.LIST | Kind.SET:
                for _ in self.items():
                    pass
            case Kind.STRUCT:
                for _ in self.fields():
                    pass
            case Kind.MAP:
                raise ValueError("Parquet has no maps in its headers")

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def _byte(self) -> int:
        byte = self._data[self.at]
        self.at += 1
        return byte
