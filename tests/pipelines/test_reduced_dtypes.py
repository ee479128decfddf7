"""ReduceDtypes in pipelines: the contract's ranges, for as long as the columns are what the contract says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.pipelines.conftest import SPLIT, Make, contract_of, published, rows_of, small

from headrace.pipelines.model import Pipeline, Source
from headrace.pipelines.resolve import resolve
from headrace.schemas.errors import PipelineError

FRAME = small().with_columns(age=pl.col("id") % 90, year=pl.col("id") + 1990, other=pl.col("id"))
CONTRACT = contract_of(FRAME, age={"minimum": 0, "maximum": 130}, year={"minimum": 1900, "maximum": 2100})


def dtypes(*steps: dict[str, Any]) -> dict[str, pl.DataType]:
    source = Source(path="*.parquet")
    pipeline = Pipeline(name="small", source=source, contract=CONTRACT, split=SPLIT, target="y", steps=steps)
    return dict(resolve(pipeline, {}).output)


def reduce(*columns: str, **more: Any) -> dict[str, Any]:
    return {"ReduceDtypes": {"columns": list(columns) if len(columns) != 1 else columns[0], **more}}


def test_types_follow_from_the_contract() -> None:
    found = dtypes(reduce("numeric"))
    assert (found["age"], found["year"], found["other"], found["y"]) == (pl.UInt8, pl.Int16, pl.Int64, pl.Int64)


def test_a_range_goes_where_a_column_is_renamed_or_cast_and_is_lost_where_it_is_changed() -> None:
    cast = {"Cast": {"columns": ["year"], "dtype": "Int32"}}
    found = dtypes({"Rename": {"names": {"age": "years"}}}, cast, reduce("years", "year"))
    assert (found["years"], found["year"]) == (pl.UInt8, pl.Int16)
    with pytest.raises(PipelineError, match=r"knows no range of column 'age'"):
        dtypes({"Derive": {"age": "age * 1000"}}, reduce("age"))
    assert dtypes({"Derive": {"age": "age * 1000"}}, reduce("age", ranges={"age": [0, 130_000]}))["age"] == pl.Int32


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_a_run_publishes_them_and_rows_beyond_the_range_are_in_quarantine(make: Make, tmp_path: Path) -> None:
    frame = FRAME.with_columns(age=pl.when(pl.col("id") == 7).then(1000).otherwise("age"))
    pipeline = make([reduce("age", "year")], frame, contract=CONTRACT, max_bad_fraction=0.1)
    rows = rows_of(*published(pipeline, tmp_path / "catalog"))
    assert (rows.schema["age"], rows.schema["year"], rows.height) == (pl.UInt8, pl.Int16, frame.height - 1)
