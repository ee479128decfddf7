"""A dataset to train on: a label that depends on two numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from tests.catalog.loader.worlds import published

from headrace.catalog.reader import Dataset, open_dataset

STEPS: Final = 15
"""Of an epoch, in batches of 64."""


def dataset(root: Path) -> Dataset:
    """The dataset, made when it is first asked for."""
    if (root / "demo").exists():
        return open_dataset(root / "demo")
    draw = np.random.default_rng(3)
    rows = STEPS * 64
    a, b = draw.normal(size=(2, rows)).astype(np.float32)
    label = (a - 2 * b + draw.normal(size=rows) > 0).astype(np.int8)
    table = pa.table({"id": np.arange(rows), "a": a, "b": b, "y": label})
    return published(root, (table, [300, 300, rows - 600]))
