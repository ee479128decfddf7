"""Numbers that lie in a file as they lie in memory: read into place, not decoded.

A column without nulls that is neither compressed nor encoded is, page after page, a small header and then its values.
Reading them costs one copy out of the system's cache, and no allocation. Whatever else stands in a file, or where a
header is not what it should be, is left to Arrow.

Source: https://github.com/apache/parquet-format, README.md and parquet.thrift
"""

from __future__ import annotations

import mmap
import os
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

Array = npt.NDArray[Any]

_STORED: Final = {"INT32": np.int32, "INT64": np.int64, "FLOAT": np.float32, "DOUBLE": np.float64}
"""Physical types whose values have the bytes that NumPy's have; narrower integers are stored as INT32."""


@dataclass(frozen=True)
class Pages:
    """Where the values of a column lie in a row group.

    Parameters
    ----------
    starts
        Bytes of the file at which the values of each page begin.
    rows
        Row of the row group with which each page begins, and how many there are.
    """

    starts: tuple[int, ...]
    rows: tuple[int, ...]
    stored: np.dtype[Any]


def pages_of(column: pq.ColumnChunkMetaData, dtype: np.dtype[Any], file: mmap.mmap) -> Pages | None:
    """The pages of a column without nulls and lists whose values are of type `dtype`.

    None if its values are not plain, or if a page is not as expected.
    """
    stored = _STORED.get(column.physical_type)
    if stored is None or column.compression != "UNCOMPRESSED" or column.has_dictionary_page:
        return None
    if not set(column.encodings) <= {"PLAIN", "RLE"} or not _holds(np.dtype(stored), dtype):
        return None
    width = np.dtype(stored).itemsize
    rows, match = column.num_values, _header(width).match
    at, starts, begin = column.data_page_offset, [], [0]
    stop = at + column.total_compressed_size
    if stop > len(file) or column.file_path:
        return None
    while begin[-1] < rows and at < stop:
        if (found := match(file, at, min(at + len(_BETWEEN), stop))) is None:
            return None
        size, count = _integer(found[1]), _integer(found[3])
        if count <= 0 or size != count * width or _integer(found[2]) != size:
            return None
        starts.append(found.end())
        begin.append(begin[-1] + count)
        at = found.end() + size
    if begin[-1] != rows or at != stop:
        return None
    return Pages(tuple(starts), tuple(begin), np.dtype(stored))


def fill(descriptor: int, pages: Pages, targets: Sequence[Target]) -> bool:
    """Read values of a column to where they go, mostly in one call; False if the file ends too early.

    Parameters
    ----------
    targets
        Of rows that follow one another.
    """
    width, between = pages.stored.itemsize, memoryview(_BETWEEN)
    row = targets[0].first
    page = bisect_right(pages.rows, row) - 1
    end = pages.rows[page + 1]
    begin = at = pages.starts[page] + (row - pages.rows[page]) * width
    parts = []
    for target in targets:
        done = 0
        while row < target.last:
            if row == end:
                page += 1
                end = pages.rows[page + 1]
                parts.append(between[: pages.starts[page] - at])
                at = pages.starts[page]
            stop = min(target.last, end)
            size = (stop - row) * width
            parts.append(target.memory[done : done + size])
            done, at, row = done + size, at + size, stop
    return _read(descriptor, parts, begin, at)


def _read(descriptor: int, parts: list[memoryview], at: int, stop: int) -> bool:
    """Fill memory with bytes [at, stop) of a file; False if it ends before. A call of the system may give less."""
    done = 0
    while at < stop:
        if not (got := os.preadv(descriptor, parts[done : done + _PARTS], at)):
            return False
        at += got
        while got and got >= len(parts[done]):
            got -= len(parts[done])
            done += 1
        if got:
            parts[done] = parts[done][got:]
    return True


class Target(NamedTuple):
    """Where rows [first, last) of a row group go: so many bytes as their values have."""

    first: int
    last: int
    memory: memoryview


_PARTS: Final = 1000
"""That the system takes in one call."""

_BETWEEN: Final = bytearray(512)
"""Where headers go that are read with what is around them; a longer one is none."""


def _holds(stored: np.dtype[Any], dtype: np.dtype[Any]) -> bool:
    if stored.kind == "f":
        return dtype == stored
    return dtype.kind in "iu" and (dtype.itemsize == stored.itemsize or dtype.itemsize < stored.itemsize == 4)


@cache
def _header(width: int) -> re.Pattern[bytes]:
    """The header of a page of the first version with values of some bytes each: sizes, checksum, number, statistics."""
    number, value = rb"[\x80-\xff]{0,9}[\x00-\x7f]", rb"%b.{%d}" % (re.escape(bytes([width])), width)
    types = {8: value, 6: number, 1: b"", 2: b""}
    tokens = [
        rb"[%b]%b" % (b"".join(re.escape(bytes([delta << 4 | kind])) for delta in range(1, 9)), what)
        for kind, what in types.items()
    ]
    return re.compile(
        rb"\x15\x00\x15(%b)\x15(%b)(?:\x15%b\x1c|\x2c)\x15(%b)\x15\x00\x15\x06\x15\x06(?:\x1c(?:%b)*\x00)?\x00\x00"
        % (number, number, number, number, b"|".join(tokens)),
        re.DOTALL,
    )


@lru_cache(maxsize=1024)
def _integer(encoded: bytes) -> int:
    """A number of Thrift's compact protocol."""
    value = sum((byte & 127) << 7 * place for place, byte in enumerate(encoded))
    return (value >> 1) ^ -(value & 1)
