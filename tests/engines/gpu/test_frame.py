"""Columns by name, on the imitation of pylibcudf."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pylibcudf
import pytest
import tests.imitation as plc
from tests.imitation.fixture import imitation

from headrace.engines.gpu import query
from headrace.engines.gpu.frame import DeviceFrame

OutOfBounds = pylibcudf.copying.OutOfBoundsPolicy
HOST = pl.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"]})


@pytest.fixture(autouse=True)
def _imitated() -> Iterator[None]:
    with imitation():
        yield


@pytest.fixture
def frame() -> DeviceFrame:
    return query.from_polars(HOST)


def back(frame: DeviceFrame) -> dict[str, list[object]]:
    return query.to_polars(frame).to_dict(as_series=False)


def test_what_goes_there_comes_back() -> None:
    every = pl.DataFrame(
        {
            "text": ["a", None],
            "day": [date(2020, 1, 1), None],
            "zoned": pl.Series([datetime(2020, 1, 1), None], dtype=pl.Datetime("ns")).dt.replace_time_zone(
                "Europe/Prague"
            ),
            "flag": [True, None],
            "list": [["a", None], None],
            "unsigned": pl.Series([2**64 - 1, None], dtype=pl.UInt64),
            "real": [float("nan"), None],
            "price": pl.Series([Decimal("1.25"), None], dtype=pl.Decimal(10, 2)),
            "span": pl.Series([timedelta(days=1), None], dtype=pl.Duration("ms")),
        }
    )
    for host in (every, every.clear()):
        got = query.to_polars(query.from_polars(host))
        assert got.schema == host.schema
        assert got.equals(host)


def test_a_column_of_another_type_than_its_schema_says_is_found(frame: DeviceFrame) -> None:
    wrong = DeviceFrame(frame.table, pl.Schema({"a": pl.Int32(), "b": pl.String()}), frame.stream)
    with pytest.raises(TypeError, match="INT64 on the device, but Int32"):
        query.to_polars(wrong)


def test_a_column_is_added_or_replaced_in_its_place(frame: DeviceFrame) -> None:
    added = frame.with_column("c", frame.column("a"), pl.Int64())
    assert back(added) == {"a": [1, 2, 3], "b": ["x", None, "z"], "c": [1, 2, 3]}
    replaced = frame.with_column("a", frame.column("b"), pl.String())
    assert back(replaced) == {"a": ["x", None, "z"], "b": ["x", None, "z"]}
    assert replaced.schema == {"a": pl.String, "b": pl.String}
    assert back(frame) == HOST.to_dict(as_series=False)


def test_select_and_drop(frame: DeviceFrame) -> None:
    assert list(back(frame.select(["b", "a"]))) == ["b", "a"]
    assert back(frame.drop(["b", "not there"])) == {"a": [1, 2, 3]}
    assert frame.select(["a", "b"]) is frame


def test_no_columns_are_as_many_rows(frame: DeviceFrame) -> None:
    assert frame.select([]).height == 3


def test_slice(frame: DeviceFrame) -> None:
    assert back(frame.slice(1, 2)) == {"a": [2, 3], "b": [None, "z"]}
    assert back(frame.slice(3, 0)) == {"a": [], "b": []}


def test_gather(frame: DeviceFrame) -> None:
    places = query.from_polars(pl.DataFrame({"n": [2, 0, 3]}, schema={"n": pl.Int32})).column("n")
    assert back(frame.gather(places, OutOfBounds.NULLIFY)) == {"a": [3, 1, None], "b": ["z", "x", None]}


def test_the_imitation_wants_the_stream_passed_on(frame: DeviceFrame) -> None:
    with pytest.raises(TypeError, match="must pass on the stream"):
        plc.unary.is_valid(frame.column("a"))  # type: ignore[arg-type]
