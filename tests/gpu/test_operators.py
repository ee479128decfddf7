"""Every operator on the GPU beside the CPU, on the columns of the conformance tests."""

from __future__ import annotations

from typing import Any

import pytest
from tests.transforms.engines import assert_engine_agrees
from tests.transforms.examples import CASES, FRAMES

from headrace.engines.open import EngineSpec, open_engine


@pytest.mark.parametrize("rows", FRAMES)
@pytest.mark.parametrize("plain", CASES)
def test_an_operator_gives_the_same(plain: dict[str, Any], rows: str) -> None:
    assert_engine_agrees(plain, rows, open_engine(EngineSpec(name="gpu", strict=True)))
