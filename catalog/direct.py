"""Shards read straight from an object store, without a cache: a footer, then the chunks of the chosen columns.

What is read is compared with the checksums of its pages; there is no hash of parts of a file.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from headrace.catalog.arrow_schema import ArrowField, differing
from headrace.catalog.cache import AHEAD, CHUNK, DAMAGED, reading, size_of_object
from headrace.catalog.records import File
from headrace.catalog.store import place
from headrace.schemas.errors import DataError

LEAST: Final = 64 << 10
"""Bytes of a footer that are asked for at least."""

CHUNK_BYTES: Final = 160
"""Of a footer, for a column of a row group: more than it mostly takes, with its statistics."""

GAP: Final = 64 << 10
"""Bytes between two chunks that cost less than a request of their own."""

_TAIL: Final = 8
"""A Parquet file ends with the length of its footer and four letters."""

Range = tuple[int, int]


@dataclass(frozen=True)
class Source:
    """A shard in a store."""

    store: ObjectStore
    name: str
    file: File

    @property
    def where(self) -> str:
        return f"{place(self.store)}/{self.name}"

    def footer(self, columns: int) -> pq.FileMetaData:
        """The footer of a file of so many columns, in one request; in two if it is longer than is usual.

        Raises DataError if the shard is missing, or has another size than it was published with; CapabilityError.
        """
        size = self.file.bytes
        tail = self._tail(max(size - LEAST - CHUNK_BYTES * columns * len(self.file.row_groups), 0))
        length = int.from_bytes(tail[-_TAIL:-4], "little") + _TAIL
        if len(tail) < length <= size:
            tail = self._tail(size - length)
        try:
            footer = pq.read_metadata(pa.BufferReader(tail))
        except (OSError, pa.ArrowException) as error:
            raise self.damaged(f"has a footer that cannot be decoded: {error}") from error
        rows = tuple(footer.row_group(number).num_rows for number in range(footer.num_row_groups))
        if rows != self.file.row_groups:
            raise self.damaged(
                f"has {len(rows)} row groups of {sum(rows):,} rows, and its manifest says {len(self.file.row_groups)} "
                f"of {self.file.rows:,}"
            )
        return footer

    def damaged(self, what: str) -> DataError:
        return DataError(what, hint=DAMAGED, where=self.where)

    def _tail(self, start: int) -> bytes:
        expected = self.file.bytes
        with reading(self.store, self.name, f"{expected} bytes"):
            try:
                found = obstore.get(self.store, self.name, options={"range": (start, expected)})
                size, data = int(found.meta["size"]), bytes(found.bytes())
            except BaseError as error:
                if "416" not in str(error):  # it may end before `start`
                    raise
                size, data = size_of_object(self.store, self.name), b""
        if size != expected or len(data) != expected - start:
            raise self.damaged(f"has {size} bytes, was published with {expected}")
        return data

    def table(self, fields: Sequence[ArrowField], columns: Sequence[str]) -> pa.Table:
        """Some columns of all rows; `fields` are all that the file should have.

        Raises as `footer`; DataError if a column is not there, of another type, or cannot be decoded.
        """
        footer = self.footer(len(fields))
        if wrong := differing(fields, columns, footer.schema.to_arrow_schema()):
            raise self.damaged(f"has columns {', '.join(wrong)} not as its manifest says")
        try:
            return self.opened(footer, range(footer.num_row_groups), columns).read(columns=list(columns))
        except (OSError, pa.ArrowException) as error:
            raise self.damaged(f"cannot be decoded: {error}") from error

    def opened(self, footer: pq.FileMetaData, groups: Iterable[int], columns: Sequence[str]) -> pq.ParquetFile:
        """The file with some columns of some row groups in memory, and nothing else to be read."""
        ranges = [part for number in groups for part in chunks(footer, number, columns)]
        if any(not 0 <= start <= stop <= self.file.bytes for start, stop in ranges):
            raise self.damaged("has a footer that points behind its end")
        data = pa.BufferReader(self._fetched(ranges))
        return pq.ParquetFile(data, metadata=footer, page_checksum_verification=True)

    def _fetched(self, ranges: Sequence[Range]) -> pa.Buffer:
        """What is not asked for takes no memory."""
        space = mmap.mmap(-1, self.file.bytes, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)

        def fetch(part: Range) -> None:
            start, end = part
            data = obstore.get_range(self.store, self.name, start=start, end=end)
            if len(data) != end - start:
                raise self.damaged(f"ends at byte {start + len(data)}, was published with {self.file.bytes}")
            space[start:end] = memoryview(data)

        with ThreadPoolExecutor(AHEAD, thread_name_prefix="fetch") as pool, reading(self.store, self.name):
            try:
                list(pool.map(fetch, requests(ranges)))
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
        return pa.py_buffer(space)


class DirectShard:
    """A shard in a store, open for one thread, as a `ParquetFile` is.

    Parameters
    ----------
    columns
        What will be read of each row group: it is fetched at once when the first of them is asked for, and let go when
        the last was.
    """

    def __init__(self, source: Source, footer: pq.FileMetaData, columns: Sequence[str]) -> None:
        self._source = source
        self._footer = footer
        self._columns = columns
        self._left: set[str] = set()
        self._held: tuple[int, pq.ParquetFile] | None = None
        self.num_row_groups: int = footer.num_row_groups
        self.schema_arrow: pa.Schema = footer.schema.to_arrow_schema()

    def read_row_group(self, number: int, columns: Sequence[str], use_threads: bool = False) -> pa.Table:
        """Some of the columns of a row group; the checksums of their pages are compared.

        Raises DataError if the shard is missing, CapabilityError if the store refuses, pyarrow's errors.
        """
        if self._held is None or self._held[0] != number or not self._left.issuperset(columns):
            self._held = None  # before there is more
            self._held = (number, self._source.opened(self._footer, [number], self._columns))
            self._left = set(self._columns)
        table = self._held[1].read_row_group(number, columns=list(columns), use_threads=use_threads)
        self._left.difference_update(columns)
        if not self._left:
            self._held = None
        return table

    def close(self) -> None:
        self._held = None


def chunks(footer: pq.FileMetaData, number: int, columns: Sequence[str]) -> Iterator[Range]:
    """Where in a file some columns of a row group lie."""
    group = footer.row_group(number)
    for at in range(group.num_columns):
        chunk = group.column(at)
        path = chunk.path_in_schema
        if any(path == name or path.startswith(f"{name}.") for name in columns):
            start = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
            yield start, start + chunk.total_compressed_size


def requests(ranges: Iterable[Range]) -> Iterator[Range]:
    """The ranges as what is asked for: neighbours together, and none of more than a few MiB."""
    joined: list[list[int]] = []
    for start, stop in sorted(ranges):
        if joined and start - joined[-1][1] <= GAP:
            joined[-1][1] = max(stop, joined[-1][1])
        else:
            joined.append([start, stop])
    for start, stop in joined:
        for part in range(start, stop, CHUNK):
            yield part, min(part + CHUNK, stop)
