from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl
import pytest
from tests.catalog.conftest import FRAME, Make

from headrace.catalog.reader import open_dataset
from headrace.catalog.sketch import sketch_rows, summarize_sketches
from headrace.catalog.sketch_files import load_sketches, save_sketches, sketches_of
from headrace.schemas.errors import DataError, UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    frame = pl.DataFrame({"x": [1.5, None, 1.5], "t": ["a", "b", "a"]})
    save_sketches(tmp_path, {"train": sketch_rows(frame), "test": sketch_rows(frame.head(1))})
    return tmp_path


def read(folder: Path, name: str, columns: str, where: str = "true") -> list[tuple[object, ...]]:
    return duckdb.sql(f"select {columns} from '{folder}/{name}.parquet' where {where}").fetchall()


def test_another_program_reads_the_layout(folder: Path) -> None:
    columns = read(folder, "columns", 'split, "column", dtype, family, rows, nulls, mean, m2, stride, counted')
    assert columns == [
        ("train", "x", "Float64", "number", 3, 1, 1.5, 0.0, 1, True),
        ("train", "t", "String", "text", 3, 0, 0.0, 0.0, 1, True),
        ("test", "x", "Float64", "number", 1, 0, 1.5, 0.0, 1, True),
        ("test", "t", "String", "text", 1, 0, 0.0, 0.0, 1, True),
    ]
    train = "split = 'train' and what"
    values = read(folder, "values", "what, number, text, level, count", f"{train} <> 'sample'")
    assert values == [
        ("min", 1.5, None, None, None),
        ("max", 1.5, None, None, None),
        ("value", 1.5, None, None, 2),
        ("min", None, "a", None, None),
        ("max", None, "b", None, None),
        ("value", None, "a", None, 2),
        ("value", None, "b", None, 1),
    ]
    sample = read(folder, "values", "text, level, count", f"{train} = 'sample' and \"column\" = 't'")
    assert sample == [("a", 1, 1), ("a", 63, 1), ("b", 0, 1)]


def test_a_split_that_is_not_there(folder: Path) -> None:
    with pytest.raises(UsageError, match="no statistics of a split 'valid'; there are train, test"):
        load_sketches(folder, "valid")


def test_a_later_layout_is_refused(folder: Path) -> None:
    frame = pl.read_parquet(folder / "values.parquet")
    frame.write_parquet(folder / "values.parquet", metadata={"headrace.statistics": "2"})
    with pytest.raises(DataError, match="the layout of these statistics is 2, this headrace reads 1"):
        load_sketches(folder, "train")


@pytest.mark.parametrize("damage", [lambda p: p.unlink(), lambda p: p.write_bytes(b"PAR1 no")])
@pytest.mark.parametrize("name", ["columns.parquet", "values.parquet"])
def test_missing_and_damaged_files(folder: Path, name: str, damage: object) -> None:
    assert callable(damage)
    damage(folder / name)
    with pytest.raises(DataError, match="holds no statistics"):
        load_sketches(folder, "train")


@pytest.mark.slow
def test_a_version_without_them_is_measured(make: Make, catalog: Path) -> None:
    make()
    dataset = open_dataset(catalog / "demo")
    found = summarize_sketches(sketches_of(dataset, "train"))
    assert found == {column.name: column.statistics["train"] for column in dataset.manifest.columns}
    assert found["delay"].count == FRAME.height
    with pytest.raises(UsageError, match="no split 'valid'"):
        sketches_of(dataset, "valid")
