import math
from datetime import date, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.schemas.checks import check_file, conform
from headrace.schemas.contract import Contract
from headrace.schemas.errors import DataError
from headrace.schemas.footers import find_files, read_footer
from headrace.schemas.infer import infer_contract
from headrace.schemas.rules import OK, compile_rules, flag


def kept_by(contract: Contract, folder: Path) -> bool:
    """The files pass their own contract, to the last row."""
    for path in find_files(folder):
        casts = check_file(contract, read_footer(path))
        assert isinstance(casts, tuple), casts
        flagged = flag(conform(pl.scan_parquet(path), contract, casts), compile_rules(contract))
        if not flagged.select(pl.col(OK).all()).collect().item():
            return False
    return True


def test_draft_says_what_the_footers_show(tmp_path: Path) -> None:
    january = {
        "carrier": ["AA", "B6"] * 50,
        "n": list(range(100)),
        "delay": [-3.5, None] * 50,
        "share": [0.0, 0.5] * 50,
        "day": [date(2013, 1, 1)] * 100,
        "text": [f"free text {n}" for n in range(100)],
        "at": [datetime(2013, 1, 1)] * 100,
        "empty": [None] * 100,
        "wild": [1.0, math.nan] * 50,
        "l": [[1], []] * 50,
    }
    february = january | {"n": list(range(100, 200)), "day": [date(2013, 2, 1)] * 100}
    pl.DataFrame(january).write_parquet(tmp_path / "1.parquet", row_group_size=30)
    pl.DataFrame(february).write_parquet(tmp_path / "2.parquet", row_group_size=30)

    contract = infer_contract(tmp_path, name="flights")

    assert contract.dtypes == {
        "carrier": pl.String(),
        "n": pl.Int64(),
        "delay": pl.Float64(),
        "share": pl.Float64(),
        "day": pl.Date(),
        "text": pl.String(),
        "at": pl.Datetime("us"),
        "empty": pl.String(),
        "wild": pl.Float64(),
        "l": pl.List(pl.Int64),
    }
    assert [column.name for column in contract.columns if column.required] == [
        "carrier", "n", "share", "day", "text", "at", "wild",
    ]  # fmt: skip
    assert {column.name: column.minimum for column in contract.columns if column.minimum is not None} == {
        "n": 0,
        "share": 0,
    }
    assert [column.name for column in contract.columns if column.allow_non_finite] == ["wild"]
    assert all(column.maximum is None and column.allowed is None for column in contract.columns)
    assert contract.column("carrier").description == "seen in a sample: AA, B6"
    assert contract.column("text").description == ""
    assert contract.column("day").description == "seen: 2013-01-01 to 2013-02-01"
    assert contract.column("delay").description == "seen: -3.5 to -3.5"
    assert contract.column("empty").description == "every value is null: set the type"
    assert kept_by(contract, tmp_path)


def test_widest_dtype_is_taken(tmp_path: Path) -> None:
    pl.DataFrame({"a": [1], "s": ["x"]}, schema={"a": pl.Int8, "s": pl.Categorical}).write_parquet(
        tmp_path / "1.parquet"
    )
    pl.DataFrame({"a": [1], "s": ["x"]}, schema={"a": pl.Int32, "s": pl.String}).write_parquet(tmp_path / "2.parquet")
    pl.DataFrame({"a": [None], "s": ["x"]}).write_parquet(tmp_path / "3.parquet")
    contract = infer_contract([tmp_path / "1.parquet", tmp_path / "2.parquet", tmp_path / "3.parquet"])
    assert contract.dtypes == {"a": pl.Int32(), "s": pl.String()}
    assert kept_by(contract, tmp_path)


def test_infinities_are_seen(tmp_path: Path) -> None:
    pl.DataFrame({"a": [1.0, math.inf], "b": [None, -math.inf]}).write_parquet(tmp_path / "1.parquet")
    contract = infer_contract(tmp_path)
    assert [column.allow_non_finite for column in contract.columns] == [True, True]
    assert kept_by(contract, tmp_path)


def test_files_without_statistics_promise_nothing(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1, 2], "s": ["x", "y"]}), tmp_path / "1.parquet", write_statistics=False)
    contract = infer_contract(tmp_path)
    assert [(column.required, column.minimum) for column in contract.columns] == [(False, None), (False, None)]


def test_files_without_rows_promise_nothing(tmp_path: Path) -> None:
    pl.DataFrame(schema={"a": pl.Int64, "f": pl.Float32, "s": pl.String}).write_parquet(tmp_path / "1.parquet")
    contract = infer_contract(tmp_path)
    assert [column.required for column in contract.columns] == [False, False, False]


def test_all_disagreements_are_listed(tmp_path: Path) -> None:
    pl.DataFrame({"a": [1], "b": [1], "o": [1.5]}).write_parquet(tmp_path / "1.parquet")
    pl.DataFrame({"a": ["x"], "c": [1], "o": [2.5]}).write_parquet(tmp_path / "2.parquet")
    with pytest.raises(DataError) as caught:
        infer_contract(tmp_path)
    assert caught.value.message.splitlines() == [
        "no contract fits these files (2); findings: 3",
        "  a: got Int64 in 1.parquet, String in 2.parquet, expected one type",
        "  b: missing in 2.parquet",
        "  c: missing in 1.parquet",
    ]


def test_nothing_to_infer_from(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the folder is empty"):
        infer_contract(tmp_path)
    with pytest.raises(DataError, match="no file to infer a contract from"):
        infer_contract([])
