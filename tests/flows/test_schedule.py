from __future__ import annotations

from datetime import timedelta

import pytest

from headrace.flows.schedule import make_schedule
from headrace.schemas.errors import UsageError


def test_a_cron_expression_and_its_clock() -> None:
    schedule = make_schedule("0 5 * * *", timezone="America/New_York")
    assert schedule is not None
    assert (schedule.cron, schedule.timezone) == ("0 5 * * *", "America/New_York")


def test_an_interval() -> None:
    schedule = make_schedule(every=timedelta(hours=6))
    assert schedule is not None
    assert schedule.interval == timedelta(hours=6)


def test_no_schedule() -> None:
    assert make_schedule() is None


@pytest.mark.parametrize(
    ("cron", "message"),
    [
        ("0 5 * *", "five fields, got 4"),
        ("0 0 5 * * *", "five fields, got 6"),
        ("0 25 * * *", "not a cron expression: '0 25 \\* \\* \\*'"),
        ("H 5 * * *", "not a cron expression"),
        ("a b c d e", "not a cron expression"),
        ("@daily", "five fields, got 1"),
    ],
)
def test_a_wrong_expression_says_what_is_expected(cron: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        make_schedule(cron)
    assert '"0 5 * * *" is at 05:00 every day' in caught.value.hint


def test_a_schedule_is_one_thing() -> None:
    with pytest.raises(UsageError, match="not both"):
        make_schedule("0 5 * * *", timedelta(hours=1))
    with pytest.raises(UsageError, match="a second or more, got 0 s"):
        make_schedule(every=timedelta(0))


@pytest.mark.parametrize("zone", ["Mars/Base", "", "../etc/passwd", "America"])
def test_an_unknown_time_zone(zone: str) -> None:
    with pytest.raises(UsageError, match="no time zone"):
        make_schedule("0 5 * * *", timezone=zone)
