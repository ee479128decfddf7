from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from headrace.schemas.checks import Cast, FileProblem, cast_expressions, check_file, conform, loses_nothing
from headrace.schemas.contract import Column, Contract
from headrace.schemas.footers import Footer, read_footer

CONTRACT = Contract(
    name="c",
    columns=(
        Column(name="id", dtype=pl.Int64, required=True),
        Column(name="x", dtype=pl.Float64),
        Column(name="s", dtype=pl.String),
        Column(name="t", dtype=pl.Datetime("us")),
    ),
)


def footer(tmp_path: Path, **columns: pa.Array) -> Footer:
    path = tmp_path / "file.parquet"
    pq.write_table(pa.table(columns), path)
    return read_footer(path)


GOOD = {
    "id": pa.array([1, 2]),
    "x": pa.array([0.5, None]),
    "s": pa.array(["a", "b"]),
    "t": pa.array([0, 1], pa.timestamp("us")),
}


def test_file_that_keeps_the_contract(tmp_path: Path) -> None:
    shuffled = {name: GOOD[name] for name in ("t", "s", "x", "id")}
    assert check_file(CONTRACT, footer(tmp_path, **shuffled)) == ()


def test_narrower_columns_are_cast(tmp_path: Path) -> None:
    narrow = {
        "s": pa.array(["a", "b"]).dictionary_encode(),
        "id": pa.array([1, 2], pa.uint32()),
        "x": pa.nulls(2),
        "t": pa.array([0, 1], pa.timestamp("ms")),
    }
    found = footer(tmp_path, **narrow)
    casts = check_file(CONTRACT, found)
    assert casts == (
        Cast("id", pl.UInt32(), pl.Int64()),
        Cast("x", pl.Null(), pl.Float64()),
        Cast("s", pl.Categorical(), pl.String()),
        Cast("t", pl.Datetime("ms"), pl.Datetime("us")),
    )
    frame = pl.scan_parquet(found.path)
    conformed = conform(frame, CONTRACT, casts).collect()
    assert conformed.schema == CONTRACT.dtypes
    assert conformed.get_column("s").to_list() == ["a", "b"]
    assert conformed.get_column("x").to_list() == [None, None]
    assert_frame_equal(frame.with_columns(cast_expressions(casts)).collect().select(CONTRACT.names), conformed)


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view()])
def test_other_layouts_of_text_are_the_same_dtype(tmp_path: Path, kind: pa.DataType) -> None:
    assert check_file(CONTRACT, footer(tmp_path, **GOOD | {"s": pa.array(["a", "b"], kind)})) == ()


def test_all_findings_are_listed_at_once(tmp_path: Path) -> None:
    wrong = {
        "id": pa.array([1.0, 2.0]),
        "x": pa.array([[1.0], [2.0]]),
        "t": pa.array([0, 1], pa.timestamp("us", "UTC")),
        "more": pa.array([1, 2], pa.int8()),
    }
    problem = check_file(CONTRACT, footer(tmp_path, **wrong))
    assert isinstance(problem, FileProblem)
    error = problem.error()
    assert error.message.splitlines() == [
        "the file's columns are not the contract's: 5 findings",
        "  id: got Float64, expected Int64",
        "  x: got List[Float64], a list in every row, expected Float64",
        "  s: missing, expected String",
        "  t: got Datetime[us, UTC], another time zone, expected Datetime[us]",
        "  more: not in the contract, got Int8",
    ]
    assert error.where == str(tmp_path / "file.parquet")
    assert "extraColumns" in error.hint


def test_extra_columns_can_be_left_unread(tmp_path: Path) -> None:
    found = footer(tmp_path, **GOOD | {"more": pa.array([1, 2])})
    contract = CONTRACT.model_copy(update={"extra": "ignore"})
    assert check_file(contract, found) == ()
    assert conform(pl.scan_parquet(found.path), contract, ()).collect_schema() == CONTRACT.dtypes


def test_required_column_of_nulls_only(tmp_path: Path) -> None:
    problem = check_file(CONTRACT, footer(tmp_path, **GOOD | {"id": pa.nulls(2)}))
    assert isinstance(problem, FileProblem)
    assert [str(finding) for finding in problem.findings] == ["id: got nulls only, expected Int64, required"]


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (pl.Int8(), pl.Int64()),
        (pl.UInt32(), pl.Int64()),
        (pl.UInt8(), pl.UInt64()),
        (pl.Int16(), pl.Float32()),
        (pl.Int32(), pl.Float64()),
        (pl.UInt32(), pl.Float64()),
        (pl.Float32(), pl.Float64()),
        (pl.Datetime("ms", "Etc/UTC"), pl.Datetime("us", "UTC")),
        (pl.Decimal(10, 2), pl.Decimal(12, 3)),
        (pl.Enum(["a"]), pl.String()),
        (pl.List(pl.Int8), pl.List(pl.Int32)),
        (pl.Array(pl.Float32, 3), pl.Array(pl.Float64, 3)),
        (pl.Null(), pl.String()),
    ],
)
def test_casts_that_lose_nothing(got: pl.DataType, expected: pl.DataType) -> None:
    assert loses_nothing(got, expected)
    assert not loses_nothing(expected, got) or pl.Datetime in (got, expected)


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (pl.UInt64(), pl.Int64()),
        (pl.Int8(), pl.UInt64()),
        (pl.Int64(), pl.Float64()),
        (pl.Int32(), pl.Float32()),
        (pl.Int32(), pl.String()),
        (pl.Boolean(), pl.Int8()),
        (pl.Date(), pl.Datetime("us")),
        (pl.Datetime("us"), pl.Date()),
        (pl.Datetime("ns"), pl.Datetime("us")),
        (pl.Datetime("us"), pl.Datetime("ns")),
        (pl.Datetime("us", "Europe/Berlin"), pl.Datetime("us", "UTC")),
        (pl.Datetime("us"), pl.Datetime("us", "UTC")),
        (pl.Decimal(12, 2), pl.Decimal(12, 3)),
        (pl.Decimal(4, 0), pl.Float64()),
        (pl.List(pl.Float32), pl.Float32()),
        (pl.Array(pl.Float32, 3), pl.Array(pl.Float32, 4)),
        (pl.Struct({"a": pl.Int8}), pl.Struct({"a": pl.Int16})),
        (pl.String(), pl.Binary()),
    ],
)
def test_casts_that_might_lose_something(got: pl.DataType, expected: pl.DataType) -> None:
    assert not loses_nothing(got, expected)
