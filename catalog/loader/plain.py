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
from collections.abc import Iterable, Sequence
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
    stored
        The type that the values have in the file.
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
    of = dtype if dtype.itemsize == width else np.dtype(stored)  # unsigned numbers are stored as signed ones
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
    return Pages(tuple(starts), tuple(begin), of)


def fill(descriptor: int, columns: Iterable[tuple[Pages, int]], targets: Sequence[Target]) -> bool:
    """Read rows of columns to where they go, of those that follow one another in the file in one call.

    A call is what a thread lets the others run for: many short ones cost more than what they read.

    Parameters
    ----------
    columns
        The pages of each, and the byte of every memory at which it begins.
    targets
        Of rows that follow one another, at least one.

    Returns
    -------
    bool
        False if the file ends too early.
    """
    cuts: dict[Any, list[_Cut]] = {}
    begin = at = 0
    parts: list[memoryview] = []
    for pages, base in sorted(columns, key=lambda column: column[0].starts):
        width = pages.stored.itemsize
        key = pages.rows, width
        if key not in cuts:
            cuts[key] = _cuts(pages.rows, width, targets)
        for page, first, last, pieces in cuts[key]:
            start = pages.starts[page] + first
            if parts and 0 <= start - at <= len(_BETWEEN):
                parts.append(_BETWEEN[: start - at])
            elif not _read(descriptor, parts, begin, at):
                return False
            else:
                begin, parts = start, []
            parts += [memory[base + a : base + z] for memory, a, z in pieces]
            at = pages.starts[page] + last
    return _read(descriptor, parts, begin, at)


_Cut = tuple[int, int, int, list[tuple[memoryview, int, int]]]
"""A page, which bytes of its values are read, and where to: bytes of memories beside where a column begins."""


def _cuts(pages: tuple[int, ...], width: int, targets: Sequence[Target]) -> list[_Cut]:
    page = bisect_right(pages, targets[0].first) - 1
    found: list[_Cut] = []
    pieces: list[tuple[memoryview, int, int]] = []
    begin = targets[0].first
    for first, last, memory, place in targets:
        row = first
        while row < last:
            if row == pages[page + 1]:
                found.append((page, (begin - pages[page]) * width, (row - pages[page]) * width, pieces))
                page, begin, pieces = page + 1, row, []
            stop = min(last, pages[page + 1])
            pieces.append((memory, (place + row - first) * width, (place + stop - first) * width))
            row = stop
    found.append((page, (begin - pages[page]) * width, (targets[-1].last - pages[page]) * width, pieces))
    return found


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
    """Where rows [first, last) of a row group go: to a memory, from its row `place` on."""

    first: int
    last: int
    memory: memoryview
    place: int


_PARTS: Final = 1000
"""That the system takes in one call."""

_BETWEEN: Final = memoryview(bytearray(512))
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
