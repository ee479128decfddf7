"""The report's table of drift: the columns of the other splits that have moved from the first."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from tests.pipelines.conftest import Make, published, small

SPLIT = {"by": "time", "column": "at", "starts": {"validation": "2024-01-05", "test": "2024-01-08"}}
FILL = {"FillNull": {"columns": ["x"], "statistic": "mean"}}


@pytest.mark.slow
def test_columns_that_have_moved_are_listed_by_split(make: Make, tmp_path: Path) -> None:
    frame = small(240).with_columns(pl.lit(1.5).alias("still"))
    _, folder = published(make([FILL], frame, split=SPLIT), tmp_path)
    facts = json.loads((folder / "report.json").read_text())
    assert [(d["first"], d["second"]) for d in facts["drift"]] == [("train", "validation"), ("train", "test")]
    moved = {d["second"]: {c["name"]: c["verdict"] for c in d["columns"]} for d in facts["drift"]}
    assert moved["test"] == {"x": "major", "still": "stable", "y": "stable"}
    page = (folder / "report.html").read_text()
    section = page[page.index('<section id="drift"') : page.index('<section id="columns"')]
    assert '<a href="#drift">Drift</a>' in page
    assert 'class="name">x</th>' in section
    assert 'class="name">still</th>' not in section
    assert section.count("<td>major</td>") == 2


@pytest.mark.slow
def test_nothing_has_moved(make: Make, tmp_path: Path) -> None:
    frame = small(400).with_columns(x=pl.int_range(400) % 2 * 1.0)
    _, folder = published(make([], frame), tmp_path)
    assert "No column has moved from train" in (folder / "report.html").read_text()
