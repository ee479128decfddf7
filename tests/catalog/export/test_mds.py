from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.catalog.export.conftest import Publish, everything

from headrace.catalog.export.export import export
from headrace.schemas.errors import DataError, UsageError

ENCODINGS = {
    "id": "int64",
    "huge": "uint64",
    "label": "int8",
    "mask": "uint8",
    "word": "uint16",
    "count": "uint32",
    "short": "int16",
    "carrier": "int32",
    "share": "float32",
    "exact": "float64",
    "flag": "uint8",
    "text": "str",
    "day": "int32",
    "at": "int64",
    "local": "int64",
    "items": "ndarray:float32",
    "ids": "ndarray:int64",
    "vector": "ndarray:float32:3",
}


@pytest.fixture
def streaming(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """mosaicml-streaming without its datasets of pictures: they import torchvision, and one that is built for CUDA does
    not import beside a torch that is not. And without those of texts, which import transformers."""
    if importlib.util.find_spec("streaming") is None:
        pytest.skip(
            "mosaicml-streaming is not installed beside the rest, which its pins are at odds with: make mds-test"
        )
    with monkeypatch.context() as patch:
        for name in ("vision", "text", "multimodal"):
            patch.setitem(sys.modules, f"streaming.{name}", ModuleType(name))
        return importlib.import_module("streaming")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of streaming and torch
def test_streaming_reads_back_what_was_published(published: Publish, tmp_path: Path, streaming: Any) -> None:
    frame = everything()
    done = export(published(frame), tmp_path / "out", "mds", rows_per_file=120)
    assert done.columns == ENCODINGS
    assert done.splits["train"].files == tuple(f"train/shard.{n:05d}.mds" for n in range(3))
    dataset = streaming.StreamingDataset(local=str(tmp_path / "out"), split="train", batch_size=1, shuffle=False)
    rows = [dataset[n] for n in range(len(dataset))]
    assert len(rows) == 250
    assert [row["id"] for row in dataset] == list(range(250))
    for name, encoding in ENCODINGS.items():
        expected = frame[name].to_physical()
        for row, value in zip(rows, expected.to_list(), strict=True):
            got = row[name]
            if encoding.startswith("ndarray"):
                assert got.dtype == np.dtype(encoding.split(":")[1])
                assert got.tolist() == np.array(value, got.dtype).tolist()
            elif encoding == "str":
                assert got == value
            else:
                assert got.dtype == np.dtype(encoding)
                assert got == np.dtype(encoding).type(value)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_shard_is_the_one_that_mdswriter_makes(published: Publish, tmp_path: Path, streaming: Any) -> None:
    frame = everything().filter(pl.col("items").list.len() > 0, pl.col("ids").list.len() > 0)  # it refuses empty ones
    export(published(frame), tmp_path / "out", "mds")
    arrays = {name: np.dtype(kind.split(":")[1]) for name, kind in ENCODINGS.items() if ":" in kind}
    with streaming.MDSWriter(out=str(tmp_path / "theirs"), columns=ENCODINGS, size_limit=None) as writer:
        for row in frame.with_columns(pl.col("day", "at", "local").to_physical()).iter_rows(named=True):
            writer.write(row | {name: np.array(row[name], dtype) for name, dtype in arrays.items()})
    for name in ("shard.00000.mds", "index.json"):
        assert (tmp_path / "out/train" / name).read_bytes() == (tmp_path / "theirs" / name).read_bytes()


def test_what_mds_cannot_hold_is_refused(published: Publish, tmp_path: Path) -> None:
    frame = pl.DataFrame({"x": [1, None, 3], "y": [1, 2, 3], "words": [["a"], ["b"], []]})
    with pytest.raises(UsageError, match="1 columns cannot be written as mds: words"):
        export(published(frame, nullable=("x", "words")), tmp_path / "out", "mds")
    with pytest.raises(DataError) as caught:
        export(published(frame, nullable=("x", "words")), tmp_path / "out", "mds", columns=["x", "y"])
    assert caught.value.message == "1 columns have nulls, which mds cannot hold: x: 1"
    assert "--format delta" in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_a_shard_beyond_its_offsets_is_refused(
    published: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.catalog.export.mds._MOST_BYTES", 2_000)
    with pytest.raises(UsageError) as caught:
        export(published(everything()), tmp_path / "out", "mds", rows_per_file=200)
    assert caught.value.message == "200 rows take more than the 4 GiB of an MDS shard"
    assert caught.value.hint == "choose fewer --rows-per-file"
