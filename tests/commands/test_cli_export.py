from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset
import pytest
from click.testing import Result
from tests.catalog.conftest import FRAME, fill

from headrace.catalog.build import new_build
from headrace.catalog.commit import publish

Invoke = Callable[..., Result]


@pytest.fixture(autouse=True)
def published(tmp_path: Path) -> Path:
    build = new_build(tmp_path / "published", "demo")
    publish(tmp_path / "published", "demo", build, fill(build))
    return tmp_path


def test_writes_a_folder_and_says_how_it_is_read(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("datasets", "export", "demo@1", "out", "--format", "arrow", "--columns", "late, delay")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"demo@1 as arrow in {tmp_path}/out, ")
    assert [line.split() for line in lines[1:4]] == [
        ["split", "rows", "files"],
        ["train", "4", "1"],
        ["test", "2", "1"],
    ]
    assert lines[4] == f'pyarrow.dataset.dataset("{tmp_path}/out/train", format="ipc").to_table()'
    assert (
        pyarrow.dataset.dataset("out/train", format="ipc").to_table()["delay"].to_pylist() == FRAME["delay"].to_list()
    )
    with pa.memory_map("out/train/part-00000.arrow") as source:
        table = pa.ipc.open_file(source).read_all()
    assert table.column_names == ["late", "delay"]
    assert table["delay"].to_pylist() == FRAME["delay"].to_list()


def test_as_json(document: Callable[..., dict[str, Any]]) -> None:
    words = ("datasets", "export", "demo", "out", "--format", "webdataset", "--split", "train", "--rows-per-file", 3)
    found = document(*words)
    assert found["command"] == "datasets export"
    data = found["data"]
    assert data["splits"] == {"train": {"rows": 4, "files": ["train/part-00000.tar", "train/part-00001.tar"]}}
    assert data["columns"] == dict.fromkeys(FRAME.columns, "number")


@pytest.mark.parametrize(("rows", "files"), [(3, "part-{00000..00001}.tar"), (4, "part-00000.tar")])
def test_all_files_of_a_split_are_in_the_line_that_reads_them(
    invoke: Invoke, tmp_path: Path, rows: int, files: str
) -> None:
    words = ("datasets", "export", "demo", "out", "--format", "webdataset", "--split", "train", "--rows-per-file", rows)
    lines = invoke(*words).stdout.splitlines()
    assert lines[-1] == f'webdataset.WebDataset("{tmp_path}/out/train/{files}", shardshuffle=False).decode()'


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["dmeo", "out", "--format", "arrow"], 2, "did you mean 'demo'?"),
        (["demo@2", "out", "--format", "arrow"], 2, "demo has no version 2"),
        (["demo", "out", "--format", "parquet"], 2, "'parquet' is not one of 'webdataset', 'mds', 'delta', 'arrow'"),
        (["demo", "out"], 2, "Missing option '--format'"),
        (["demo", "out", "--format", "arrow", "--columns", ","], 2, "at least one"),
        (["demo", "out", "--format", "arrow", "--split", "tset"], 2, "did you mean 'test'?"),
        (["demo", "published", "--format", "arrow"], 2, "published is there already"),
    ],
)
def test_what_is_not_there(invoke: Invoke, tmp_path: Path, words: list[str], code: int, message: str) -> None:
    result = invoke("datasets", "export", *words)
    assert result.exit_code == code
    assert message in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["published"]
