"""Checksums of pages: which shards have them."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Final

import pyarrow.parquet as pq

from headrace.catalog.reader import Dataset
from headrace.catalog.records import File
from headrace.engines.thrift import Reader

_CRC: Final = 4
"""Of PageHeader."""

_HEADER_BYTES: Final = 64
"""More than stand before the checksum in the header of any page."""


def shards_without_checksums(dataset: Dataset) -> tuple[str, ...]:
    """The shards whose pages have no checksums: those that the GPU engine wrote, as libcudf writes none.

    That is no damage, and takes nothing from `verify`, which decodes every page and compares the hash of every byte;
    but a reader that is told to check pages checks nothing.

    Cost: the footer, and a small read per column of each shard.
    """
    files = [file for split in dataset.manifest.splits.values() for file in split.files]
    return tuple(sorted(dataset.manifest.place(file) for file in files if not _checked(dataset, file)))


def _checked(dataset: Dataset, file: File) -> bool:
    with dataset.opened(file) as source:
        return _first_pages_checked(source)


def has_checksums(path: Path) -> bool:
    """Whether the first page of every column of a Parquet file has a checksum; true of a file without pages.

    Source: parquet.thrift of https://github.com/apache/parquet-format
    """
    with path.open("rb") as source:
        return _first_pages_checked(source)


def _first_pages_checked(source: BinaryIO) -> bool:
    metadata = pq.read_metadata(source)
    groups = [metadata.row_group(i) for i in range(min(1, metadata.num_row_groups))]
    chunks = [group.column(i) for group in groups for i in range(group.num_columns)]
    starts = [c.dictionary_page_offset if c.has_dictionary_page else c.data_page_offset for c in chunks]
    for start in starts:
        source.seek(start)
        if not _has_checksum(bytes(source.read(_HEADER_BYTES))):
            return False
    return True


def _has_checksum(header: bytes) -> bool:
    for number, _ in Reader(header).fields():
        if number >= _CRC:
            return number == _CRC
    return False
