"""The floor: decode ctr's input and encode its features with cuDF, and nothing else.

    python -m benchmarks.peers.cudf_floor IN FEATURES OUT

FEATURES is what `cudf_script` wrote. Every input file is decoded once, all columns, and every file of features is
encoded once, in the partitions and with the options of `cudf_script`; that the features are read first is not in the
stages. A file is removed as soon as it is written, so that the floor takes no room on the disk. A job of two passes
decodes its input twice unless it keeps it, so the floor of such a job is twice `decode` and once `encode`. Not yet run
on a GPU.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cudf

from benchmarks.gpu.facts import Stages, on_device
from benchmarks.peers.cudf_script import COMPRESSION, ROW_GROUP, partitions


def job(source: Path, features: Path, target: Path, stages: Stages) -> None:
    """Decode all of `source`, encode all of `features`."""
    for files in partitions(source):
        with stages.stage("decode"):
            frame = cudf.read_parquet(files)
        del frame
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(features.glob("*.parquet")):
        frame = cudf.read_parquet([str(path)])
        with stages.stage("encode"):
            frame.to_parquet(target / path.name, index=False, compression=COMPRESSION, row_group_size_rows=ROW_GROUP)
        (target / path.name).unlink()
        del frame


def main(source: str, features: str, target: str) -> None:
    """The input's folder, the folder of features as `cudf_script` writes them, and a folder to write to."""
    with on_device() as stages:
        job(Path(source), Path(features), Path(target), stages)


if __name__ == "__main__":
    main(*sys.argv[1:])
