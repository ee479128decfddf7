"""How long a fit of a vocabulary takes that is far larger than what a task may hold, and what memory it peaks at.

    python -m benchmarks.vocabulary --values 200000000
    python -m benchmarks.vocabulary --values 50000000 --kind string --out benchmarks/results

A source of one column of so many distinct values and a label is written to a temporary folder. `headrace`'s fit, with
Categorify at its default settings, then runs in a process of its own. Nothing is applied: a vocabulary of that size is
looked up on a machine that holds it. Adds a line to `vocabulary.json` in `--out`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.fit_alone import alone, fit_alone, keep, measured
from benchmarks.machine import describe
from headrace.pipelines.model import Pipeline
from headrace.schemas.contract import Column, Contract

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


def pipeline_of(source: Path, kind: Kind) -> Pipeline:
    """Categorify at its default settings, of all rows."""
    contract = Contract(
        name="vocabulary",
        columns=(
            Column(name="value", dtype="Int64" if kind == "integer" else "String", required=True),
            Column(name="label", dtype="Int64", required=True, role="target"),
        ),
    )
    return Pipeline.model_validate(
        {
            "name": "vocabulary",
            "source": {"path": "*.parquet", "root": str(source)},
            "contract": contract,
            "steps": [{"Categorify": {"columns": ["value"]}}],
            "target": "label",
            "split": {"by": "fraction", "fractions": {"train": 1.0}},
        }
    )


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
        pipeline = pipeline_of(options.alone / "source", options.kind)
        found = fit_alone(pipeline, options.alone / "catalog", options.threads)
        (options.alone / "found.json").write_text(json.dumps(found))
        return
    with tempfile.TemporaryDirectory(prefix="vocabulary-", dir=options.folder) as name:
        folder = Path(name)
        source = write_source(folder / "source", options.values, options.kind)
        words = ["--values", options.values, "--kind", options.kind, "--threads", options.threads, "--alone", folder]
        run = alone("benchmarks.vocabulary", words)
        found = json.loads((folder / "found.json").read_text())
        assert found.pop("vocabularies") == [options.values]
        result = {
            "values": options.values,
            "kind": options.kind,
            "threads": options.threads,
            "source_mb": round(source / 1e6, 1),
            **measured(run),
            **found,
            "machine": describe(folder),
        }
    print(json.dumps({key: value for key, value in result.items() if key != "machine"}))
    keep(options.out / "vocabulary.json", result, ("values", "kind", "threads"))


if __name__ == "__main__":
    main()
