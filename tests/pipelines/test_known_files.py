"""Which files an append reads, of several folders, of files of equal footers and of those that cannot be read."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.pipelines.conftest import Make, contract_of

from headrace.catalog.manifest import Manifest
from headrace.catalog.reader import open_dataset
from headrace.pipelines.build import build
from headrace.pipelines.model import Pipeline
from headrace.pipelines.options import RunOptions
from headrace.pipelines.runs import RunRecord
from headrace.schemas.errors import DataError

pytestmark = [pytest.mark.usefixtures("no_report"), pytest.mark.slow]  # each test is a run or more

PLAIN = pl.DataFrame({"id": np.arange(20), "x": np.arange(20) / 2, "y": np.arange(20) % 2})


def run(pipeline: Pipeline, catalog: Path, *, append: bool = False) -> RunRecord:
    return build(pipeline, RunOptions(catalog=str(catalog), engine="cpu", append=append))


def published(catalog: Path) -> Manifest:
    return open_dataset(catalog / "small").manifest


def ids(catalog: Path) -> list[int]:
    dataset = open_dataset(catalog / "small")
    return sorted(pl.concat([dataset.to_polars(split) for split in dataset.splits])["id"].to_list())


def names(catalog: Path) -> list[str]:
    return [source.path for source in published(catalog).inputs]


def plain(path: Path, first: int) -> None:
    """A file of 20 rows whose footer is the same whatever they are."""
    table = pa.table({"id": np.arange(20) + first, "x": np.arange(20) / 2, "y": np.arange(20) % 2})
    path.parent.mkdir(exist_ok=True)
    pq.write_table(table, path, compression="none", use_dictionary=False, write_statistics=False)


def part(path: Path, first: int) -> None:
    path.parent.mkdir(exist_ok=True)
    PLAIN.with_columns(pl.col("id") + first).write_parquet(path)


@pytest.fixture
def pipeline(make: Make) -> Pipeline:
    """Over a folder with `a/part-0.parquet` alone, ids 0 to 19."""
    made = make([], PLAIN, files=1, contract=contract_of(PLAIN), output={"keep": ["id"]})
    root = Path(made.source.root)
    (root / "part-0.parquet").unlink()
    part(root / "a" / "part-0.parquet", 0)
    return made.model_copy(update={"source": made.source.model_copy(update={"path": "**/*.parquet"})})


def test_files_of_several_folders_are_named_by_their_folder(pipeline: Pipeline, tmp_path: Path) -> None:
    catalog, root = tmp_path / "c", Path(pipeline.source.root)
    run(pipeline, catalog)
    assert names(catalog) == ["a/part-0.parquet"]
    part(root / "b" / "part-0.parquet", 20)
    run(pipeline, catalog, append=True)
    assert names(catalog) == ["a/part-0.parquet", "b/part-0.parquet"]
    part(root / "b" / "part-1.parquet", 40)
    run(pipeline, catalog, append=True)
    assert names(catalog) == ["a/part-0.parquet", "b/part-0.parquet", "b/part-1.parquet"]
    assert ids(catalog) == list(range(60))


def test_a_changed_file_of_one_of_several_folders_is_not_read_again(pipeline: Pipeline, tmp_path: Path) -> None:
    catalog, root = tmp_path / "c", Path(pipeline.source.root)
    run(pipeline, catalog)
    part(root / "a" / "part-0.parquet", 100)
    part(root / "b" / "part-0.parquet", 20)
    with pytest.raises(
        DataError, match=r"1 of the files that small@1 was made of have changed: a/part-0\.parquet"
    ) as e:
        run(pipeline, catalog, append=True)
    assert e.value.hint == "give new files names of their own; or run without --append: all rows are made anew"
    assert published(catalog).rows == 20


def test_a_name_is_free_once_its_file_lies_elsewhere(pipeline: Pipeline, tmp_path: Path) -> None:
    catalog, root = tmp_path / "c", Path(pipeline.source.root)
    run(pipeline, catalog)
    for day in (1, 2):
        (root / "old").mkdir(exist_ok=True)
        (root / "a" / "part-0.parquet").rename(root / "old" / f"day-{day}.parquet")
        part(root / "a" / "part-0.parquet", 20 * day)
        run(pipeline, catalog, append=True)
    assert names(catalog) == ["a/part-0.parquet"] * 3
    assert ids(catalog) == list(range(60))
    (root / "old" / "day-1.parquet").unlink()  # as old files are in the end: that of the name itself is still there
    assert run(pipeline, catalog, append=True).version == 3
    part(root / "a" / "part-0.parquet", 100)
    with pytest.raises(DataError, match=r"have changed: a/part-0\.parquet"):
        run(pipeline, catalog, append=True)


def test_files_that_differ_in_plain_numbers_alone_are_told_apart(pipeline: Pipeline, tmp_path: Path) -> None:
    catalog, root = tmp_path / "c", Path(pipeline.source.root)
    plain(root / "a" / "part-0.parquet", 0)
    run(pipeline, catalog)
    plain(root / "a" / "part-1.parquet", 20)
    run(pipeline, catalog, append=True)
    assert ids(catalog) == list(range(40))
    shutil.rmtree(root / "a")
    plain(root / "a" / "part-2.parquet", 40)
    run(pipeline, catalog, append=True)
    assert ids(catalog) == list(range(60))
    shutil.copy2(root / "a" / "part-2.parquet", root / "a" / "copy.parquet")
    assert run(pipeline, catalog, append=True).version == 3


def test_a_file_that_has_changed_in_plain_numbers_alone_is_named(pipeline: Pipeline, tmp_path: Path) -> None:
    catalog, file = tmp_path / "c", Path(pipeline.source.root) / "a" / "part-0.parquet"
    plain(file, 0)
    run(pipeline, catalog)
    before = file.stat()
    plain(file, 100)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DataError, match=r"have changed: a/part-0\.parquet"):
        run(pipeline, catalog, append=True)


@pytest.mark.parametrize("policy", ["fail", "quarantine"])
def test_a_new_file_that_cannot_be_read_is_named(pipeline: Pipeline, tmp_path: Path, policy: str) -> None:
    pipeline = pipeline.model_copy(update={"source": pipeline.source.model_copy(update={"on_bad_file": policy})})
    catalog, root = tmp_path / "c", Path(pipeline.source.root)
    run(pipeline, catalog)
    (root / "a" / "part-1.parquet").write_bytes(b"id,x,y\n1,2,3\n")
    with pytest.raises(DataError) as error:
        run(pipeline, catalog, append=True)
    assert "part-1.parquet" in str(error.value)
    assert "not a Parquet file" in error.value.message
    assert "\nhint" not in error.value.message
    assert published(catalog).rows == 20


def test_the_error_names_all_new_files_that_cannot_be_read(pipeline: Pipeline, tmp_path: Path) -> None:
    source = pipeline.source.model_copy(update={"on_bad_file": "quarantine"})
    pipeline, catalog = pipeline.model_copy(update={"source": source}), tmp_path / "c"
    run(pipeline, catalog)
    for number in (1, 2):
        (Path(source.root) / "a" / f"part-{number}.parquet").write_bytes(b"")
    with pytest.raises(DataError) as error:
        run(pipeline, catalog, append=True)
    assert error.value.message == (
        "no row to append to small@1: none of the 2 new files can be read\n"
        "  a/part-1.parquet: the file is empty (0 bytes)\n"
        "  a/part-2.parquet: the file is empty (0 bytes)"
    )
    assert error.value.hint == "mend them, or take them out of the source's folder"


def test_a_bad_file_that_was_mended_is_read_and_no_longer_listed(pipeline: Pipeline, tmp_path: Path) -> None:
    source = pipeline.source.model_copy(update={"on_bad_file": "quarantine"})
    pipeline, catalog, root = pipeline.model_copy(update={"source": source}), tmp_path / "c", Path(source.root)
    for name in ("bad", "worse"):
        (root / "a" / f"{name}.parquet").write_bytes(b"")
    run(pipeline, catalog)
    (note,) = run(pipeline, catalog, append=True).notes
    assert note == (
        "nothing to append: small@1 has the rows of all 1 files already, but of a/bad.parquet, a/worse.parquet, "
        "which cannot be read"
    )
    part(root / "a" / "bad.parquet", 20)
    run(pipeline, catalog, append=True)
    quality = published(catalog).quality
    assert quality is not None
    assert [file.path for file in quality.bad_files] == ["a/worse.parquet"]
    assert ids(catalog) == list(range(40))


def test_of_many_bad_files_the_first_are_named(pipeline: Pipeline, tmp_path: Path) -> None:
    source = pipeline.source.model_copy(update={"on_bad_file": "quarantine"})
    pipeline, catalog = pipeline.model_copy(update={"source": source}), tmp_path / "c"
    for number in range(7):
        (Path(source.root) / "a" / f"bad-{number}.parquet").write_bytes(b"")
    run(pipeline, catalog)
    (note,) = run(pipeline, catalog, append=True).notes
    assert note.endswith("a/bad-3.parquet, a/bad-4.parquet, ..., which cannot be read")


def test_a_file_without_rows_is_not_missed(pipeline: Pipeline, tmp_path: Path) -> None:
    catalog, root = tmp_path / "c", Path(pipeline.source.root)
    PLAIN.clear().write_parquet(root / "a" / "none.parquet")
    run(pipeline, catalog)
    part(root / "a" / "part-1.parquet", 20)
    run(pipeline, catalog, append=True)
    (root / "a" / "none.parquet").unlink()
    assert run(pipeline, catalog).notes == ()


def test_a_file_whose_name_is_a_pattern_of_anothers_is_read_itself(pipeline: Pipeline, tmp_path: Path) -> None:
    catalog, root = tmp_path / "published [new]", Path(pipeline.source.root)
    part(root / "a" / "part-[0].parquet", 20)
    run(pipeline, catalog)
    part(root / "b [2]" / "part-0.parquet", 40)
    run(pipeline, catalog, append=True)
    assert names(catalog) == ["a/part-0.parquet", "a/part-[0].parquet", "b [2]/part-0.parquet"]
    assert ids(catalog) == list(range(60))
