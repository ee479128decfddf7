"""Tests that need a GPU: skipped, with the reason, where NVML finds none that headrace can use. Nothing here imports
CUDA before a test runs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from headrace.engines.detect import choose

HERE: Final = Path(__file__).parent

POOL: Final = 0.3
"""The part of the device that this process takes; tests start workers beside it."""


@pytest.fixture(scope="session", autouse=True)
def _pool() -> None:
    """One pool for this process, made before an engine takes its own. Not set up where all tests are skipped."""
    from headrace.engines.gpu.memory import use_pool

    use_pool(POOL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    own = [item for item in items if item.path.parent == HERE]
    for item in own:
        item.add_marker(pytest.mark.gpu)
    if not own:
        return
    chosen = choose("auto")
    if chosen.engine != "gpu":
        for item in own:
            item.add_marker(pytest.mark.skip(reason=f"no GPU engine here: {chosen.reason}"))
