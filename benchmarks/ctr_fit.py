"""What the fit of ctr takes of memory: 26 vocabularies and 13 means at a time, in a process of its own.

    python -m benchmarks.ctr_fit --source FOLDER        # as `headrace.pipelines.gallery.ctr` writes it

Adds a line to `ctr_fit.json` in `--out`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.ctr_pipeline import pipeline
from benchmarks.fit_alone import alone, fit_alone, keep, measured
from benchmarks.machine import describe


def main() -> None:
    """Entry point of `python -m benchmarks.ctr_fit`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ctr_fit", description="Fit ctr, and nothing else.")
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2, help="tasks at a time")
    parser.add_argument("--folder", type=Path, help="where what is spilled goes for the time (else /tmp)")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results"))
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        own = pipeline.model_copy(
            update={"source": pipeline.source.model_copy(update={"root": str(options.source.absolute())})}
        )
        found = fit_alone(own, options.alone / "catalog", options.threads)
        (options.alone / "found.json").write_text(json.dumps(found))
        return
    files = sorted(options.source.glob("*.parquet"))
    with tempfile.TemporaryDirectory(prefix="ctr-fit-", dir=options.folder) as name:
        folder = Path(name)
        words = ["--source", options.source, "--threads", options.threads, "--alone", folder]
        run = alone("benchmarks.ctr_fit", words)
        found = json.loads((folder / "found.json").read_text())
        result = {
            "rows": sum(pq.read_metadata(file).num_rows for file in files),
            "threads": options.threads,
            "source_mb": round(sum(file.stat().st_size for file in files) / 1e6, 1),
            **measured(run),
            **found,
            "machine": describe(folder),
        }
    print(json.dumps({key: value for key, value in result.items() if key != "machine"}))
    keep(options.out / "ctr_fit.json", result, ("rows", "threads"))


if __name__ == "__main__":
    main()
