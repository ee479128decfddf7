"""Every operator on the GPU engine over the imitation: learned and applied there, equal to the CPU's."""

from __future__ import annotations

from typing import Any

import pytest
from tests.imitation.fixture import imitation
from tests.transforms.engines import assert_engine_agrees
from tests.transforms.examples import CASES, FRAMES


@pytest.mark.slow
@pytest.mark.parametrize("rows", FRAMES)
@pytest.mark.parametrize("plain", CASES)
def test_an_operator_gives_the_same(plain: dict[str, Any], rows: str) -> None:
    from headrace.engines.gpu.engine import GpuEngine

    with imitation():
        assert_engine_agrees(plain, rows, GpuEngine(strict=True))
