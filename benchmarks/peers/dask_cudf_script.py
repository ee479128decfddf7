"""The ctr job as a practised person writes it in dask-cudf, on a Dask-CUDA cluster with a worker per GPU.

    python -m benchmarks.peers.dask_cudf_script IN OUT

The same features as `cudf_script`, by the same functions where a partition is concerned. One pass to learn: a task a
partition gives its sums and its counts, a tree of tasks merges them; the vocabularies stay on the workers. One pass to
write: a task a partition. Nothing of the data's size passes through the client. What is measured after the cluster is
up; starting it is in the whole process's time. Not yet run on a GPU.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("RAPIDS_NO_INITIALIZE", "1")  # a CUDA context of this process would put all workers on one GPU

import dask_cudf
import pyarrow.parquet as pq
from dask.base import compute, persist
from dask.delayed import delayed

from benchmarks.gpu.facts import POOL, Stages, told
from benchmarks.peers.cudf_script import COMPRESSION, ROW_GROUP, encode, log, merged, moment, vocabulary

BLOCK: Final = "1GiB"
"""Encoded bytes of a partition, dictionaries and all, before compression: about as many rows as in `cudf_script`."""
FAN_IN: Final = 4

Measured = tuple[int, dict[str, tuple[float, float]], dict[str, Any]]


def measure(frame: Any, integers: list[str], categories: list[str]) -> Measured:
    """The rows of a partition, the sums of each integer's logarithms and of their squares, and counts by value."""
    logs = {name: log(frame[name]) for name in integers}
    sums = {name: (float(values.sum()), float((values * values).sum())) for name, values in logs.items()}
    return len(frame), sums, {name: frame[[name]].groupby(name, sort=False).size() for name in categories}


def merge(parts: Sequence[Measured]) -> Measured:
    """What several partitions measured as one."""
    rows, sums, counts = zip(*parts, strict=True)
    added = {name: (sum(s[name][0] for s in sums), sum(s[name][1] for s in sums)) for name in sums[0]}
    return sum(rows), added, {name: merged([c[name] for c in counts]) for name in counts[0]}


def learn(total: Measured) -> tuple[dict[str, tuple[float, float]], dict[str, Any]]:
    """Mean and deviation of each integer's logarithms, and the vocabulary of each category."""
    rows, sums, counts = total
    return {name: moment(rows, *both) for name, both in sums.items()}, {n: vocabulary(c) for n, c in counts.items()}


def write(frame: Any, learned: tuple[dict[str, tuple[float, float]], dict[str, Any]], path: str) -> int:
    """Write the features of a partition to a file; gives its rows."""
    moments, known = learned
    frame = frame.copy(deep=False)  # a task must not change what it is given
    for name, (mean, deviation) in moments.items():
        frame[name] = ((log(frame[name]) - mean) / deviation).astype("float32")
    for name, table in known.items():
        frame[name] = encode(frame[name], table)
    frame.to_parquet(path, index=False, compression=COMPRESSION, row_group_size_rows=ROW_GROUP)
    return len(frame)


def job(source: Path, target: Path, stages: Stages) -> None:
    """Both passes, on whatever Dask computes with."""
    columns = pq.read_schema(next(iter(sorted(source.glob("*.parquet"))))).names
    integers = [name for name in columns if name.startswith("I")]
    categories = [name for name in columns if name.startswith("C")]
    target.mkdir(parents=True, exist_ok=True)
    with stages.stage("fit"):
        parts = dask_cudf.read_parquet(str(source), columns=[*integers, *categories], blocksize=BLOCK).to_delayed()
        level = [delayed(measure)(part, integers, categories) for part in parts]
        while len(level) > 1:
            groups = [level[first : first + FAN_IN] for first in range(0, len(level), FAN_IN)]
            level = [delayed(merge)(group) for group in groups]
        [learned] = persist(delayed(learn)(level[0]))  # type: ignore[no-untyped-call]
        compute(delayed(bool)(learned))  # type: ignore[no-untyped-call]  # until it is there
    with stages.stage("apply and write"):
        parts = dask_cudf.read_parquet(str(source), blocksize=BLOCK).to_delayed()
        compute(  # type: ignore[no-untyped-call]
            *(
                delayed(write)(part, learned, str(target / f"part-{number:05}.parquet"))
                for number, part in enumerate(parts)
            )
        )


def main(source: str, target: str) -> None:
    """Read the Parquet files in the folder `source`, write the features to the folder `target`."""
    import rmm
    from dask_cuda import LocalCUDACluster
    from distributed import Client

    with (
        LocalCUDACluster(threads_per_worker=1, rmm_pool_size=POOL, enable_cudf_spill=True, protocol="tcp") as cluster,
        Client(cluster) as client,  # type: ignore[no-untyped-call]
        told() as stages,
    ):
        client.run(rmm.statistics.enable_statistics)
        job(Path(source), Path(target), stages)
        stages.rmm_peak_bytes = max(client.run(_peak).values())


def _peak() -> int:
    import rmm.statistics

    counted = rmm.statistics.get_statistics()
    return counted.peak_bytes if counted else 0


if __name__ == "__main__":
    main(*sys.argv[1:])
