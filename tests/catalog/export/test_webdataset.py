from __future__ import annotations

import gc
import json
import tarfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import webdataset
from polars.testing import assert_frame_equal
from tests.catalog.export.conftest import Publish, everything

from headrace.catalog.export.export import export
from headrace.catalog.export.webdataset import _header
from headrace.schemas.errors import DataError, UsageError

leaves_files_open = pytest.mark.filterwarnings(  # webdataset: the last shard, until it is collected
    "ignore::pytest.PytestUnraisableExceptionWarning"
)


def rows_of(paths: list[str]) -> list[dict[str, Any]]:
    samples = list(webdataset.WebDataset(paths, shardshuffle=False).decode())
    assert [sample["__key__"] for sample in samples] == [f"{n:09d}" for n in range(len(samples))]
    gc.collect()
    return [sample["json"] for sample in samples]


@leaves_files_open
def test_webdataset_reads_back_what_was_published(published: Publish, tmp_path: Path) -> None:
    frame = everything().with_columns(text=pl.when(pl.col("id") != 3).then("text"))
    dataset = published(frame, nullable=("text",))
    done = export(dataset, tmp_path / "out", "webdataset", rows_per_file=120)
    assert done.splits["train"].files == tuple(f"train/part-{n:05d}.tar" for n in range(3))
    rows = rows_of([str(tmp_path / "out" / file) for file in done.splits["train"].files])
    assert list(rows[0]) == list(dataset.columns)
    assert rows[3]["text"] is None
    assert (rows[0]["day"], rows[0]["at"]) == ("1969-12-30", "1969-12-31T23:59:59.999999+00:00")
    times = [name for name, dtype in frame.schema.items() if dtype.is_temporal()]
    schema = {name: pl.String() if name in times else dtype for name, dtype in frame.schema.items()}
    back = pl.DataFrame(rows, schema=schema).with_columns(
        pl.col("day").str.to_date(),
        pl.col("at").str.to_datetime(time_zone="UTC", time_unit="us"),
        pl.col("local").str.to_datetime(time_unit="ms"),
    )
    assert_frame_equal(back, frame, check_exact=True)


def test_the_shards_are_plain_tar_files(published: Publish, tmp_path: Path) -> None:
    export(published(everything()), tmp_path / "out", "webdataset")
    with tarfile.open(tmp_path / "out/test/part-00000.tar") as tar:
        members = tar.getmembers()
        assert [member.name for member in members] == [f"{n:09d}.json" for n in range(3)]
        assert all(member.isfile() for member in members)
        file = tar.extractfile(members[2])
        assert file is not None
        assert json.loads(file.read())["id"] == 2


@pytest.mark.parametrize("size", [0, 1, 511, 512, 99_999, 8**11 - 1])
def test_headers_are_those_of_tarfile(size: int) -> None:
    member = tarfile.TarInfo("000000012.json")
    member.size = size
    assert _header(b"000000012.json", size) == member.tobuf(tarfile.USTAR_FORMAT)


def test_types_that_json_lacks_are_refused_at_once(published: Publish, tmp_path: Path) -> None:
    frame = pl.DataFrame({"x": [1.0], "took": [1], "raw": [b"a"]}).cast({"took": pl.Duration("us")})
    with pytest.raises(UsageError) as caught:
        export(published(frame), tmp_path / "out", "webdataset")
    assert caught.value.message == (
        "2 columns cannot be written as webdataset: took (duration[us]), raw (large_binary)"
    )
    assert "--columns" in caught.value.hint
    export(published(frame), tmp_path / "out", "webdataset", columns=["x"])


def test_numbers_that_json_lacks_are_refused(published: Publish, tmp_path: Path) -> None:
    values = [1.0] * 240 + [float("nan"), float("inf")]
    frame = pl.DataFrame({"x": values, "y": 1.0, "z": [[value] for value in values]})
    with pytest.raises(DataError) as caught:
        export(published(frame), tmp_path / "out", "webdataset")
    assert caught.value.message == ("2 columns have NaN or infinities, which webdataset cannot hold: x: 2, z: 2")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["catalog", "other"]
