"""The blocks of docs/consumers.md do what the page says, each with its own library and without headrace."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest
from tests.consumers.conftest import FLIGHTS, PAGE, ROWS, Run, block

from headrace.catalog.reader import open_dataset

DISTANCES = FLIGHTS["distance"].to_list()
LATE = int(FLIGHTS["late"].sum())


def test_which_files(run: Run, folder: Path) -> None:
    found = run("", "[files('train'), files('test'), manifest['splits']['train']['rows']]")
    dataset = open_dataset(folder / "published" / "flights", 1)
    expected = [[str(path.relative_to(folder)) for path in dataset.files(split)] for split in ("train", "test")]
    assert found == [*expected, ROWS]


def test_columns(run: Run) -> None:
    code = block("Which files: manifest.json", 1)
    assert run(code, "[label, features, embeddings]") == [
        ["late"],
        ["distance", "carrier", "departure", "recent"],
        {"carrier": 5},
    ]


def test_whether_they_are_intact(run: Run, folder: Path, tmp_path: Path) -> None:
    code = block("Whether they are intact")
    assert run(code, "damaged") == []
    copy = f"dataset = Path({str(tmp_path / 'flights')!r})\n"
    shutil.copytree(folder / "published" / "flights", tmp_path / "flights")
    path = open_dataset(tmp_path / "flights", 1).files("test")[0]
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert run(copy + code, "damaged") == ["test/part-00000.parquet"]


def test_pyarrow(run: Run) -> None:
    expression = """[
        train['distance'].to_pylist(), train['recent'].to_pylist(), str(train.schema.field('departure').type),
        scanned.column_names,
    ]"""
    found = run(block("pyarrow"), expression)
    assert found == [DISTANCES, FLIGHTS["recent"].to_list(), "timestamp[us, tz=UTC]", ["late"]]


def test_polars(run: Run) -> None:
    assert run(block("Polars"), "[train['distance'].to_list(), late.height]") == [DISTANCES, LATE]


def test_duckdb(run: Run) -> None:
    assert run(block("DuckDB"), "by_carrier") == [[2, 100, 0.2], [3, 100, 0.2], [4, 100, 0.2]]


@pytest.mark.slow
def test_pandas(run: Run) -> None:
    found = run(block("pandas"), "[train['distance'].tolist(), str(train['departure'].dtype)]")
    assert found == [DISTANCES, "datetime64[us, UTC]"]


@pytest.mark.slow
def test_hugging_face_datasets(run: Run) -> None:
    expression = "[splits['train']['distance'][:], splits.num_rows, first['distance'], first['departure'].isoformat()]"
    found = run(block("Hugging Face datasets"), expression, warnings="ignore")
    assert found == [DISTANCES, {"train": ROWS, "test": 2}, DISTANCES[0], "2013-01-01T00:00:00+00:00"]


@pytest.mark.slow
def test_tensors_and_an_epoch_that_has_every_row_once_and_in_another_order(run: Run) -> None:
    code = block("PyTorch") + block("PyTorch", 1)
    expression = """[
        tensors['distance'].tolist(), str(tensors['carrier'].dtype), len(batches),
        torch.cat([batch['distance'] for batch in batches]).tolist(),
    ]"""
    found = run(code, expression, warnings="ignore")
    assert found[:3] == [DISTANCES, "torch.int32", 5]
    assert found[3] != DISTANCES
    assert sorted(found[3]) == DISTANCES


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("pyspark") is None or shutil.which("java") is None,
    reason="pyspark and a Java are not installed: they are in no extra, this was run by hand",
)
def test_spark(run: Run) -> None:
    found = run(block("Apache Spark"), "[train.count(), [list(row) for row in late]]", warnings="ignore")
    assert found == [ROWS, [[0, ROWS - LATE], [1, LATE]]]


def test_what_an_id_stands_for(run: Run) -> None:
    assert run(block("What an id stands for"), "names") == {"2": "AA", "3": "B6", "4": "UA"}


EXPORTED = "Other formats: headrace datasets export"


def test_arrow(run: Run) -> None:
    assert run(block(EXPORTED), "table['distance'].to_pylist()") == DISTANCES[:100]


def test_delta(run: Run) -> None:
    assert run(block(EXPORTED, 1), "table['distance'].to_pylist()") == DISTANCES


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("streaming") is None,
    reason="mosaicml-streaming is not installed beside the rest, which its pins are at odds with: make mds-test",
)
def test_mds(run: Run) -> None:
    # Its datasets of pictures import torchvision, and one that is built for CUDA does not import beside a torch that is
    # not; those of texts import transformers.
    before = "import types\nfor name in ('vision', 'text', 'multimodal'):\n"
    before += "    sys.modules['streaming.' + name] = types.ModuleType(name)"
    expression = "[len(samples), first['distance'].item(), str(first['carrier'].dtype)]"
    assert run(block(EXPORTED, 2), expression, before=before, warnings="ignore") == [ROWS, DISTANCES[0], "int32"]


@pytest.mark.slow
def test_webdataset(run: Run) -> None:
    found = run(block(EXPORTED, 3), "[rows[0], [row['distance'] for row in rows]]", warnings="ignore")
    first = {"distance": -10.0, "carrier": 2, "late": 1, "departure": "2013-01-01T00:00:00.000000+00:00", "recent": []}
    assert found == [first, DISTANCES]


def test_every_block_is_run() -> None:
    assert PAGE.count("```python") == 16
