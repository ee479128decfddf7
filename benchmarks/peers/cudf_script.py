"""The ctr job as a practised person writes it in cuDF for one GPU.

    python -m benchmarks.peers.cudf_script IN OUT

The same features as `polars_script`, ids included. Two passes over partitions of four files, so that device memory is
that of a partition and the vocabularies, however many rows there are. Each pass reads the columns it needs and no more.

What should make it quick: a memory pool; large partitions, because a join builds its hash table on the vocabulary anew
for each; `groupby().size()`, because `value_counts` sorts even where it is told not to; counts merged when what is new
has outgrown what is merged, not after every partition; ids put back in the order of the rows by a scatter instead of a
sort; columns replaced one by one, so that the strings of one are free before the next is looked up.

Not yet run on a GPU.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import cudf
import cupy
import numpy as np
import pyarrow.parquet as pq

from benchmarks.gpu.facts import Stages, on_device

FIRST_ID: Final = 2
MIN_COUNT: Final = 2
FILES: Final = 4
ROW_GROUP: Final = 1 << 20
COMPRESSION: Final = None
"""None, as in what headrace publishes: these features shrink by 5 % with snappy."""


def partitions(source: Path) -> list[list[str]]:
    """The files, a few at a time."""
    files = [str(path) for path in sorted(source.glob("*.parquet"))]
    return [files[first : first + FILES] for first in range(0, len(files), FILES)]


def log(column: Any) -> Any:
    """log1p of the values as float64, with null and everything below 0 taken as 0."""
    return np.log1p(column.fillna(0).clip(lower=0).astype("float64"))


def fit(
    parts: list[list[str]], integers: list[str], categories: list[str]
) -> tuple[dict[str, tuple[float, float]], dict[str, Any]]:
    """Mean and deviation of each integer's logarithms, and the vocabulary of each category, in one pass."""
    rows = 0
    sums = {name: np.zeros(2) for name in integers}
    counts: dict[str, list[Any]] = {name: [] for name in categories}
    for files in parts:
        frame = cudf.read_parquet(files, columns=[*integers, *categories])
        rows += len(frame)
        for name in integers:
            logs = log(frame[name])
            sums[name] += float(logs.sum()), float((logs * logs).sum())
        for name in categories:
            counts[name].append(frame[[name]].groupby(name, sort=False).size())
            if sum(map(len, counts[name][1:])) > len(counts[name][0]):
                counts[name] = [merged(counts[name])]
    moments = {name: moment(rows, *sums[name]) for name in integers}
    return moments, {name: vocabulary(merged(counts.pop(name))) for name in categories}


def moment(rows: int, total: float, squares: float) -> tuple[float, float]:
    """Mean and population deviation; float64 sums keep ten digits of these logarithms' deviations."""
    mean = total / rows
    return float(mean), float(np.sqrt(squares / rows - mean * mean))


def merged(counts: list[Any]) -> Any:
    """Counts by value of all the parts."""
    return cudf.concat(counts).groupby(level=0, sort=False).sum() if len(counts) > 1 else counts[0]


def vocabulary(counts: Any) -> Any:
    """Values seen at least twice by (count descending, value ascending), and their ids."""
    kept = counts[counts >= MIN_COUNT]
    table = cudf.DataFrame({"value": kept.index, "count": kept.values})
    table = table.sort_values(["count", "value"], ascending=[False, True], ignore_index=True)
    table["id"] = cupy.arange(FIRST_ID, FIRST_ID + len(table), dtype="int32")
    return table[["value", "id"]]


def encode(values: Any, known: Any) -> Any:
    """Ids by a vocabulary: 0 is null, 1 is a value that is not in it."""
    rows = cupy.arange(len(values), dtype="int32")
    joined = cudf.DataFrame({"row": rows, "value": values}).merge(known, on="value", how="left")
    ids = cupy.empty(len(values), dtype="int32")
    ids[joined["row"].values] = joined["id"].fillna(1).astype("int32").values
    return ids * values.notna().values


def apply(parts: list[list[str]], target: Path, moments: dict[str, tuple[float, float]], known: dict[str, Any]) -> None:
    """Write the features of each partition to a file."""
    for number, files in enumerate(parts):
        frame = cudf.read_parquet(files)
        for name, (mean, deviation) in moments.items():
            frame[name] = ((log(frame[name]) - mean) / deviation).astype("float32")
        for name, table in known.items():
            frame[name] = encode(frame[name], table)
        frame.to_parquet(
            target / f"part-{number:05}.parquet", index=False, compression=COMPRESSION, row_group_size_rows=ROW_GROUP
        )


def job(source: Path, target: Path, stages: Stages) -> None:
    """Both passes."""
    parts = partitions(source)
    columns = pq.read_schema(parts[0][0]).names
    integers = [name for name in columns if name.startswith("I")]
    categories = [name for name in columns if name.startswith("C")]
    target.mkdir(parents=True, exist_ok=True)
    with stages.stage("fit"):
        moments, known = fit(parts, integers, categories)
    with stages.stage("apply and write"):
        apply(parts, target, moments, known)


def main(source: str, target: str) -> None:
    """Read the Parquet files in the folder `source`, write the features to the folder `target`."""
    with on_device() as stages:
        job(Path(source), Path(target), stages)


if __name__ == "__main__":
    main(*sys.argv[1:])
