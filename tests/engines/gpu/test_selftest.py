from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from headrace.engines.cpu import CpuEngine
from headrace.engines.engine import Engine
from headrace.engines.gpu import selftest
from headrace.engines.gpu.selftest import answers, compare, examine, queries, sample
from headrace.engines.translation import TranslationEngine, untranslatable
from headrace.schemas.errors import CapabilityError


class Altered(CpuEngine):
    """A CPU engine whose first answer is changed in some columns."""

    def __init__(self, *columns: pl.Expr) -> None:
        self._columns = columns

    def collect(self, frames: Sequence[pl.LazyFrame], *, any_order: bool = False) -> list[pl.DataFrame]:
        first, *others = super().collect(frames, any_order=any_order)
        return [first.with_columns(*self._columns), *others]


def test_equal_answers(tmp_path: Path) -> None:
    report = examine(CpuEngine, tmp_path)
    assert (report.outcome, report.rows, report.columns, report.differences) == ("ok", 1_000, 16, ())


def test_the_sample_has_nulls_and_nan() -> None:
    rows = sample()
    assert rows.null_count().row(0) == (0, 143, 91, 77)
    assert rows["amount"].is_nan().sum() == 9
    assert rows["word"].n_unique() == 7


def test_every_query_of_it_translates(tmp_path: Path) -> None:
    sample().write_parquet(tmp_path / "sample.parquet")
    engine = TranslationEngine()
    asked = queries(engine, tmp_path / "sample.parquet")
    assert {name: untranslatable(query) for name, query in asked.items()} == {name: [] for name in asked}
    assert engine.kernels == ["lookup", "hash64"]  # of strings; integers are hashed by arithmetic


def test_answers_of_the_kernels(tmp_path: Path) -> None:
    xxhash = pytest.importorskip("xxhash")
    sample().write_parquet(tmp_path / "sample.parquet")
    found = answers(CpuEngine(), tmp_path / "sample.parquet")
    ids = {"Coral": 2, "Émeraude": 3, " Amber": 4, None: 0}
    assert found["lookup"]["id"].to_list() == [ids.get(word, 1) for word in sample()["word"]]
    assert found["hash64"]["word_hash"].to_list() == [
        None if word is None else xxhash.xxh64_intdigest(word.encode(), seed=7) for word in sample()["word"]
    ]


def test_differences_are_named(tmp_path: Path) -> None:
    off = pl.when(pl.col("row") == 5).then(pl.col("tripled") + 1).otherwise("tripled").alias("tripled")
    none = pl.when(pl.col("row") < 9).then(None).otherwise("has_a").alias("has_a")
    report = examine(lambda: Altered(off, none), tmp_path)
    assert report.outcome == "different"
    assert report.differences == (
        "expressions.has_a: 5 of 667 values differ (row 0: got None, expected False, "
        "row 1: got None, expected True, row 2: got None, expected False)",
        "expressions.tripled: 1 of 667 values differ (row 3: got 879, expected 878)",
    )


def test_a_column_of_another_type_is_named(tmp_path: Path) -> None:
    report = examine(lambda: Altered(pl.col("tripled").cast(pl.Int32)), tmp_path)
    assert report.outcome == "different"
    assert report.differences[0].startswith("expressions: got 667 rows of row Int64, plain String, has_a Boolean, tr")


@pytest.mark.parametrize(
    ("got", "equal"),
    [
        (1.0 + 2**-23, True),
        (1.0 + 2**-22, False),
        (-1.0, False),
        (math.nan, False),
        (None, False),
        (1e300, False),
        (math.inf, False),
    ],
)
def test_floats_may_differ_by_one_unit_in_the_last_place(got: float | None, equal: bool) -> None:
    left, right = (pl.DataFrame({"x": [value]}, schema={"x": pl.Float64}) for value in (1.0, got))
    assert (compare("q", left, right) == []) is equal


def test_zeros_and_nan_equal_themselves() -> None:
    left, right = pl.DataFrame({"x": [0.0, math.nan, None]}), pl.DataFrame({"x": [-0.0, math.nan, None]})
    assert compare("q", left, right) == []


def test_an_engine_that_does_not_open(tmp_path: Path) -> None:
    def refused() -> Engine:
        raise CapabilityError("cudf is missing", hint="install it")

    def broken() -> Engine:
        raise RuntimeError("cudaErrorNoDevice")

    assert examine(refused, tmp_path) == selftest.Report("failed", error="cudf is missing", hint="install it")
    assert examine(broken, tmp_path) == selftest.Report("failed", error="RuntimeError: cudaErrorNoDevice")


def test_the_report_is_the_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from headrace.engines import open as opening

    asked: list[Any] = []

    def opened(spec: Any) -> Engine:
        asked.append((spec.name, spec.strict, spec.pool))
        return CpuEngine()

    monkeypatch.setattr(opening, "open_engine", opened)
    assert selftest.main(str(tmp_path)) == 0
    assert json.loads(capsys.readouterr().out)["outcome"] == "ok"
    assert asked == [("gpu", True, 0.05)]
