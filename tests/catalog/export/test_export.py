from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any, NoReturn

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.catalog.export.conftest import Publish, everything, numbers

from headrace.catalog.export.export import FORMATS, export
from headrace.catalog.reader import Dataset
from headrace.schemas.errors import CapabilityError, DataError, RunError, UsageError


@pytest.fixture
def dataset(published: Publish) -> Dataset:
    return published(everything())


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name not in ("catalog", "other"))


@pytest.mark.parametrize("form", list(FORMATS))
def test_says_what_it_has_written(published: Publish, tmp_path: Path, form: str) -> None:
    dataset = published(numbers())
    done = export(dataset, tmp_path / "out", form, splits=["test"], columns=["share", "id"])
    assert left(tmp_path) == ["out"]
    assert left(tmp_path / "out") == ["export.json", "test"]
    about = json.loads((tmp_path / "out" / "export.json").read_text())
    assert (about["format"], about["dataset"], about["version"]) == (form, "demo", 1)
    assert about["manifest_sha256"] == dataset.record.manifest_sha256
    assert [(c["name"], c["type"], c["nullable"]) for c in about["columns"]] == [
        ("share", "float", False),
        ("id", "int64", False),
    ]
    assert about["splits"] == {"test": {"rows": 3, "files": list(done.splits["test"].files)}}
    assert all((tmp_path / "out" / file).is_file() for file in done.splits["test"].files)
    assert done.bytes == sum(path.stat().st_size for path in (tmp_path / "out").rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"format": "parquet"}, "'parquet' is not a format; there are webdataset, mds, delta, arrow"),
        ({"format": "arow"}, "'arow' is not a format; did you mean 'arrow'?"),
        ({"splits": ["trian"]}, "demo@1 has no split 'trian'; did you mean 'train'?"),
        ({"columns": ["id", "shar"]}, "demo@1 has no column 'shar'; did you mean 'share' or 'short'?"),
        ({"columns": ["id", "id"]}, "name each column once, and at least one; got id, id"),
        ({"columns": []}, "name each column once, and at least one; got none"),
        ({"rows_per_file": 0}, "0 rows per file; at least one is needed"),
        ({"out": "s3://bucket/x"}, "s3://bucket/x is not a folder"),
    ],
)
def test_what_is_not_there(dataset: Dataset, tmp_path: Path, words: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        export(dataset, **({"out": tmp_path / "out", "format": "arrow"} | words))
    assert caught.value.message == message
    assert left(tmp_path) == []


def test_out_must_not_exist(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(UsageError, match="out is there already"):
        export(dataset, tmp_path / "out", "arrow")
    with pytest.raises(UsageError, match=r"there is no folder .*/none to make out in"):
        export(dataset, tmp_path / "none" / "out", "arrow")


def full(*_: Any, **__: Any) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("form", list(FORMATS))
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), KeyboardInterrupt()])
def test_an_export_that_does_not_end_leaves_nothing(
    published: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, error: BaseException
) -> None:
    writes: list[object] = []
    real = Path.write_text

    def write_text(path: Path, *words: Any, **how: Any) -> int:
        writes.append(path)
        if path.name == "export.json":
            assert (path.parent / "train").is_dir()
            raise error
        return real(path, *words, **how)

    monkeypatch.setattr(Path, "write_text", write_text)
    with pytest.raises((RunError, KeyboardInterrupt)) as caught:
        export(published(numbers().drop("huge")), tmp_path / "out", form)
    assert writes
    assert left(tmp_path) == []
    if isinstance(caught.value, RunError):
        assert caught.value.message == "cannot write: No space left on device; nothing was left behind"
        assert caught.value.hint.startswith("free space on that disk")


def test_where_writing_is_not_allowed(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(CapabilityError, match="cannot write: Permission denied"):
        export(dataset, tmp_path / "out", "arrow")


@pytest.mark.parametrize("form", list(FORMATS))
def test_a_damaged_shard_is_named(published: Publish, tmp_path: Path, form: str) -> None:
    dataset = published(numbers().drop("huge"))
    path = dataset.files("train")[1]
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    column = pq.read_metadata(path).row_group(0).column(0)
    data[column.data_page_offset + column.total_compressed_size - 1] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        export(dataset, tmp_path / "out", form)
    assert caught.value.where == "train/part-00001.parquet"
    assert "this shard cannot be read: could not verify page integrity" in caught.value.message
    assert caught.value.hint == "headrace datasets verify demo@1"
    path.unlink()
    with pytest.raises(DataError, match="No such file"):
        export(dataset, tmp_path / "out", form)
    assert left(tmp_path) == []


def test_other_rows_than_the_manifest_says_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    first, second = dataset.files("train")
    for path, table, message in (
        (second, pq.read_table(second).slice(1), "the shards have 1 fewer rows than the manifest says"),
        (
            second,
            pa.concat_tables([pq.read_table(first)]),
            "the shards have 110 more rows than the 250 of the manifest",
        ),
    ):
        path.chmod(0o644)
        pq.write_table(table, path)
        with pytest.raises(DataError, match=message):
            export(dataset, tmp_path / "out", "arrow")


def test_a_dataset_without_shards(published: Publish, tmp_path: Path) -> None:
    dataset = published(pl.DataFrame({"x": [1]}))
    nothing = {
        name: split.model_copy(update={"files": (), "rows": 0}) for name, split in dataset.manifest.splits.items()
    }
    empty = Dataset(
        dataset.name,
        1,
        dataset.place,
        dataset.record,
        dataset.manifest.model_copy(update={"splits": nothing}),
    )
    with pytest.raises(DataError, match="demo@1: has no shards, so there is nothing to export"):
        export(empty, tmp_path / "out", "arrow")
