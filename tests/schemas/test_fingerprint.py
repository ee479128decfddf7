"""Files are told apart by their footer, their size and samples of their pages."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.schemas.fingerprint import fingerprint_of
from headrace.schemas.footers import open_metadata, read_footer


def plain(path: Path, rows: int, first: int) -> str:
    """A file whose footer and size do not tell which rows it holds."""
    table = pa.table({"id": np.arange(rows) + first})
    pq.write_table(table, path, compression="none", use_dictionary=False, write_statistics=False)
    return read_footer(path).fingerprint


@pytest.mark.parametrize("rows", [20, 200_000])
def test_files_of_other_plain_numbers_have_another_one(tmp_path: Path, rows: int) -> None:
    one, other, again = (plain(tmp_path / f"{n}.parquet", rows, first) for n, first in enumerate([0, 9, 0]))
    assert open_metadata(tmp_path / "0.parquet").equals(open_metadata(tmp_path / "1.parquet"))
    assert one == again
    assert one != other


def test_of_a_small_file_every_byte_counts() -> None:
    content = bytes(range(256)) * 512
    found = {fingerprint_of(io.BytesIO(content), len(content), b"")}
    for at in range(0, len(content), 1001):
        changed = bytearray(content)
        changed[at] ^= 1
        found.add(fingerprint_of(io.BytesIO(changed), len(changed), b""))
    assert len(found) == 1 + len(range(0, len(content), 1001))


def test_of_a_large_file_the_first_and_the_last_byte_count_and_samples_between() -> None:
    size = 1 << 20
    same = fingerprint_of(io.BytesIO(bytes(size)), size, b"footer")
    assert same == hashlib.sha256(b"footer" + size.to_bytes(8, "little") + bytes(32 * 4096)).hexdigest()

    def seen(at: int) -> bool:
        content = bytearray(size)
        content[at] = 1
        return fingerprint_of(io.BytesIO(content), size, b"footer") != same

    assert seen(0)
    assert seen(size - 1)
    assert seen((size - 4096) // 31)
    assert not seen(4096)
