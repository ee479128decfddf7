from __future__ import annotations

import re
import time
import uuid

from headrace.catalog.identity import now, uuid7


def test_a_uuid7_has_the_version_the_variant_and_the_time() -> None:
    before = time.time_ns() // 1_000_000
    value = uuid.UUID(uuid7())
    assert value.version == 7
    assert value.variant == uuid.RFC_4122
    assert before <= value.int >> 80 <= time.time_ns() // 1_000_000


def test_uuid7s_differ_and_sort_by_time() -> None:
    made = [uuid7() for _ in range(2_000)]
    assert len(set(made)) == 2_000
    times = [value[:13] for value in made]
    assert times == sorted(times)


def test_now_is_iso_8601_in_utc() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", now())
