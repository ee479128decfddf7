from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.dataset as pads
from tests.catalog.export.conftest import Publish, everything

from headrace.catalog.export.export import export


def test_reads_back_as_published(published: Publish, tmp_path: Path) -> None:
    dataset = published(everything().with_columns(text=pl.when(pl.col("id") > 3).then("text")), nullable=("text",))
    done = export(dataset, tmp_path / "out", "arrow", rows_per_file=120)
    assert done.splits["train"].files == tuple(f"train/part-{n:05d}.arrow" for n in range(3))
    for split in ("train", "test", "empty"):
        tables = []
        for file in done.splits[split].files:
            with pa.memory_map(str(tmp_path / "out" / file)) as source:
                tables.append(pa.ipc.open_file(source).read_all())
        published_as = dataset.arrow(split).replace_schema_metadata(None)
        assert pa.concat_tables(tables) == published_as if tables else published_as.num_rows == 0
    assert [table.num_rows for table in tables] == []
    assert pads.dataset(tmp_path / "out" / "train", format="ipc").count_rows() == 250


def test_types_that_others_refuse(published: Publish, tmp_path: Path) -> None:
    frame = pl.DataFrame({"took": [1_500_000, None], "raw": [b"\0\xff", b""]}).cast({"took": pl.Duration("us")})
    dataset = published(frame, nullable=("took",))
    export(dataset, tmp_path / "out", "arrow")
    with pa.memory_map(str(tmp_path / "out/train/part-00000.arrow")) as source:
        assert pa.ipc.open_file(source).read_all() == dataset.arrow("train")
