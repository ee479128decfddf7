from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from headrace.catalog.checksums import has_checksums, shards_without_checksums
from headrace.catalog.reader import open_dataset
from headrace.catalog.shards import write_table
from headrace.catalog.verify import verify

FRAME = pl.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "x" * 1000], "c": [[0.5], [], [1.5]]})


@pytest.mark.parametrize("dictionary", [frozenset(), {"a", "b"}], ids=["plain", "dictionary"])
def test_shards_have_checksums_as_the_cpu_engine_writes_them(tmp_path: Path, dictionary: Any) -> None:
    write_table(tmp_path, "a.parquet", FRAME.to_arrow(), dictionary=dictionary)
    assert has_checksums(tmp_path / "a.parquet")
    write_table(tmp_path, "b.parquet", FRAME.clear().to_arrow())
    assert has_checksums(tmp_path / "b.parquet")


@pytest.mark.parametrize("dictionary", [[], ["a", "b"]], ids=["plain", "dictionary"])
def test_files_of_other_writers_have_none(tmp_path: Path, dictionary: list[str]) -> None:
    pq.write_table(FRAME.to_arrow(), tmp_path / "a.parquet", use_dictionary=dictionary or False)
    assert not has_checksums(tmp_path / "a.parquet")
    FRAME.write_parquet(tmp_path / "b.parquet")
    assert not has_checksums(tmp_path / "b.parquet")


def test_shards_without_checksums_are_told_and_are_no_damage(
    make: Any, catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make("with")
    assert shards_without_checksums(open_dataset(catalog / "with")) == ()
    real = pq.ParquetWriter.__init__

    def without(writer: Any, *where: Any, **options: Any) -> None:
        real(writer, *where, **options | {"write_page_checksum": False})

    monkeypatch.setattr(pq.ParquetWriter, "__init__", without)
    make("without")
    dataset = open_dataset(catalog / "without")
    assert shards_without_checksums(dataset) == ("test/part-00000.parquet", "train/part-00000.parquet")
    assert verify(dataset, "pages") == []
