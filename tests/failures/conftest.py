from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.failures.shop import COLUMNS, PARTS, Refusals, Shop, rows


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """Three files of 80 rows and a pipeline with a passing run: median, scaling, categories, a split by hash."""
    monkeypatch.setenv("PREFECT_API_URL", "")
    monkeypatch.delenv("HEADRACE_CATALOG", raising=False)
    made = Shop(
        tmp_path,
        {
            "name": "shop",
            "source": {"path": "data", "root": str(tmp_path)},
            "contract": {"name": "sales", "columns": [dict(c) for c in COLUMNS.values()], "primary_key": ["id"]},
            "steps": [
                {"FillNull": {"columns": ["price"], "statistic": "median", "mask": True}},
                {"Standardize": {"columns": ["price"]}},
                {"Categorify": {"columns": ["city"]}},
            ],
            "target": "late",
            "split": {"by": "hash", "columns": ["id"], "fractions": {"train": 0.7, "test": 0.3}},
        },
    )
    made.source.mkdir()
    for part in range(PARTS):
        made.write(rows(part), f"part-{part}.parquet")
    yield made
    assert made.processes() == []


@pytest.fixture
def refused(shop: Shop, capfd: pytest.CaptureFixture[str]) -> Refusals:
    return Refusals(shop, capfd)
