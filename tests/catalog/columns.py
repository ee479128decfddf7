"""A dataset with a column of every kind that a tensor can be, and what these tensors hold."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from headrace.catalog.arrow_schema import arrow_fields, fingerprint
from headrace.catalog.device import Ragged
from headrace.catalog.manifest import Manifest, Producer, Split
from headrace.catalog.place import Place
from headrace.catalog.reader import Dataset
from headrace.catalog.records import File

NUMBERS: Final = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64")
COLUMNS: Final = pa.table(
    {
        **{name: pa.array([0, 1, 100], name) for name in NUMBERS},
        "flag": [True, False, True],
        "embedding": pa.array([[1, 2], [3, 4], [5, 6]], pa.list_(pa.float32(), 2)),
        "items": pa.array([[7], [], [8, 9]], pa.list_(pa.int32())),
        "flags": pa.array([[True], [False, True], []], pa.large_list(pa.bool_())),
    }
)
"""A column of every kind that a tensor can be."""
EXPECTED: Final[dict[str, Any]] = {
    **{name: [0, 1, 100] for name in NUMBERS[:8]},
    "float32": [0.0, 1.0, 100.0],
    "float64": [0.0, 1.0, 100.0],
    "flag": [True, False, True],
    "embedding": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]],
    "items": Ragged([7, 8, 9], [0, 1, 1, 3]),
    "flags": Ragged([True, False, True], [0, 1, 3, 3]),
}
"""What its tensors hold."""


def written(root: Path, *parts: pa.Table, nullable: tuple[str, ...] = ()) -> Dataset:
    """A version with a split `train`, a shard for each table, and a split `empty` beside it."""
    folder = root / "demo" / "builds" / "b1" / "train"
    folder.mkdir(parents=True)
    required = pa.schema([field.with_nullable(field.name in nullable) for field in parts[0].schema])
    files = []
    for number, part in enumerate(parts):
        path = folder / f"part-{number}.parquet"
        pq.write_table(part.cast(required), path)
        sizes = {"bytes": path.stat().st_size, "rows": part.num_rows, "row_groups": (part.num_rows,)}
        files.append(File(path=f"train/{path.name}", sha256="0" * 64, **sizes))
    fields = arrow_fields(required)
    manifest = Manifest(
        dataset="demo",
        build="b1",
        created_at="2026-03-01T09:30:00Z",
        producer=Producer(headrace="0.1.0", python="3.11.9", polars="1.44.2"),
        arrow_schema=fields,
        schema_fingerprint=fingerprint(fields),
        splits={
            "train": Split(rule="all", rows=sum(file.rows for file in files), files=tuple(files)),
            "empty": Split(rule="none", rows=0),
        },
    )
    record: Any = SimpleNamespace(build="b1")
    return Dataset("demo", 1, Place.of(root / "demo"), record, manifest)


def plain(made: Any) -> Any:
    """The values of a tensor, or of the two of a `Ragged`, as lists."""
    return Ragged(made.values.tolist(), made.offsets.tolist()) if isinstance(made, Ragged) else made.tolist()
