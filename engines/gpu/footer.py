"""What libcudf's chunked writer cannot be told to say in a footer, and is said here in as many bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from headrace.engines.kernels.parquet import ARROW_SCHEMA
from headrace.engines.thrift import Kind, Reader

_ARROW_SCHEMA: Final = ARROW_SCHEMA.encode()
_OTHER_KEY: Final = b"cudf::schema"

_SCHEMA: Final = 2
"""Of FileMetaData: the list of SchemaElement."""
_KEY_VALUES: Final = 5
"""Of FileMetaData: the list of KeyValue."""
_KEY: Final = 1
"""Of KeyValue: text."""
_CHILDREN: Final = 5
"""Of SchemaElement: how many; a leaf has none."""
_LOGICAL_TYPE: Final = 10
"""Of SchemaElement: the LogicalType."""
_TIMESTAMP: Final = 8
"""Of LogicalType: the TimestampType."""
_ADJUSTED_TO_UTC: Final = 1
"""Of TimestampType: a boolean, which is the type in its own header."""


def zoneless_leaves(schema: pl.Schema) -> list[bool]:
    """Of every leaf of a file with these columns, in order: whether it holds times without a zone."""
    return [zoneless for dtype in schema.dtypes() for zoneless in _leaves(dtype)]


def mended(footer: bytes, zoneless: Sequence[bool]) -> bytes:
    """A Parquet file's footer (FileMetaData) as it should be; sizes and places stay as they are.

    Times of the leaves in `zoneless` are not said to be UTC. libcudf marks all times of a file as UTC, pylibcudf has
    no setting for its chunked writer, and a reader would take times without a zone for times in UTC. And of two Arrow
    schemas the second, which is libcudf's own, goes under another key: Arrow takes the first, but Polars the last.

    Source: parquet.thrift of https://github.com/apache/parquet-format

    Raises
    ------
    ValueError
        The footer has another number of leaves.
    """
    changed = bytearray(footer)
    leaves, schemas = [], []
    reader = Reader(footer)
    for field, _ in reader.fields():
        if field == _SCHEMA:
            elements = [_element(reader) for _ in reader.items()]
            leaves = [utc for leaf, utc in elements if leaf]
        elif field == _KEY_VALUES:
            for _ in reader.items():
                for part, _ in reader.fields():
                    if part == _KEY and reader.binary() == _ARROW_SCHEMA:
                        schemas.append(reader.at)
    if len(leaves) != len(zoneless):
        raise ValueError(f"the footer has {len(leaves)} leaves, expected {len(zoneless)}")
    for at, without in zip(leaves, zoneless, strict=True):
        if at and without:
            changed[at] = changed[at] & 0xF0 | Kind.FALSE
    for end in schemas[1:]:
        changed[end - len(_OTHER_KEY) : end] = _OTHER_KEY
    return bytes(changed)


def _element(reader: Reader) -> tuple[bool, int]:
    """Whether a SchemaElement is a leaf, and where it says that its times are UTC; 0 if it does not."""
    leaf, utc = True, 0
    for field, _ in reader.fields():
        if field == _CHILDREN:
            leaf = reader.integer() == 0
        elif field == _LOGICAL_TYPE:
            for logical, _ in reader.fields():
                if logical == _TIMESTAMP:
                    for said, kind in reader.fields():
                        if said == _ADJUSTED_TO_UTC and kind == Kind.TRUE:
                            utc = reader.at - 1
    return leaf, utc


def _leaves(dtype: Any) -> list[bool]:
    if isinstance(dtype, pl.List):
        return _leaves(dtype.inner)
    if isinstance(dtype, pl.Struct):
        return [zoneless for field in dtype.fields for zoneless in _leaves(field.dtype)]
    return [isinstance(dtype, pl.Datetime) and dtype.time_zone is None]
