from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

import deltalake
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.catalog.export.conftest import Publish, everything

from headrace.catalog.export.export import export
from headrace.schemas.errors import CapabilityError, DataError, UsageError


def test_deltalake_reads_back_what_was_published(published: Publish, tmp_path: Path) -> None:
    frame = everything().drop("huge").with_columns(text=pl.when(pl.col("id") != 3).then("text"))
    done = export(published(frame, nullable=("text",)), tmp_path / "out", "delta", rows_per_file=20)
    table = deltalake.DeltaTable(tmp_path / "out" / "train")
    assert table.version() == 0
    assert [Path(uri).name for uri in table.file_uris()] == [f"part-{n:05d}.parquet" for n in range(13)]
    wider = {
        "mask": pl.Int16,
        "word": pl.Int32,
        "count": pl.Int64,
        "local": pl.Datetime("us"),
        "vector": pl.List(pl.Float32),
    }
    assert {name: done.columns[name] for name in wider} == {
        "mask": "int16",
        "word": "int32",
        "count": "int64",
        "local": "timestamp[us]",
        "vector": "list<element: float not null>",
    }
    read = pl.from_arrow(table.to_pyarrow_table())
    assert isinstance(read, pl.DataFrame)
    assert_frame_equal(read, frame.cast(wider), check_exact=True)  # type: ignore[arg-type]
    assert_frame_equal(pl.read_delta(str(tmp_path / "out" / "train")), read)
    assert [field.name for field in table.schema().fields if field.nullable] == ["text"]
    assert deltalake.DeltaTable(tmp_path / "out" / "empty").to_pyarrow_table().num_rows == 0


def test_what_delta_cannot_hold_is_refused(published: Publish, tmp_path: Path) -> None:
    frame = pl.DataFrame({"huge": [2**64 - 1], "took": [1], "a b": [1], "x": [1]}).cast(
        {"took": pl.Duration("us"), "huge": pl.UInt64}
    )
    with pytest.raises(UsageError) as caught:
        export(published(frame), tmp_path / "out", "delta")
    assert caught.value.message == (
        "3 columns cannot be written as delta: huge (uint64), took (duration[us]), a b (its name)"
    )


def test_nanoseconds_that_would_be_lost_are_refused(published: Publish, tmp_path: Path) -> None:
    frame = pl.DataFrame({"at": [1_000]}).cast(pl.Datetime("ns"))
    export(published(frame), tmp_path / "out", "delta")
    read = deltalake.DeltaTable(tmp_path / "out" / "train").to_pyarrow_table()
    assert read["at"].to_pylist() == [datetime(1970, 1, 1, microsecond=1)]
    with pytest.raises(DataError, match=r"values that delta cannot hold: .* would lose data: 1001"):
        export(
            published(frame.select((pl.col("at").cast(pl.Int64) + 1).cast(pl.Datetime("ns")))),
            tmp_path / "more",
            "delta",
        )


def test_without_deltalake(published: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(CapabilityError) as caught:
        export(published(everything()), tmp_path / "out", "delta")
    assert caught.value.message == "this needs the extra export: deltalake is not installed"
    assert not (tmp_path / "out").exists()
