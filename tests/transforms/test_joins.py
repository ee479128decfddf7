from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError
from tests.transforms.fitting import applied, gpu_gaps, saved_and_loaded

from headrace.engines.translation import available
from headrace.schemas.errors import PipelineError
from headrace.transforms.joins import AsOfJoin, LookupJoin
from headrace.transforms.table import Table

ROWS = pl.DataFrame({"id": [1, 2, 3, 4], "tail": ["N1", None, "N3", "N2"]})
PLANES = Table(pl.DataFrame({"tail": ["N1", "N2", None], "seats": [10, 20, 30], "engine": ["jet", "prop", "none"]}))


def looked_up(table: Table = PLANES, rows: pl.DataFrame = ROWS, **fields: Any) -> pl.DataFrame:
    return applied([LookupJoin(**{"table": "t", "on": "tail", **fields}).bind({"t": table})], rows)


def test_brings_the_columns_of_the_key() -> None:
    got = looked_up()
    assert got.to_dict(as_series=False) == {
        "id": [1, 2, 3, 4],
        "tail": ["N1", None, "N3", "N2"],
        "seats": [10, None, None, 20],
        "engine": ["jet", None, None, "prop"],
    }


def test_chooses_and_names_columns() -> None:
    assert looked_up(columns=["engine"], prefix="plane_", suffix="_x").columns == ["id", "tail", "plane_engine_x"]
    assert looked_up(columns="numeric").columns == ["id", "tail", "seats"]


def test_keys_of_other_names() -> None:
    table = Table(PLANES.frame.rename({"tail": "number"}))
    got = looked_up(table, on={"tail": "number"}, columns=["seats"])
    assert got["seats"].to_list() == [10, None, None, 20]


def test_several_keys_and_integers_of_other_width() -> None:
    rows = pl.DataFrame({"a": ["x", "x"], "n": pl.Series([1, 2], dtype=pl.Int8)})
    table = Table(pl.DataFrame({"a": ["x", "x"], "n": [2, 1000], "v": [5, 6]}))
    got = looked_up(table, rows, on=["a", "n"])
    assert got["v"].to_list() == [None, 5]
    assert got.schema["n"] == pl.Int8


def test_a_table_with_several_rows_of_a_key_is_refused() -> None:
    table = Table(pl.DataFrame({"tail": ["N1", "N1", "N1", "N2", "N2", "N3"], "v": range(6)}))
    with pytest.raises(PipelineError, match=r"several rows for 2 of its keys \(tail = 'N1' has 3\)"):
        looked_up(table)


@pytest.mark.parametrize(("keep", "expected"), [("first", [0, None, 5, 3]), ("last", [2, None, 5, 4])])
def test_one_row_of_a_key_counts_where_that_is_said(keep: str, expected: list[int | None]) -> None:
    table = Table(pl.DataFrame({"tail": ["N1", "N1", "N1", "N2", "N2", "N3", None, None], "v": range(8)}))
    got = looked_up(table, keep=keep)
    assert got["v"].to_list() == expected
    assert got["id"].to_list() == [1, 2, 3, 4]


def test_rows_never_become_several() -> None:
    with pytest.raises(ValidationError, match="keep"):
        looked_up(keep="all")


def test_empty_sides() -> None:
    assert looked_up(Table(PLANES.frame.clear()))["seats"].to_list() == [None] * 4
    assert looked_up(rows=ROWS.clear()).schema == looked_up().schema


