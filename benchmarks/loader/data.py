"""Datasets to load, published by headrace: made once, kept below a folder, and read once so that they are warm."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.ctr_compare import prepare
from benchmarks.sides import sides
from headrace.catalog.arrow_schema import arrow_fields, fingerprint
from headrace.catalog.build import building
from headrace.catalog.commit import publish
from headrace.catalog.manifest import Column, Manifest, Producer, RowOrder, Split
from headrace.catalog.reader import open_dataset
from headrace.catalog.shards import shard_path, write_table

CATALOG: Final = "catalog"

FLOATS: Final = 20
INTEGERS: Final = 12
CARDINALITIES: Final = (4, 30, 300, 3_000, 10_000, 16_000)
"""Of the columns with a dictionary: below an eighth of a row group's rows, as a run decides it."""

_MANY: Final = 1_000_000


@dataclass(frozen=True)
class Made:
    """A published dataset, and what to say of it."""

    name: str
    uri: str
    rows: int
    columns: int
    shards: int
    mb: float
    about: str

    @property
    def files(self) -> list[Path]:
        return open_dataset(self.uri).files("train")


def wide(work: Path, rows: int, shard_rows: int) -> Made:
    """`rows` rows of 40 columns: `row`, its number as int32, a label of uint8, 20 float32, 12 int32, and 6 int32 with
    dictionaries."""
    name = f"wide-{rows}-{shard_rows}"
    if not (work / CATALOG / name / "_log").is_dir():
        _publish(work / CATALOG, name, rows, shard_rows)
    return _made(work, name, "20 float32, 13 int32, 6 int32 with a dictionary, a label")


def ctr(work: Path, rows: int) -> Made:
    """`headrace run` of ctr: 13 float32, 26 int32, a label, as a run publishes them."""
    catalog = work / CATALOG / f"ctr-{rows}"
    if not (catalog / "ctr" / "_log").is_dir():
        source = prepare(rows, work)
        side = next(side for side in sides() if side.name == "headrace run")
        subprocess.run(side.command(source, catalog), check=True, stdout=subprocess.DEVNULL)
    return _made(work, f"ctr-{rows}/ctr", "as `headrace run` published it: 13 float32, 26 int32, a label")


def _made(work: Path, name: str, about: str) -> Made:
    """Its files are read once, so that the page cache has them."""
    dataset = open_dataset(work / CATALOG / name)
    files = dataset.files("train")
    for path in files:
        with path.open("rb") as file:
            while file.read(1 << 24):
                pass
    size = sum(path.stat().st_size for path in files) / 1e6
    return Made(
        dataset.name.partition("-")[0],
        str(dataset.place),
        dataset.rows["train"],
        len(dataset.columns),
        len(files),
        round(size, 1),
        about,
    )


def _publish(catalog: Path, name: str, rows: int, shard_rows: int) -> None:
    catalog.mkdir(parents=True, exist_ok=True)
    with building(catalog, name) as build:
        files = [
            write_table(
                build.path,
                shard_path("train", number),
                rows_of(start, min(shard_rows, rows - start)),
                dictionary=_dictionaries(),
            )
            for number, start in enumerate(range(0, rows, shard_rows))
        ]
        schema = pq.read_schema(build.path / files[0].path)
        fields = arrow_fields(schema)
        manifest = Manifest(
            dataset=name,
            build=build.id,
            created_at="2026-01-01T00:00:00Z",
            producer=Producer(
                headrace=metadata.version("headrace"),
                python=platform.python_version(),
                polars=metadata.version("polars"),
            ),
            arrow_schema=fields,
            schema_fingerprint=fingerprint(fields),
            columns=tuple(_column(field) for field in schema),
            splits={"train": Split(rule="all rows", rows=rows, files=tuple(files))},
            row_order=RowOrder(kind="shuffle", seed=0),
        )
        publish(catalog, name, build, manifest)


def _column(field: pa.Field) -> Column:
    kind = "numeric" if field.name[0] in "fr" else "categorical"
    dtype = {"float": "Float32", "int32": "Int32", "uint8": "UInt8"}[str(field.type)]
    role = "label" if field.name == "label" else "feature"
    return Column(name=field.name, role=role, kind=kind, dtype=dtype)


def _dictionaries() -> Sequence[str]:
    return [f"c{number:02}" for number in range(len(CARDINALITIES))]


def rows_of(start: int, count: int) -> pa.Table:
    """The rows from `start` on. They depend on where a shard begins, and on nothing else."""
    random = np.random.Generator(np.random.Philox(key=[0, start]))
    columns = {"row": np.arange(start, start + count, dtype=np.int32), "label": random.integers(0, 2, count, np.uint8)}
    columns |= {f"f{number:02}": random.random(count, np.float32) for number in range(FLOATS)}
    columns |= {f"i{number:02}": random.integers(0, _MANY, count, np.int32) for number in range(INTEGERS)}
    named = zip(_dictionaries(), CARDINALITIES, strict=True)
    columns |= {name: random.integers(0, values, count, np.int32) for name, values in named}
    return pa.table(columns)
