"""Shards on disk that are missing or damaged are named, whatever they are read as."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from tests.catalog.loader.worlds import published

from headrace.catalog import frames
from headrace.catalog.reader import Dataset
from headrace.schemas.errors import DataError

READ: list[Callable[[Dataset], Any]] = [
    lambda dataset: dataset.to_polars("train"),
    lambda dataset: dataset.to_polars("train", ["x"]),
    lambda dataset: dataset.arrow("train"),
    lambda dataset: dataset.arrow("train", ["x"]),
]
SIZED: list[Callable[[Dataset], Any]] = [
    *READ,
    lambda dataset: dataset.to_polars(columns=[]),
    lambda dataset: dataset.arrow(columns=[]),
    lambda dataset: dataset.files(),
    lambda dataset: dataset.scan("train"),
]


def numbers(start: int) -> pa.Table:
    return pa.table({"id": list(range(start, start + 40)), "x": [n / 2 for n in range(start, start + 40)]})


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Two shards of two row groups."""
    return published(tmp_path / "catalog", (numbers(0), [20, 20]), (numbers(40), [20, 20]))


@pytest.fixture
def shard(dataset: Dataset) -> Path:
    """The second one, which may be written."""
    path = dataset.files("train")[1]
    path.chmod(0o644)
    return path


def refused(dataset: Dataset, shard: Path, message: str, reads: list[Callable[[Dataset], Any]] = READ) -> None:
    for read in reads:
        with pytest.raises(DataError, match=message) as caught:
            read(dataset)
        assert caught.value.where == str(shard)
        assert caught.value.hint == (
            "headrace datasets verify demo@1 finds all that is damaged; restore it from a copy, or open another version"
        )


def test_a_missing_shard(dataset: Dataset, shard: Path) -> None:
    size = shard.stat().st_size
    shard.unlink()
    refused(dataset, shard, f"cannot be read: No such file or directory; expected {size:,} bytes, 40 rows", SIZED)


def test_a_folder_in_the_place_of_a_shard(dataset: Dataset, shard: Path) -> None:
    """Polars would read what is in it: no rows."""
    size = shard.stat().st_size
    shard.unlink()
    shard.mkdir()
    refused(dataset, shard, f"is no file; expected {size:,} bytes, 40 rows", SIZED)


@pytest.mark.parametrize("left", [0, 8, 500])
def test_a_shard_that_is_cut_short(dataset: Dataset, shard: Path, left: int) -> None:
    data = shard.read_bytes()
    shard.write_bytes(data[:left])
    refused(dataset, shard, f"has {left} bytes, and its manifest says {len(data):,}", SIZED)


@pytest.mark.parametrize("back", [1, 7])
def test_a_footer_that_is_damaged(dataset: Dataset, shard: Path, back: int) -> None:
    """In its last letter, in its length."""
    data = bytearray(shard.read_bytes())
    data[-back] ^= 0xFF
    shard.write_bytes(data)
    refused(dataset, shard, "cannot be decoded: ")


def test_what_polars_alone_cannot_read_is_named(dataset: Dataset, shard: Path) -> None:
    """A letter of what wrote the file, which is no letter any more."""
    data = bytearray(shard.read_bytes())
    data[data.rindex(b"parquet-cpp")] = 0xFF
    shard.write_bytes(data)
    refused(dataset, shard, "cannot be decoded: .*utf8", READ[:2])


def test_a_footer_that_polars_panics_over(dataset: Dataset, shard: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = pl.scan_parquet

    def panic(paths: Any, **options: Any) -> pl.LazyFrame:
        if paths == shard or (isinstance(paths, list) and shard in paths):
            raise pl.exceptions.PanicException("range end index 9 out of range")
        return scan(paths, **options)

    monkeypatch.setattr(pl, "scan_parquet", panic)
    refused(dataset, shard, "cannot be decoded: range end index", READ[:2])


def test_a_name_in_a_footer_that_is_no_text(dataset: Dataset, shard: Path) -> None:
    data = shard.read_bytes()
    shard.write_bytes(data.replace(b"\x02id", b"\x02i\xff"))
    assert shard.stat().st_size == len(data)
    refused(dataset, shard, "cannot be decoded: ")


def test_a_page_that_is_damaged(dataset: Dataset, shard: Path) -> None:
    data = bytearray(shard.read_bytes())
    data[4:40] = b"\xff" * 36
    shard.write_bytes(data)
    refused(dataset, shard, "cannot be decoded: ", [lambda d: d.to_polars("train", ["id"]), lambda d: d.arrow("train")])


def in_its_place(dataset: Dataset, shard: Path, table: pa.Table) -> None:
    """Another table's file, of the size of the shard."""
    other = published(dataset.place.on_disk("") / ".." / "other", (table, [len(table)])).files("train")[0]
    data = other.read_bytes()
    assert len(data) <= shard.stat().st_size
    shard.write_bytes(b"PAR1" + bytes(shard.stat().st_size - len(data)) + data[4:])


def test_a_shard_with_other_columns(dataset: Dataset, shard: Path) -> None:
    in_its_place(dataset, shard, pa.table({"id": list(range(40)), "x": list(range(40))}))
    refused(dataset, shard, "column 'x' is int64, and its manifest says double")
    in_its_place(dataset, shard, pa.table({"id": list(range(40))}))
    refused(dataset, shard, "column 'x' is not there, and its manifest says double")


def test_an_error_that_no_shard_explains_is_raised_as_it_is(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise pl.exceptions.ComputeError("another matter")

    monkeypatch.setattr(frames, "_read", fail)
    with pytest.raises(pl.exceptions.ComputeError, match="another matter"):
        dataset.to_polars("train")


def test_lists_are_the_same_by_any_name_of_their_elements(tmp_path: Path) -> None:
    lists = pa.array([[1], [2, 3]], pa.list_(pa.field("item", pa.int32())))
    dataset = published(tmp_path, (pa.table({"a": lists}), [2]))
    assert dataset.manifest.arrow_schema[0].type == "list<item: int32>"  # and "element" in the file
    assert dataset.arrow("train").to_pydict() == dataset.to_polars("train").to_dict(as_series=False)
    assert dataset.arrow("train").to_pydict() == {"a": [[1], [2, 3]]}


def test_the_first_shard_is_named_where_it_alone_is_looked_at(dataset: Dataset) -> None:
    first = dataset.files("train")[0]
    first.chmod(0o644)
    first.write_bytes(b"nothing" * 9)
    refused(dataset, first, "cannot be decoded: Parquet magic bytes not found", [lambda d: d.to_polars("empty")])
