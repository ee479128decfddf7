"""By hand, in one process: row groups in random order, some of them together, their rows permuted, cut into batches.

pyarrow decodes with all cores. `ROW_GROUPS` at once mix rows as far as the loader's windows do; more mix better and are
slower.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks.peers.loader_job import Batches, Job, run

ROW_GROUPS = 8


def prepare(job: Job):
    opened = [pq.ParquetFile(path, memory_map=True) for path in job.files]
    groups = [(file, number) for file in opened for number in range(file.num_row_groups)]
    return lambda epoch: shuffled(groups, job.batch, random.Random(epoch))


def shuffled(groups: Sequence[tuple[pq.ParquetFile, int]], size: int, order: random.Random) -> Batches:
    """Batches of row groups in random order. The last rows, which make no whole batch, are left out."""
    mixed = random.Random(order.random()).sample(groups, len(groups))
    left: dict[str, torch.Tensor] = {}
    for start in range(0, len(mixed), ROW_GROUPS):
        columns = tensors(pa.concat_tables(file.read_row_group(number) for file, number in mixed[start:][:ROW_GROUPS]))
        permuted = torch.randperm(len(columns["row"]))
        columns = {name: values[permuted] for name, values in columns.items()}
        if left:
            columns = {name: torch.cat([left[name], values]) for name, values in columns.items()}
        whole = len(columns["row"]) // size * size
        yield from cut(columns, size, whole)
        left = {name: values[whole:] for name, values in columns.items()}


def cut(columns: dict[str, torch.Tensor], size: int, stop: int) -> Iterator[dict[str, torch.Tensor]]:
    for begin in range(0, stop, size):
        yield {name: values[begin : begin + size] for name, values in columns.items()}


def tensors(table: pa.Table) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(column.to_numpy()) for name, column in zip(table.column_names, table, strict=True)}


if __name__ == "__main__":
    run("pyarrow", prepare)
