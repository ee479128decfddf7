"""Hashes of rows."""

from __future__ import annotations

import numpy as np
import xxhash
from pylibcudf.hashing import LIBCUDF_DEFAULT_HASH_SEED
from pylibcudf.types import DataType, TypeId
from tests.imitation.arrays import Stream, from_numbers, ready
from tests.imitation.column import Column
from tests.imitation.table import Table

_NULL = 2**64 - 1


def xxhash_64(
    input: Table, seed: int = LIBCUDF_DEFAULT_HASH_SEED, stream: Stream | None = None, mr: None = None
) -> Column:
    """XXH64 of one string column's UTF-8 bytes; a null has the greatest number."""
    ready(stream, mr, input=(input, Table), seed=(seed, int))
    if not 0 <= seed < 2**64:
        raise OverflowError(f"the seed must fit into 64 bits, got {seed}")
    [column] = input.columns()
    if column.type().id() != TypeId.STRING:
        raise NotImplementedError(f"a hash of {column.type().id().name}")
    texts = column._array.to_pylist()
    hashes = [_NULL if text is None else xxhash.xxh64_intdigest(text.encode(), seed) for text in texts]
    return from_numbers(DataType(TypeId.UINT64), np.array(hashes, dtype="u8"))
