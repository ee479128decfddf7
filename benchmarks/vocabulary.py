"""How long a fit of a vocabulary takes that is far larger than what a task may hold, and what memory it peaks at.

    python -m benchmarks.vocabulary --values 200000000
    python -m benchmarks.vocabulary --values 50000000 --kind string --out benchmarks/results

A source of one column of so many distinct values and a label is written to a temporary folder. `headrace`'s fit, with
Categorify at its default settings, then runs in a process of its own. Nothing is applied: a vocabulary of that size is
looked up on a machine that holds it. Adds a line to `vocabulary.json` in `--out`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.machine import describe
from benchmarks.measure import measure

Kind = Literal["integer", "string"]

ROW_GROUP: Final = 1 << 20
FILE_ROWS: Final = 16 * ROW_GROUP
_ODD: Final = np.uint64(0x9E3779B97F4A7C15)
_DIGITS: Final = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)


def write_source(folder: Path, values: int, kind: Kind) -> int:
    """Write `values` rows, each with a value of its own, in no order. Returns the bytes of the files.

    `integer`: int64, a bijection of the row's number. `string`: 8 hexadecimal digits of one, and none to 8 more.
    """
    folder.mkdir(parents=True)
    schema = pa.schema([("value", pa.int64() if kind == "integer" else pa.string()), ("label", pa.int64())])
    paths: list[Path] = []
    for first in range(0, values, FILE_ROWS):
        paths.append(folder / f"part-{len(paths):05}.parquet")
        with pq.ParquetWriter(paths[-1], schema, compression="zstd", use_dictionary=False) as writer:
            for start in range(first, min(values, first + FILE_ROWS), ROW_GROUP):
                rows = np.arange(start, min(values, start + ROW_GROUP, first + FILE_ROWS), dtype=np.uint64)
                words = rows * _ODD  # odd, so that different numbers stay different modulo 2^64, and modulo 2^32
                column = pa.array(words.view(np.int64)) if kind == "integer" else _texts(words)
                label = pa.array((rows % np.uint64(2)).astype(np.int64))
                writer.write_table(pa.Table.from_arrays([column, label], schema=schema))
    return sum(path.stat().st_size for path in paths)


def _texts(words: NDArray[np.uint64]) -> pa.Array:
    places = np.concatenate([np.arange(28, -4, -4), np.arange(60, 28, -4)]).astype(np.uint64)
    digits = _DIGITS[((words[:, None] >> places) & np.uint64(15)).astype(np.uint8)]
    lengths = 8 + (words >> np.uint64(40)) % np.uint64(9)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    text = np.ascontiguousarray(digits[np.arange(16) < lengths[:, None]])
    return pa.Array.from_buffers(pa.string(), len(words), [None, pa.py_buffer(offsets), pa.py_buffer(text)])


def fit_alone(source: Path, catalog: Path, kind: Kind, threads: int) -> dict[str, int]:
    """Fit in this process: how many values have an id, the bytes in the work folder, partitions and peaks of memory."""
    from headrace.engines.executor import InlineExecutor
    from headrace.engines.open import CPU
    from headrace.pipelines.fit import fit
    from headrace.pipelines.model import Pipeline
    from headrace.pipelines.options import RunOptions
    from headrace.pipelines.stages import prepare
    from headrace.pipelines.work import open_work
    from headrace.schemas.contract import Column, Contract
    from headrace.transforms.categorified import Categorified

    pipeline = Pipeline.model_validate(
        {
            "name": "vocabulary",
            "source": {"path": "*.parquet", "root": str(source)},
            "contract": Contract(
                name="vocabulary",
                columns=(
                    Column(name="value", dtype="Int64" if kind == "integer" else "String", required=True),
                    Column(name="label", dtype="Int64", required=True, role="target"),
                ),
            ),
            "steps": [{"Categorify": {"columns": ["value"]}}],
            "target": "label",
            "split": {"by": "fraction", "fractions": {"train": 1.0}},
        }
    )
    _, lock = prepare(pipeline, RunOptions(catalog=str(catalog), engine="cpu"))
    with lock:
        work = open_work(str(lock.path))
        watch = Watch(work.path)
        watch.start()
        fit(work, InlineExecutor(threads), CPU)
        watch.stop()
        step = work.learned(0)
        assert isinstance(step, Categorified)
        learned = step.vocabulary.height
        partitions = len(work.plan.partitions)
        lock.remove()
    return {
        "learned": learned,
        "partitions": partitions,
        "spilled_bytes": watch.most_bytes,
        "anonymous": watch.most_anonymous,
    }


class Watch(threading.Thread):
    """Looks twice a second at how large a folder is, and at the memory of this process that no file is mapped into."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.most_bytes = self.most_anonymous = 0
        self._folder = folder
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.5):
            self.most_bytes = max(self.most_bytes, _size(self._folder))
            self.most_anonymous = max(self.most_anonymous, _anonymous())

    def stop(self) -> None:
        self._over.set()
        self.join()


def _size(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.stat(os.path.join(place, name)).st_size
    return total


def _anonymous() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) << 10
    return 0


def main() -> None:
    """Entry point of `python -m benchmarks.vocabulary`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vocabulary", description="Fit a very large vocabulary.")
    parser.add_argument("--values", type=int, default=10_000_000)
    parser.add_argument("--kind", choices=get_args(Kind), default="integer")
    parser.add_argument("--threads", type=int, default=2, help="partitions at a time")
    parser.add_argument("--folder", type=Path, help="where the source and what is spilled go for the time (else /tmp)")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results"))
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        found = fit_alone(options.alone / "source", options.alone / "catalog", options.kind, options.threads)
        (options.alone / "found.json").write_text(json.dumps(found))
        return
    with tempfile.TemporaryDirectory(prefix="vocabulary-", dir=options.folder) as name:
        folder = Path(name)
        source = write_source(folder / "source", options.values, options.kind)
        words = ["--values", options.values, "--kind", options.kind, "--threads", options.threads, "--alone", folder]
        run = measure([sys.executable, "-m", "benchmarks.vocabulary", *map(str, words)])
        found = json.loads((folder / "found.json").read_text())
        assert found["learned"] == options.values, found
        result = {
            "values": options.values,
            "kind": options.kind,
            "seconds": run.wall_s,
            "cpu_seconds": round(run.user_s + run.system_s, 1),
            "peak_mb": run.peak_process_mb,
            "peak_anonymous_mb": round(found["anonymous"] / 1e6, 1),
            "spilled_mb": round(found["spilled_bytes"] / 1e6, 1),
            "source_mb": round(source / 1e6, 1),
            "partitions": found["partitions"],
            "threads": options.threads,
            "load": run.load,
            "machine": describe(folder),
        }
    print(json.dumps({key: value for key, value in result.items() if key != "machine"}))
    path = options.out / "vocabulary.json"
    kept = json.loads(path.read_text()) if path.exists() else []
    same = (options.values, options.kind, options.threads)
    kept = [one for one in kept if (one["values"], one["kind"], one["threads"]) != same]
    path.write_text(json.dumps([*kept, result], indent=1) + "\n")


if __name__ == "__main__":
    main()
