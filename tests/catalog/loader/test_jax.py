"""The block of docs/loader.md on JAX: a step that is compiled once trains on the NumPy loader's batches."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.catalog.loader.page import code
from tests.catalog.loader.worlds import published

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("jax") is None, reason="jax is in no extra: run by hand, pip install jax"
    ),
]

ROWS = 4_000


def test_the_pages_loop_learns_a_line(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    x, z = draw.normal(size=(2, ROWS)).astype(np.float32)
    table = pa.table({"x": x, "z": z, "y": 3 * x - 2 * z})
    names: dict[str, Any] = {"dataset": published(tmp_path, (table, [1_000] * 4))}
    exec(code("JAX"), names)
    assert np.allclose(names["weights"], [3, -2], atol=1e-3)
    assert names["step"]._cache_size() == 1
