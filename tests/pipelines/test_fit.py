from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.pipelines.conftest import Make, contract_of, small

from headrace.engines.executor import InlineExecutor
from headrace.engines.open import CPU
from headrace.pipelines import merging
from headrace.pipelines.fit import Fit, fit
from headrace.pipelines.model import Pipeline
from headrace.pipelines.options import RunOptions
from headrace.pipelines.stages import prepare
from headrace.pipelines.work import Work, open_work
from headrace.schemas.errors import DataError

MEAN = {"FillNull": {"columns": ["x"], "statistic": "mean"}}


@contextmanager
def fitted(pipeline: Pipeline, catalog: Path, partition_bytes: int = 1 << 30) -> Iterator[tuple[Work, Fit]]:
    _, lock = prepare(pipeline, RunOptions(catalog=str(catalog), engine="cpu", partition_bytes=partition_bytes))
    with lock:
        work = open_work(str(lock.path))
        yield work, fit(work, InlineExecutor(1), CPU)


def test_only_training_rows_are_learned_from(make: Make, tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": range(6), "x": [1.0, 2.0, None, 100.0, 200.0, None], "y": [0, 1, 0, 1, 0, 1]})
    split = {"by": "time", "column": "day", "starts": {"test": "2024-01-04"}}
    days = {"Derive": {"day": {"polars": _json(pl.date(2024, 1, 1) + pl.duration(days=pl.col("id")))}}}
    with fitted(make([days, MEAN], frame, split=split), tmp_path) as (work, found):
        assert work.form(1).values == (1.5,)  # type: ignore[attr-defined]
        assert found.split_rows == {0: 3, 1: 3}


def _json(expression: pl.Expr) -> Any:
    import json

    return json.loads(expression.meta.serialize(format="json"))


def test_bad_rows_and_repeated_keys_are_not_learned_from(make: Make, tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": [0, 1, 1, 2, 3, None], "x": [1.0, 3.0, 50.0, -9.0, 2.0, 4.0], "y": [0, 1, 0, 1, 0, 1]})
    contract = contract_of(frame, key="", x={"minimum": 0}, id={"unique": True})
    split = {"by": "fraction", "fractions": {"train": 1.0}}
    pipeline = make([{"Standardize": {"columns": ["x"]}}], frame, contract=contract, split=split, max_bad_fraction=0.5)
    with fitted(pipeline, tmp_path) as (work, found):
        assert work.form(0).mean == (2.5,)  # type: ignore[attr-defined]  # of 1, 3, 2 and 4
        assert (found.rows, found.bad) == (6, 2)
        assert found.reasons == {"x:range": 1, "id:unique": 1}


@pytest.mark.slow
@pytest.mark.parametrize("buckets", [1 << 21, 2])
def test_the_first_of_equal_keys_stays_whatever_its_type(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, buckets: int
) -> None:
    monkeypatch.setattr("headrace.pipelines.plan.BUCKET_ROWS", buckets)
    keys = pl.DataFrame(
        {
            "f": [0.0, -0.0, 1.5, 1.7, float("inf"), 1e300, 1.5, None, None, float("nan"), float("nan"), -1.0],
            "s": ["a", "b", "c", "a", None, None, "", "", "d", "e", "f", "g"],
        }
    ).with_columns(
        at=pl.col("f").cast(pl.Int64, strict=False).cast(pl.Datetime("us")),
        b=pl.col("s") == "a",
        x=pl.int_range(pl.len()).cast(pl.Float64),
        y=pl.int_range(pl.len()) % 2,
    )
    split = {"by": "fraction", "fractions": {"train": 1.0}}
    unique = {
        "f": [1, 6, 10],  # zero has two signs, and NaN is a value
        "s": [3, 7],
        "at": [1, 3, 6],
        "b": [2, 3, 6, 7, 8, 9, 10, 11],
    }
    for key, repeated in unique.items():
        more = {"allow_non_finite": True} if key == "f" else {}
        columns = {"f": {"allow_non_finite": True}, key: {"unique": True, **more}}
        contract = contract_of(keys, key="", **columns)
        pipeline = make([], keys, contract=contract, split=split, max_bad_fraction=1.0, files=3)
        with fitted(pipeline, tmp_path / key) as (work, found):
            files = sorted((work.path / "unique" / "0").iterdir())
            assert sorted(n for f in files for n in pl.read_ipc(f)["__row"]) == repeated, key
            assert found.bad == len(repeated)


@pytest.mark.slow
def test_a_window_sees_whole_entities_over_all_files_and_null_is_in_none(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = pl.DataFrame(
        {
            "id": range(8),
            "c": ["a", "b", None, "a", None, "b", "a", "a"],
            "at": pl.Series([4, 1, 2, 3, 5, 2, 9, 1]).cast(pl.Datetime("us")),
            "x": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0],
            "y": [0, 1] * 4,
        }
    )
    lag = {"Lag": {"columns": ["x"], "by": ["c"], "order": "at"}}
    for buckets in (1 << 21, 3):
        monkeypatch.setattr("headrace.pipelines.plan.BUCKET_ROWS", buckets)
        with fitted(make([lag], frame, files=4), tmp_path / str(buckets)) as (work, _):
            files = sorted((work.path / "windows" / "0").iterdir())
            assert len(files) == (1 if buckets > 8 else 3)
            answers = pl.concat([pl.read_ipc(f) for f in files]).sort("__row")
            assert answers["x_lag1"].to_list() == [4.0, None, None, 8.0, None, 2.0, 1.0, None]


@pytest.mark.slow
def test_many_partitions_are_merged_in_turn(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.pipelines.plan.UNIT_ROWS", 1)
    monkeypatch.setattr(merging, "_MERGED_AT_ONCE", 2)
    steps = [MEAN, {"Categorify": {"columns": ["c"]}}]
    with fitted(make(steps, group=4), tmp_path, partition_bytes=1) as (work, _):
        assert len(work.plan.partitions) == 10
        found = [work.form(i) for i in range(2)]
        assert found[1].vocabulary.frame.height == 2  # type: ignore[attr-defined]  # read before the folder goes
    with fitted(make(steps, group=4), tmp_path) as (work, _):
        assert [work.form(i) for i in range(2)] == found


def test_too_many_bad_rows_stop_the_run_with_a_table_of_reasons(make: Make, tmp_path: Path) -> None:
    contract = contract_of(small(), x={"minimum": 5}, c={"allowed": ["a", "b", "c", "d"]})
    with pytest.raises(DataError) as problem, fitted(make([], contract=contract), tmp_path):
        pass
    # x is half the number: 0 to 9 without the null at 3.
    assert problem.value.message == (
        "9 of 40 rows break the contract (22.5%); max_bad_fraction allows 1%\n           9  x:range"
    )
