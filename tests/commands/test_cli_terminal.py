from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from headrace.commands.terminal import plain
from headrace.pipelines.runs import RunRecord


class Place(NamedTuple):
    path: Path
    rate: float


def test_plain_has_only_what_json_has() -> None:
    assert plain(Place(Path("a/b"), float("nan"))) == {"path": "a/b", "rate": None}
    assert plain({1: (float("inf"), True, None, "x")}) == {"1": [None, True, None, "x"]}
    record = RunRecord(run_id="r", pipeline="p", status="done", started_at=datetime(2026, 1, 2, tzinfo=UTC))
    assert plain([record])[0]["started_at"] == "2026-01-02T00:00:00Z"