@pytest.mark.parametrize(
    ("fields", "rows", "message"),
    [
        ({"on": {"tail": "nope"}}, ROWS, "no column 'nope'"),
        ({"columns": ["nope"]}, ROWS, "no column 'nope'"),
        ({}, ROWS.with_columns(seats=1), "brings 'seats', which the rows already have"),
        ({"columns": ["tail"]}, ROWS, "would bring 'tail', which is a key of the rows"),
        ({"on": {"seats": "tail"}}, ROWS, "would bring 'seats', which is a key of the rows"),
        ({}, ROWS.with_columns(tail=1), "is Int32 in the rows and String in table 't'"),
    ],
)
def test_what_does_not_fit(fields: dict[str, Any], rows: pl.DataFrame, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        looked_up(rows=rows, **fields)


def test_a_column_of_the_table_is_the_key_of_one_column_of_the_rows() -> None:
    with pytest.raises(ValidationError, match="two columns of the rows with one of the table"):
        LookupJoin(table="t", on={"origin": "tail", "dest": "tail"})


def test_a_key_can_be_brought_under_another_name() -> None:
    assert looked_up(columns=["tail"], prefix="plane_")["plane_tail"].to_list() == ["N1", None, None, "N2"]


def test_a_table_that_the_source_does_not_have() -> None:
    with pytest.raises(PipelineError, match="no table 'x'") as caught:
        LookupJoin(table="x", on="tail").bind({"t": PLANES})
    assert caught.value.hint == "its tables are t"


def test_a_clash_is_found_by_resolve() -> None:
    bound = LookupJoin(table="t", on="tail").bind({"t": PLANES})
    with pytest.raises(PipelineError, match="already have"):
        bound.resolve(pl.Schema({"tail": pl.String(), "seats": pl.Int64()}))


HOURS = [datetime(2020, 1, 1, h) for h in range(24)]
READINGS = Table(
    pl.DataFrame({"place": ["a", "a", "a", "b"], "hour": [HOURS[1], HOURS[3], HOURS[3], HOURS[2]], "v": [1, 2, 3, 4]})
)


def as_of(rows: list[tuple[str | None, datetime | None]], table: Table = READINGS, **fields: Any) -> list[int | None]:
    frame = pl.DataFrame(rows, schema={"place": pl.String, "at": pl.Datetime("us")}, orient="row")
    step = AsOfJoin(**{"table": "t", "by": "place", "on": "at", "table_on": "hour", **fields})
    got = applied([step.bind({"t": table})], frame)
    assert got.columns == ["place", "at", "v"]
    assert got.select("place", "at").equals(frame)
    return got["v"].to_list()


def test_the_last_reading_at_or_before() -> None:
    rows = [("a", HOURS[5]), ("a", HOURS[3]), ("a", HOURS[2]), ("a", HOURS[0]), ("b", HOURS[9]), ("c", HOURS[9])]
    assert as_of(rows) == [3, 3, 1, None, 4, None]


def test_lag_is_how_old_at_least_and_tolerance_how_old_at_most() -> None:
    rows = [("b", HOURS[2]), ("b", HOURS[3]), ("b", HOURS[6]), ("b", HOURS[7])]
    assert as_of(rows) == [4, 4, 4, 4]
    assert as_of(rows, lag="1h") == [None, 4, 4, 4]
    assert as_of(rows, tolerance="4h") == [4, 4, 4, None]
    assert as_of(rows, lag="1h", tolerance="4h") == [None, 4, 4, None]
    assert as_of(rows, lag="4h", tolerance="4h") == [None, None, 4, None]
    assert as_of(rows, lag=timedelta(microseconds=1)) == [None, 4, 4, 4]


def test_nulls_match_nothing() -> None:
    assert as_of([(None, HOURS[5]), ("a", None)]) == [None, None]


def moments(unit: str, *numbers: int) -> pl.Series:
    return pl.Series(numbers, dtype=pl.Datetime(unit))  # type: ignore[arg-type]


@pytest.mark.parametrize("base", [10**18, -(10**18)])
@pytest.mark.parametrize("row_unit", ["ns", "us"])
@pytest.mark.parametrize("table_unit", ["ns", "us"])
@pytest.mark.parametrize("direction", ["backward", "forward"])
def test_nanoseconds_are_not_rounded_into_the_future(base: int, row_unit: str, table_unit: str, direction: str) -> None:
    numbers = [base + n for n in range(-3000, 3001, 250)]
    per = {"ns": 1, "us": 1000}
    rows = pl.DataFrame({"at": moments(row_unit, *(n // per[row_unit] for n in numbers))})
    frame = pl.DataFrame({"hour": moments(table_unit, *(n // per[table_unit] for n in numbers))}).unique()
    frame = frame.with_columns(v=pl.col("hour").cast(pl.Int64) * per[table_unit])
    step = AsOfJoin(table="t", on="at", table_on="hour", direction=direction, allow_future=True)  # type: ignore[arg-type]
    got = applied([step.bind({"t": Table(frame)})], rows)
    for time, value in zip(rows["at"].cast(pl.Int64) * per[row_unit], got["v"], strict=True):
        if direction == "backward":
            assert value == max((v for v in frame["v"] if v <= time), default=None)
        else:
            assert value == min((v for v in frame["v"] if v >= time), default=None)


def test_forward_only_when_the_future_is_allowed() -> None:
    with pytest.raises(ValidationError, match="looks into the future"):
        AsOfJoin(table="t", on="at", direction="forward")
    rows = [("a", HOURS[0]), ("a", HOURS[2]), ("a", HOURS[4])]
    assert as_of(rows, direction="forward", allow_future=True) == [1, 2, None]
    assert as_of(rows, direction="forward", allow_future=True, lag="2h") == [2, None, None]
    assert as_of(rows, direction="forward", allow_future=True, tolerance="1h") == [1, 2, None]


def test_without_keys() -> None:
    frame = pl.DataFrame({"at": [HOURS[5], HOURS[0]]})
    table = Table(pl.DataFrame({"at": [HOURS[2], HOURS[1]], "v": [2, 1]}))
    step = AsOfJoin(table="t", on="at", prefix="w_")
    assert applied([step.bind({"t": table})], frame)["w_v"].to_list() == [2, None]


def test_dates_and_other_units() -> None:
    table = Table(pl.DataFrame({"hour": [date(2020, 1, 1)], "v": [7]}))
    frame = pl.DataFrame({"at": pl.Series([HOURS[0], HOURS[5]], dtype=pl.Datetime("ns"))})
    got = applied([AsOfJoin(table="t", on="at", table_on="hour", lag="1h").bind({"t": table})], frame)
    assert got["v"].to_list() == [None, 7]
    assert got.schema["at"] == pl.Datetime("ns")


def test_time_zones_must_agree() -> None:
    table = Table(READINGS.frame.with_columns(pl.col("hour").dt.replace_time_zone("UTC")))
    with pytest.raises(PipelineError, match="time zones differ"):
        as_of([("a", HOURS[5])], table)


def test_what_is_no_time_is_refused() -> None:
    step = AsOfJoin(table="t", on="place", table_on="hour")
    with pytest.raises(PipelineError, match="got String in 'place'"):
        step.bind({"t": READINGS}).resolve(pl.Schema({"place": pl.String()}))
    with pytest.raises(PipelineError, match="got Int64 in column 'v'"):
        AsOfJoin(table="t", on="at", table_on="v").bind({"t": READINGS})
    with pytest.raises(ValidationError, match="nothing could match"):
        AsOfJoin(table="t", on="at", lag="2h", tolerance="1h")


def test_as_of_agrees_with_duckdb() -> None:
    random = np.random.default_rng(2)
    start = datetime(2020, 1, 1)
    frame = pl.DataFrame(
        {
            "place": random.choice(["a", "b", "c"], 500),
            "at": [start + timedelta(minutes=int(m)) for m in random.integers(0, 60_000, 500)],
            "row": range(500),
        }
    )
    minutes = random.permutation(60_000)[:300]
    table = pl.DataFrame(
        {
            "place": random.choice(["a", "b"], 300),
            "hour": [start + timedelta(minutes=int(m)) for m in minutes],
            "v": random.normal(size=300),
        }
    )
    step = AsOfJoin(table="t", by="place", on="at", table_on="hour", lag="1h", tolerance="12h")
    got = applied([step.bind({"t": Table(table)})], frame).select("row", "v").rows()
    connection = duckdb.connect()
    connection.register("f", frame.to_arrow())
    connection.register("t", table.to_arrow())
    expected = connection.sql(
        """select f.row, case when f.at - t.hour <= interval 12 hours then t.v end
           from f asof left join t on f.place = t.place and f.at - interval 1 hour >= t.hour order by f.row"""
    ).fetchall()
    assert got == expected


def test_saved_and_loaded() -> None:
    for step in (
        LookupJoin(table="t", on={"tail": "n"}, columns=["seats"], prefix="p_"),
        AsOfJoin(table="t", on="at", by=["place"], lag="1h30m", tolerance="2d"),
    ):
        assert type(step).model_validate_json(step.model_dump_json()) == step
    bound = LookupJoin(table="t", on="tail").bind({"t": PLANES})
    assert applied([saved_and_loaded(bound)], ROWS).equals(looked_up())
    frame = pl.DataFrame({"place": ["a"], "at": [HOURS[5]]})
    timed = AsOfJoin(table="t", by="place", on="at", table_on="hour", lag="1h").bind({"t": READINGS})
    assert applied([saved_and_loaded(timed)], frame)["v"].to_list() == [3]


@pytest.mark.skipif(not available(), reason="needs cudf-polars")
def test_run_on_the_gpu_but_for_the_kernel() -> None:
    assert gpu_gaps(LookupJoin(table="t", on="tail").bind({"t": PLANES}), ROWS) == ([], set())
    frame = pl.DataFrame({"place": ["a"], "at": [HOURS[5]]})
    timed = AsOfJoin(table="t", by="place", on="at", table_on="hour", lag="1h").bind({"t": READINGS})
    assert gpu_gaps(timed, frame) == ([], {"join_asof"})
