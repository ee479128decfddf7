"""Tests that need a GPU: skipped, with the reason, where NVML finds none that headrace can use. Nothing here imports
CUDA before a test runs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from headrace.engines.detect import choose

HERE: Final = Path(__file__).parent


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
