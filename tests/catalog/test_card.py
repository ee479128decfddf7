from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from headrace.catalog.arrow_schema import ArrowField
from headrace.catalog.card import dataset_card
from headrace.catalog.manifest import BaselineResult, Input, Manifest, Split
from headrace.catalog.reader import open_dataset
from headrace.catalog.records import File


def front_matter(card: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(card.split("---\n")[1])
    return document


def test_the_front_matter_names_the_files_of_each_split(filled: Callable[..., Any]) -> None:
    _, manifest = filled()
    assert front_matter(dataset_card(manifest)) == {
        "pretty_name": "demo",
        "tags": ["tabular", "headrace"],
        "size_categories": ["n<1K"],
        "configs": [
            {
                "config_name": "default",
                "default": True,
                "data_files": [
                    {"split": "train", "path": ["train/part-00000.parquet"]},
                    {"split": "test", "path": ["test/part-00000.parquet"]},
                ],
            }
        ],
        "dataset_info": {
            "config_name": "default",
            "features": [
                {"name": "delay", "dtype": "float32"},
                {"name": "carrier", "dtype": "int32"},
                {"name": "late", "dtype": "uint8"},
            ],
        },
    }


def test_a_split_without_files_is_told_but_not_configured(filled: Callable[..., Any]) -> None:
    _, manifest = filled()
    splits = dict(manifest.splits) | {"validation": Split(rule="none", rows=0)}
    card = dataset_card(manifest.model_copy(update={"splits": splits}))
    assert [entry["split"] for entry in front_matter(card)["configs"][0]["data_files"]] == ["train", "test"]
    assert "| validation | 0 | 0 | 0 B | none |" in card


def test_the_body_says_what_is_in_it(filled: Callable[..., Any]) -> None:
    _, manifest = filled()
    baseline = BaselineResult(
        name="logistic",
        estimator="sklearn.linear_model.LogisticRegression",
        task="classification",
        target="late",
        metrics={"validation": {"auc": 0.71234, "log_loss": None}},
    )
    card = dataset_card(manifest.model_copy(update={"baselines": (baseline,)}))
    for line in (
        "| train | 4 | 1 | ",
        "| `delay` | feature | numeric | float |  | 0 | 4 | -1.25 | 2.688 | 8.5 |",
        "| `carrier` | feature | categorical | int32 | < 5 (null 1) | 0 | 3 | 2 | 2.75 | 4 |",
        "| `late` | label | numeric | uint8 |  | 0 | 2 | 0 | 0.25 | 1 |",
        "| logistic | late | validation | 0.7123 |  |",
        "7 rows read, 6 published, 0 filtered, 1 quarantined, 0 files set aside.",
        "| delay > 0 | 1 |",
        "Rows are shuffled globally (seed 7).",
        'dataset = open_dataset("<catalog>/demo")',
    ):
        assert line in card


def test_one_is_singular(filled: Callable[..., Any]) -> None:
    _, manifest = filled()
    source = Input(path="a.parquet", bytes=10, rows=1, fingerprint="0")
    split = Split(
        rule="all", rows=1, files=(File(path="train/0.parquet", bytes=2048, sha256="0" * 64, rows=1, row_groups=(1,)),)
    )
    fields = manifest.arrow_schema[:1]
    one = {"splits": {"train": split}, "inputs": (source,), "arrow_schema": fields, "files": ()}
    card = dataset_card(manifest.model_copy(update=one))
    assert "1 row, 1 column, 2.0 KiB; made" in card
    assert " from 1 file with 1 row on " in card
    assert "| train | 1 | 1 | 2.0 KiB | all |" in card


def test_text_from_the_data_cannot_break_the_table(filled: Callable[..., Any]) -> None:
    frame = pl.DataFrame({"a|b": ["x\n| y", "z\\"]})
    _, manifest = filled(frame=frame)
    lines = [line for line in dataset_card(manifest).splitlines() if line.startswith("| `a")]
    assert lines == ["| `a\\|b` | feature | numeric | large_string |  | 0 | 2 | x \\| y |  | z\\\\ |"]


LOAD = """
import json, sys, warnings
warnings.simplefilter("ignore")
import datasets
folder, whole = sys.argv[1:]
found = datasets.load_dataset(folder)
streamed = datasets.load_dataset(folder, streaming=True)
part = datasets.load_dataset(folder, data_files={"some": whole})
from datasets.features import Features
told = datasets.load_dataset_builder(folder).info.features
from_file = Features.from_arrow_schema(__import__("pyarrow.parquet").parquet.read_schema(folder + "/" + whole))
print(json.dumps({
    "rows": {split: found[split].to_dict() for split in found},
    "streamed": {split: list(streamed[split]) for split in streamed},
    "part": part["some"].to_dict(),
    "told as in the file": told == from_file,
}, default=str))
"""

EVERYTHING = pl.DataFrame(
    {
        "text": ["a", None, "c"],
        "flag": [True, False, True],
        "day": [date(2013, 1, 1), None, date(2013, 1, 3)],
        "at": [datetime(2013, 1, 1, 5, 30, tzinfo=UTC)] * 3,
        "took": [timedelta(seconds=1)] * 3,
        "list": [[1, 2], [], [3]],
        "deep": [[[1], [2, 3]], [], [[]]],
        "vector": [[0.5, 1.0], [2.0, 3.0], [4.0, 5.0]],
        "a, b: [c]": [1, 2, 3],
    },
    schema_overrides={"vector": pl.Array(pl.Float32, 2)},
)


def loaded(published: Any, tmp_path: Path) -> dict[str, Any]:
    environment = os.environ | {
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HOME": str(tmp_path / "hf"),
        "HF_DATASETS_CACHE": str(tmp_path / "hf" / "datasets"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    words = [sys.executable, "-c", LOAD, str(published.path), "train/part-00000.parquet"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
def test_hugging_face_loads_the_folder_offline(make: Any, catalog: Path, tmp_path: Path) -> None:
    found = loaded(make(), tmp_path)
    dataset = open_dataset(catalog / "demo")
    frames = {split: dataset.to_polars(split) for split in ("train", "test")}
    assert found["rows"] == {split: frame.to_dict(as_series=False) for split, frame in frames.items()}
    assert found["streamed"] == {split: frame.to_dicts() for split, frame in frames.items()}
    assert found["part"] == frames["train"].to_dict(as_series=False)


@pytest.mark.slow
def test_hugging_face_knows_every_type_before_it_opens_a_file(make: Any, tmp_path: Path) -> None:
    found = loaded(make(frame=EVERYTHING), tmp_path)
    assert found["told as in the file"]
    assert found["rows"]["train"] == json.loads(json.dumps(EVERYTHING.to_dict(as_series=False), default=str))


def test_features_are_left_out_where_a_type_is_not_known(filled: Callable[..., Any]) -> None:
    _, manifest = filled()
    odd = manifest.model_copy(
        update={"arrow_schema": (*manifest.arrow_schema, ArrowField(name="x", type="extension<y>", nullable=True))}
    )
    assert "dataset_info" in front_matter(dataset_card(manifest))
    assert "dataset_info" not in front_matter(dataset_card(odd))


def test_the_card_does_not_depend_on_where_it_is(filled: Callable[..., tuple[Any, Manifest]]) -> None:
    build, manifest = filled()
    assert str(build.path) not in dataset_card(manifest)
