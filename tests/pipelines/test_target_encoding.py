"""TargetEncode in whole runs: what is published for each split, however the source lies, and what is served."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.pipelines.conftest import Make, published, rows_of

from headrace.pipelines.fitted import FittedPipeline

pytestmark = [pytest.mark.usefixtures("no_report"), pytest.mark.slow]  # each test is a run

STEPS: Final[list[dict[str, Any]]] = [
    {"TargetEncode": {"columns": ["c"], "target": "y", "leave_one_out": True, "smoothing": 2, "output": "left_out"}},
    {
        "TargetEncode": {
            "columns": ["c", "shop"],
            "target": ["y", "x"],
            "fold_by": "group",
            "fold_on": ["customer"],
            "smoothing": "auto",
            "output": "{column}_{target}",
        }
    },
    {"TargetEncode": {"columns": ["c"], "target": "k", "classes": ["u", "v"], "fold_on": "id", "output": "{class}"}},
]
FEATURES: Final = ["left_out", "c_y", "c_x", "shop_y", "shop_x", "u", "v"]


def source() -> pl.DataFrame:
    random = np.random.default_rng(3)
    return pl.DataFrame(
        {
            "id": np.arange(300),
            "customer": random.integers(0, 60, 300),
            "c": random.choice(["a", "b", "c"], 300),
            "shop": random.integers(0, 9, 300),
            "x": random.normal(1e6, 1, 300),
            "k": random.choice(["u", "v", "w"], 300),
            "y": random.integers(0, 2, 300),
        }
    )


def test_each_split_gets_its_encoding_and_the_cut_of_the_source_does_not_show(make: Make, tmp_path: Path) -> None:
    frame, found = source(), []
    for files, group in ((1, 300), (4, 11)):
        output = {"features": FEATURES, "keep": ["id"]}
        manifest, build = published(make(STEPS, frame, files=files, group=group, output=output), tmp_path / str(files))
        splits = [rows_of(manifest, build, s).with_columns(pl.lit(s).alias("in")) for s in ("train", "test")]
        found.append(pl.concat(splits).sort("id"))
    assert_frame_equal(found[0], found[1], check_exact=True)

    rows = frame.join(found[0].select("id", "left_out", "in"), on="id")
    train = rows.filter(pl.col("in") == "train")
    for category, target, split, got in rows.select("c", "y", "in", "left_out").rows():
        same, everything = train.filter(pl.col("c") == category)["y"], train["y"]
        own = (target, 1) if split == "train" else (0, 0)
        prior = (everything.sum() - own[0]) / (len(everything) - own[1])
        assert got == pytest.approx((same.sum() - own[0] + 2 * prior) / (len(same) - own[1] + 2), rel=1e-6)

    fitted = FittedPipeline.load(build / "state")
    assert set(fitted.raw_columns()) == {"c", "shop"}
    test = found[0].filter(pl.col("in") == "test")
    served = fitted.transform(frame.join(test.select("id"), on="id", how="semi").select("c", "shop", "id"))
    assert_frame_equal(served, test.select(FEATURES), check_exact=True)
