from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.failures.shop import Refusals, Shop


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """Three files of 80 rows and a pipeline with a passing run: median, scaling, categories, a split by hash."""
    monkeypatch.setenv("PREFECT_API_URL", "")
    monkeypatch.delenv("HEADRACE_CATALOG", raising=False)
    made = Shop.at(
        tmp_path,
        {"FillNull": {"columns": ["price"], "statistic": "median", "mask": True}},
        {"Standardize": {"columns": ["price"]}},
        {"Categorify": {"columns": ["city"]}},
    )
    yield made
    assert made.processes() == []


@pytest.fixture
def refused(shop: Shop, capfd: pytest.CaptureFixture[str]) -> Refusals:
    return Refusals(shop, capfd)
