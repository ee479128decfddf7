from __future__ import annotations

from datetime import date, datetime

import polars as pl
import pytest

from headrace.engines.utc import utc


@pytest.mark.parametrize("unit", ["ns", "us", "ms"])
def test_a_zoned_time_is_what_the_clocks_of_utc_show(unit: str) -> None:
    local = pl.Series([datetime(2020, 7, 1, 9)]).dt.replace_time_zone("America/New_York")
    frame = pl.DataFrame({"t": local.cast(pl.Datetime(unit, "America/New_York"))})  # type: ignore[arg-type]
    got = frame.select(utc("t", frame.schema["t"])).to_series()
    assert got.dtype == pl.Datetime(unit)  # type: ignore[arg-type]
    assert got.to_list() == [datetime(2020, 7, 1, 13)]


@pytest.mark.parametrize("value", [datetime(2020, 7, 1, 9), date(2020, 7, 1)])
def test_times_without_a_zone_stay(value: object) -> None:
    frame = pl.DataFrame({"t": [value]})
    assert frame.select(utc("t", frame.schema["t"])).equals(frame)
