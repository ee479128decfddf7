from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from headrace.engines.cpu import CpuEngine, InMemory
from headrace.engines.engine import TaskEngine
from headrace.engines.translation import available
from headrace.pipelines.checking import split
from headrace.schemas.contract import Column, Contract, SqlRule
from headrace.schemas.errors import CapabilityError, DataError
from headrace.schemas.rules import Rule, compile_rules

CONTRACT = Contract(
    name="c",
    columns=(
        Column(name="i", dtype=pl.Int64, required=True, minimum=0, allowed=(1, 2, 3, 4, 5)),
        Column(name="f", dtype=pl.Float32, maximum=1),
        Column(name="s", dtype=pl.String, pattern="^[A-Z]", min_length=2),
        Column(name="d", dtype=pl.Date, minimum="2013-01-01"),
        Column(name="t", dtype=pl.Datetime("us", "UTC"), maximum=datetime(2014, 1, 1, tzinfo=UTC)),
        Column(name="q", dtype=pl.Decimal(10, 2), minimum="1.5"),
        Column(name="b", dtype=pl.Boolean),
        Column(name="l", dtype=pl.List(pl.Int64)),
        Column(name="a", dtype=pl.Array(pl.Float32, 2)),
    ),
    rules=(SqlRule(name="small_if_true", sql="i < 3 OR NOT b"),),
)
RULES = compile_rules(CONTRACT)
GOOD: dict[str, Any] = {
    "i": 1, "f": 0.5, "s": "AA", "d": date(2013, 1, 1), "t": datetime(2013, 1, 1, tzinfo=UTC), "q": 2, "b": True,
    "l": [1], "a": [0.0, 1.0],
}  # fmt: skip


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([GOOD | row for row in rows], schema=CONTRACT.dtypes, orient="row")


@pytest.fixture(params=["cpu", "gpu"])
def engine(request: pytest.FixtureRequest) -> Iterator[TaskEngine]:
    """The CPU engine, and a strict GPU engine over the imitation: it refuses what does not translate."""
    if request.param == "cpu":
        yield CpuEngine()
        return
    if not available():
        pytest.skip("needs cudf-polars")
    from tests.imitation.fixture import imitation

    from headrace.engines.gpu.engine import GpuEngine

    with imitation():
        yield GpuEngine(strict=True)


def checked(data: pl.DataFrame, rules: Sequence[Rule], engine: TaskEngine) -> tuple[pl.DataFrame, pl.DataFrame]:
    good, bad = split(engine.hold(data.lazy()).lazy(), rules, engine)
    return good.to_polars(), bad


def test_rows_stay_in_order_and_the_bad_ones_say_why(engine: TaskEngine) -> None:
    data = frame(
        {"f": 0.1}, {"i": 7}, {"f": math.nan, "s": "a"}, {"f": 0.2, "b": None}, {"i": None}, {"i": 4}, {"f": 0.3}
    )
    good, bad = checked(data, RULES, engine)
    assert_frame_equal(good, data[[0, 3, 6]])
    assert_frame_equal(bad.drop("reasons"), data[[1, 2, 4, 5]])
    assert bad["reasons"].to_list() == [
        ["i:allowed", "small_if_true"],
        ["f:finite", "s:length", "s:pattern"],
        ["i:required"],
        ["small_if_true"],
    ]
    assert bad.schema["reasons"] == pl.List(pl.String)


def test_no_bad_rows(engine: TaskEngine) -> None:
    data = frame({}, {"s": None, "d": None, "t": None, "q": None, "l": None, "a": None})
    good, bad = checked(data, RULES, engine)
    assert_frame_equal(good, data)
    assert bad.is_empty()
    assert bad.schema == data.schema | {"reasons": pl.List(pl.String)}


@pytest.mark.parametrize("count", [0, 1_000])
def test_all_rows_bad_or_none_there(engine: TaskEngine, count: int) -> None:
    data = frame(*[{"i": -1}] * count)
    good, bad = checked(data, RULES, engine)
    assert (good.height, bad.height) == (0, count)
    assert good.schema == data.schema
    assert bad["reasons"].to_list() == [["i:range", "i:allowed"]] * count


@pytest.mark.slow
def test_most_rows_bad(engine: TaskEngine) -> None:
    data = frame(*[{"d": date(2012, 1, 1)} if n % 10 else {} for n in range(1_000)])
    good, bad = checked(data, RULES, engine)
    assert (good.height, bad.height) == (100, 900)
    assert set(bad["reasons"].explode(empty_as_null=False)) == {"d:range"}


def test_no_rules(engine: TaskEngine) -> None:
    data = frame({}, {"i": None})
    good, bad = checked(data, (), engine)
    assert_frame_equal(good, data)
    assert bad.is_empty()


def test_rows_are_handed_on_as_they_are_where_none_is_bad() -> None:
    data = pl.DataFrame({"x": range(1_000)})
    good, _ = split(data.lazy(), (Rule("x:range", "x", pl.col("x") >= 0),), CpuEngine())
    assert isinstance(good, InMemory)
    assert good.frame["x"]._get_buffer_info()[0] == data["x"]._get_buffer_info()[0]


def test_sql_that_fails_on_the_data() -> None:
    contract = Contract(
        name="c", columns=(Column(name="s", dtype=pl.String),), rules=(SqlRule(name="r", sql="CAST(s AS INT) > 1"),)
    )
    with pytest.raises(DataError, match="the contract's rules cannot be evaluated on these rows: ") as caught:
        split(pl.LazyFrame({"s": ["x"]}), compile_rules(contract), CpuEngine())
    assert "TRY_CAST" in caught.value.hint


@pytest.mark.skipif(not available(), reason="needs cudf-polars")
def test_rules_that_do_not_translate_run_on_the_cpu_and_are_named() -> None:
    from tests.imitation.fixture import imitation

    from headrace.engines.gpu.engine import GpuEngine

    rules = (Rule("text", "", pl.col("s").cast(pl.Categorical).cast(pl.String) == "Ab"),)
    data = pl.DataFrame({"s": ["Ab", "ab", None]})
    with imitation():
        engine = GpuEngine()
        good, bad = checked(data, rules, engine)
        assert good["s"].to_list() == ["Ab", None]
        assert bad.rows() == [("ab", ["text"])]
        assert [line.partition(":")[0] for line in engine.fallbacks] == ["the contract"]
        with pytest.raises(CapabilityError, match="the GPU engine cannot run the contract: "):
            checked(data, rules, GpuEngine(strict=True))
