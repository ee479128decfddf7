"""GroupStats in a whole run: the statistics of the training rows, on the rows of every split."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.pipelines.conftest import Make, published, rows_of

pytestmark = [pytest.mark.usefixtures("no_report"), pytest.mark.slow]  # each test is a run


def test_groups_are_those_of_training_rows_and_whole_however_the_source_is_cut(make: Make, tmp_path: Path) -> None:
    number = pl.int_range(200, eager=True)
    frame = pl.DataFrame({"id": number, "c": number % 3, "k": number % 2, "x": number * number % 17})
    frame = frame.with_columns(y=(pl.col("id") % 5 == 0).cast(pl.Int8))
    steps = [
        {"GroupStats": {"by": ["c", "k"], "of": ["x"], "statistics": ["sum", "n_unique"], "output": "{statistic}"}},
        {"GroupStats": {"by": ["c"], "statistics": ["count"], "output": "rows"}},
    ]
    output, found = {"features": ["sum", "n_unique", "rows"], "keep": ["id"]}, []
    for files, group in ((1, 200), (5, 7)):
        manifest, build = published(make(steps, frame, files=files, group=group, output=output), tmp_path / str(files))
        splits = [rows_of(manifest, build, s).with_columns(pl.lit(s).alias("in")) for s in ("train", "test")]
        found.append(pl.concat(splits).sort("id").select("id", "in", "sum", "n_unique", "rows"))
    assert_frame_equal(found[0], found[1], check_exact=True)
    train = frame.join(found[0].filter(pl.col("in") == "train"), on="id", how="semi")
    assert 0 < train.height < 200
    for row in frame.join(found[0], on="id").rows(named=True):
        group = train.filter(pl.col("c") == row["c"])
        assert row["rows"] == group.height
        values = group.filter(pl.col("k") == row["k"])["x"]
        assert (row["sum"], row["n_unique"]) == (values.sum(), values.n_unique())
