"""When: a cron expression or an interval, checked before anything is registered."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from headrace.schemas.errors import UsageError

if TYPE_CHECKING:
    from prefect.schedules import Schedule


def make_schedule(cron: str = "", every: timedelta | None = None, timezone: str = "UTC") -> Schedule | None:
    """The schedule that is asked for; None if none is.

    Parameters
    ----------
    cron
        Minute, hour, day of month, month, day of week.
    every
        Time from run to run; a second or more.
    timezone
        IANA name; what the clock in `cron` shows.

    Raises
    ------
    UsageError
        The expression or the time zone is wrong, or both `cron` and `every` are given.
    """
    from prefect.client.schemas.schedules import CronSchedule
    from prefect.schedules import Cron, Interval

    if cron and every is not None:
        raise UsageError("a schedule has a cron expression or an interval, not both")
    if every is not None:
        if every < timedelta(seconds=1):
            raise UsageError(f"an interval is a second or more, got {every.total_seconds():g} s")
        return Interval(every, timezone=_zone(timezone))
    if not cron:
        return None
    fields = cron.split()
    if len(fields) != 5:
        raise UsageError(
            f"cron has five fields, got {len(fields)}: {cron!r}",
            hint='minute, hour, day of month, month, day of week: "0 5 * * *" is at 05:00 every day',
        )
    try:
        CronSchedule(cron=cron)
    except ValueError:
        raise UsageError(
            f"not a cron expression: {cron!r}",
            hint='minute 0-59, hour 0-23, day 1-31, month 1-12, weekday 0-6: "0 5 * * *" is at 05:00 every day',
        ) from None
    return Cron(cron, timezone=_zone(timezone))


def _zone(name: str) -> str:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise UsageError(f"no time zone {name!r}", hint="an IANA name, such as UTC or America/New_York") from None
    return name
