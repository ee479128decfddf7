"""A dataset for loaders, and windows small enough for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.catalog.loader.rows import rows
from tests.catalog.loader.worlds import published

from headrace.catalog.loader import plan, slab
from headrace.catalog.reader import Dataset


@pytest.fixture
def demo(tmp_path: Path) -> Dataset:
    """1,000 rows in three shards of several row groups."""
    table = rows(1_000)
    return published(
        tmp_path,
        (table.slice(0, 400), [100, 150, 150]),
        (table.slice(400, 300), [300]),
        (table.slice(700), [120, 0, 80, 100]),
    )


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of 16 rows and slabs of 100, so that small splits have many."""
    monkeypatch.setattr(plan, "WINDOW_ROWS", 16)
    monkeypatch.setattr(slab, "ROWS", 100)
