"""Finding a source's files and tables."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from headrace.pipelines import sources
from headrace.pipelines.model import Pipeline
from headrace.pipelines.sources import read_files, read_tables
from headrace.schemas.errors import DataError, PipelineError


@pytest.fixture
def with_table(make) -> Pipeline:  # type: ignore[no-untyped-def]
    pipeline: Pipeline = make()
    folder = Path(pipeline.source.root) / "tables"
    folder.mkdir()
    pl.DataFrame({"c": ["a", "b"], "n": [1, 2]}).write_parquet(folder / "first.parquet")
    pl.DataFrame({"c": ["d"], "n": [3]}).write_parquet(folder / "second.parquet")
    source = pipeline.source.model_copy(update={"tables": {"names": "tables"}})
    return pipeline.model_copy(update={"source": source})


def test_a_table_of_several_files_is_read_in_their_order(with_table: Pipeline) -> None:
    assert read_tables(with_table)["names"].frame.rows() == [("a", 1), ("b", 2), ("d", 3)]


def test_without_rows_only_the_columns_are_read(with_table: Pipeline) -> None:
    frame = read_tables(with_table, rows=False)["names"].frame
    assert frame.schema == {"c": pl.String, "n": pl.Int64}
    assert frame.height == 0


def test_a_table_that_workers_cannot_hold_is_refused(with_table: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "TABLE_BYTES", 100)
    with pytest.raises(PipelineError, match="every worker holds it whole") as caught:
        read_tables(with_table)
    assert caught.value.where == "table names"


def test_tables_of_different_columns_do_not_fit_together(with_table: Pipeline) -> None:
    pl.DataFrame({"c": ["x"], "other": [1.5]}).write_parquet(Path(with_table.source.root) / "tables" / "third.parquet")
    with pytest.raises(DataError, match="its columns are not those of"):
        read_tables(with_table)


def test_files_are_widened_where_nothing_is_lost_if_asked(tmp_path: Path) -> None:
    narrow, wide, other = tmp_path / "a.parquet", tmp_path / "b.parquet", tmp_path / "c.parquet"
    pl.DataFrame({"n": [1], "x": [0.5]}, schema={"n": pl.Int32, "x": pl.Float32}).write_parquet(narrow)
    pl.DataFrame({"x": [1.5], "n": [2]}).write_parquet(wide)
    pl.DataFrame({"n": ["3"], "x": [2.5]}).write_parquet(other)
    frame = read_files([narrow, wide], widen=True)
    assert frame.schema == {"n": pl.Int64, "x": pl.Float64}
    assert frame.rows() == [(1, 0.5), (2, 1.5)]
    for files, widen in (([narrow, wide], False), ([narrow, other], True)):
        with pytest.raises(DataError, match=r"its columns are not those of a\.parquet"):
            read_files(files, widen=widen)
