"""A small shop: a source, a pipeline over it and a catalog; and what must hold after a run is refused."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest
import yaml
from click.testing import CliRunner

from headrace.catalog.listing import list_datasets
from headrace.catalog.reader import Dataset, open_dataset
from headrace.cli import cli
from headrace.pipelines.build import build
from headrace.pipelines.load import load_pipeline
from headrace.pipelines.model import Pipeline
from headrace.pipelines.options import RunOptions
from headrace.pipelines.runs import RunRecord, list_runs

PARTS = 3
ROWS = 80

COLUMNS: dict[str, dict[str, Any]] = {
    "id": {"name": "id", "dtype": "Int64", "required": True},
    "price": {"name": "price", "dtype": "Float64"},
    "city": {"name": "city", "dtype": "String"},
    "late": {"name": "late", "dtype": "Int64"},
}


def rows(part: int = 0, count: int = ROWS) -> pl.DataFrame:
    """Good rows: ids that follow each other, some prices missing, five cities, a label of 0 and 1."""
    numbers = random.Random(part)
    return pl.DataFrame(
        {
            "id": range(part * ROWS, part * ROWS + count),
            "price": [None if numbers.random() < 0.05 else numbers.gauss(10, 3) for _ in range(count)],
            "city": [numbers.choice(["Bern", "Zug", "Chur", "Genf", "Basel"]) for _ in range(count)],
            "late": [i % 2 for i in range(count)],
        },
        schema={"id": pl.Int64, "price": pl.Float64, "city": pl.String, "late": pl.Int64},
    )


def checksums(dataset: Dataset) -> dict[str, str]:
    """The checksum of each shard."""
    return {file.path: file.sha256 for split in dataset.manifest.splits.values() for file in split.files}


@dataclass
class Shop:
    """Where things are, and the pipeline as YAML has it; a test changes what it is about."""

    folder: Path
    plain: dict[str, Any] = field(default_factory=dict)
    before: frozenset[int] = field(
        default_factory=lambda: frozenset(p.pid for p in psutil.Process().children(recursive=True))
    )

    @classmethod
    def at(cls, folder: Path, *steps: dict[str, Any], parts: int = PARTS) -> Shop:
        """Some files, and a pipeline with these steps and a split by hash."""
        plain = {
            "name": "shop",
            "source": {"path": "data", "root": str(folder)},
            "contract": {"name": "sales", "columns": [dict(c) for c in COLUMNS.values()], "primary_key": ["id"]},
            "steps": list(steps),
            "target": "late",
            "split": {"by": "hash", "columns": ["id"], "fractions": {"train": 0.7, "test": 0.3}},
        }
        made = cls(folder, plain)
        made.source.mkdir()
        for part in range(parts):
            made.write(rows(part), f"part-{part}.parquet")
        return made

    @property
    def source(self) -> Path:
        return self.folder / "data"

    @property
    def catalog(self) -> Path:
        return self.folder / "published"

    @property
    def columns(self) -> dict[str, dict[str, Any]]:
        return {column["name"]: column for column in self.plain["contract"]["columns"]}

    def column(self, **fields: Any) -> None:
        """Change a column of the contract, or add one."""
        kept = [c for c in self.plain["contract"]["columns"] if c["name"] != fields["name"]]
        self.plain["contract"]["columns"] = [*kept, {**self.columns.get(fields["name"], {}), **fields}]

    def write(self, frame: pl.DataFrame, name: str = "part-1.parquet", **options: Any) -> Path:
        """Put a file in the source."""
        frame.write_parquet(self.source / name, **options)
        return self.source / name

    def alone(self, frame: pl.DataFrame, **options: Any) -> Path:
        """Make this file the only one of the source."""
        for path in self.source.iterdir():
            path.unlink()
        return self.write(frame, "only.parquet", **options)

    @property
    def yaml(self) -> Path:
        """The pipeline's file, written anew."""
        path = self.folder / "pipeline.yaml"
        path.write_text(yaml.safe_dump(self.plain, sort_keys=False))
        return path

    def pipeline(self) -> Pipeline:
        return load_pipeline(str(self.yaml))

    def build(self, **options: Any) -> RunRecord:
        return build(self.pipeline(), RunOptions(**{"catalog": str(self.catalog), **options}))

    def run(self, *words: str) -> Outcome:
        """`headrace run pipeline.yaml` in this process."""
        result = CliRunner().invoke(cli, ["run", str(self.yaml), "--catalog", str(self.catalog), "-q", *words])
        return Outcome(result.exit_code, result.stdout, result.stderr)

    def dataset(self, version: int | None = None) -> Dataset:
        return open_dataset(self.catalog / self.plain["name"], version="latest" if version is None else version)

    def checksums(self, version: int | None = None) -> dict[str, str]:
        """The checksum of each shard of a version."""
        return checksums(self.dataset(version))

    def versions(self) -> list[int]:
        log = self.catalog / self.plain["name"] / "_log"
        return sorted(int(path.stem) for path in log.glob("[0-9]*.json")) if log.exists() else []

    def builds(self) -> list[str]:
        folder = self.catalog / self.plain["name"] / "builds"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def last_run(self) -> RunRecord:
        return list_runs(self.catalog)[0]

    def assert_nothing_left(self, published: int = 0) -> None:
        """No version but those published before, no half build, no half-written task, no process."""
        assert self.versions() == list(range(1, published + 1))
        assert len(self.builds()) == published
        if self.catalog.exists():
            assert [d.name for d in list_datasets(self.catalog)] == ([self.plain["name"]] if published else [])
        work = self.catalog / ".headrace" / "work"
        half = [p for p in work.rglob(".*") if str(os.getpid()) in p.name] if work.exists() else []
        assert half == []
        assert self.processes() == []

    def processes(self) -> list[psutil.Process]:
        """Children of this process that are left, but for those of tests before and multiprocessing's own tracker."""
        here = psutil.Process().children(recursive=True)
        return [
            p for p in here if p.pid not in self.before and "multiprocessing.resource_tracker" not in str(p.cmdline())
        ]


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


class Refusals:
    """Runs that must be refused, and what must be true of every one of them."""

    def __init__(self, shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
        self.shop = shop
        self.capfd = capfd

    def __call__(self, *says: str, code: str = "data", exit_code: int = 1, words: tuple[str, ...] = ()) -> str:
        """Run, expect an error of this code that says all of this, and nothing left. Returns what it printed."""
        self.capfd.readouterr()
        published = len(self.shop.versions())
        outcome = self.shop.run(*words)
        out, err = self.capfd.readouterr()
        assert outcome.stderr.startswith(f"error[{code}]: "), outcome.stderr + outcome.stdout
        missing = [text for text in says if text not in outcome.stderr]
        assert missing == [], outcome.stderr
        assert outcome.code == exit_code
        assert (outcome.stdout, out, err) == ("", "", "")
        assert "Traceback" not in outcome.stderr
        self.shop.assert_nothing_left(published)
        return outcome.stderr
