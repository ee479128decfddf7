"""Baselines by cuML beside scikit-learn's, in pairs, on shards as headrace publishes them: one command.

    python -m benchmarks.cuml_baselines                                          # 10 M rows x 40 features
    python -m benchmarks.cuml_baselines --rows 20000 --cpu-only --out DIR

Each side is a process of its own that reads the shards, trains and predicts as a run's baseline stage does, and they
take turns. scikit-learn is as headrace runs it: forests on all cores, linear algebra on one thread, for results that do
not depend on the machine. Two times of a side stand in the result: `wall_s` of the whole process, imports and reading
included, and `fit_s` and `predict_s` from inside of it. cuml_baselines.json has every measurement, the scores and the
machine. Exit status 1 if a side failed, 2 if there is no GPU and --cpu-only was not said. Not yet run on a GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.gpu.machine import describe
from benchmarks.measure import Measurement, in_turn, measure
from headrace.engines.detect import gpus
from headrace.engines.executor import InlineExecutor
from headrace.engines.open import EngineSpec
from headrace.pipelines.baseline_task import BaselineSpec, train
from headrace.pipelines.model import Baseline

ROOT: Final = Path(__file__).parent.parent
SIDES: Final[Mapping[str, str]] = {"scikit-learn": "cpu", "cuML": "gpu"}
ESTIMATORS: Final = ("logistic_regression", "random_forest")

_SHARD_ROWS: Final = 1_000_000
_GROUP_ROWS: Final = 131_072


def make_shards(folder: Path, rows: int, features: int, seed: int = 0) -> None:
    """Uncompressed float32 features and a label of 0 and 1: half of them matter, two only together; 12 % are flipped.

    The seed is of the rows; what the features mean is the same for all seeds.
    """
    folder.mkdir(parents=True)
    weights = np.random.default_rng(7).normal(0, 1, features) * (np.arange(features) < features // 2)
    for number, start in enumerate(range(0, rows, _SHARD_ROWS)):
        rng = np.random.default_rng([seed, 1, number])
        matrix = rng.standard_normal((min(_SHARD_ROWS, rows - start), features), dtype=np.float32)
        score = matrix @ weights.astype(np.float32) + 2 * matrix[:, 0] * matrix[:, 1]
        label = (score > 0) ^ (rng.random(len(matrix)) < 0.12)
        columns = {f"f{index:03d}": matrix[:, index] for index in range(features)} | {"label": label.astype(np.int8)}
        table = pa.table(
            columns, schema=pa.schema([pa.field(n, pa.array(c[:0]).type, False) for n, c in columns.items()])
        )
        pq.write_table(
            table,
            folder / f"part-{number:05d}.parquet",
            compression="none",
            use_dictionary=False,
            row_group_size=_GROUP_ROWS,
        )


def prepare(rows: int, features: int, work: Path) -> Path:
    """The shards of both splits, made unless they are there, and in the page cache."""
    source = work / f"baselines-{rows}-{features}"
    if not source.exists():
        with tempfile.TemporaryDirectory(dir=work, prefix=".making-") as folder:
            for split, size, seed in (("train", rows, 0), ("test", max(1000, rows // 10), 1)):
                make_shards(Path(folder) / "shards" / split, size, features, seed)
            (Path(folder) / "shards").rename(source)
    for path in source.rglob("*.parquet"):
        with path.open("rb") as file:
            while file.read(1 << 24):
                pass
    return source


def run_side(engine: Any, estimator: Any, source: Path, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """In the measured process: one baseline on all rows; its times and scores."""
    splits = {split: tuple(sorted((source / split).glob("*.parquet"))) for split in ("train", "test")}
    rows = sum(pq.read_metadata(path).num_rows for path in splits["train"])
    names = tuple(pq.read_schema(splits["train"][0]).names)
    with tempfile.TemporaryDirectory(prefix="headrace-baseline-") as build:
        spec = BaselineSpec(
            splits=splits,
            baselines=(Baseline(estimator=estimator, parameters=dict(parameters), max_rows=rows),),
            features=tuple(name for name in names if name != "label"),
            label="label",
            task="classification",
            build=Path(build),
            engine=EngineSpec(name=engine, strict=True),
        )
        (result,) = train(spec, InlineExecutor(1))
    return {
        "fit_s": result.seconds,
        "predict_s": result.predict_seconds,
        "rows_trained": result.rows_trained,
        "parameters": result.parameters,
        "metrics": result.metrics["test"],
        "note": result.note,
    }


def compare(estimator: str, source: Path, rounds: int, left_out: Mapping[str, str], options: Any) -> dict[str, Any]:
    """The sides in turn on one estimator: measurements of whole processes, what each said of itself, the ratios."""
    said: dict[str, list[dict[str, Any]]] = {name: [] for name in SIDES}
    parameters = {"max_samples": options.max_samples} if estimator == "random_forest" else {}

    def run(name: str) -> Measurement:
        answer = options.work / "answer.json"
        answer.unlink(missing_ok=True)
        asked = ["--side", SIDES[name], "--estimators", estimator, "--work", str(options.work)]
        asked += ["--source", str(source), "--parameters", json.dumps(parameters)]
        command = [sys.executable, "-m", "benchmarks.cuml_baselines", *asked]
        measured = measure(command, log=options.work / "log", env=os.environ | {"PYTHONPATH": str(ROOT)})
        said[name].append(json.loads(answer.read_text()))
        return measured

    present = {name: partial(run, name) for name in SIDES if name not in left_out}
    runs, failures = in_turn(present, rounds, partial(_report, estimator))
    sides = {
        name: {
            "runs": [asdict(run) | inside for run, inside in zip(found, said[name], strict=True)],
            "wall_s": statistics.median(run.wall_s for run in found),
            "fit_s": statistics.median(inside["fit_s"] for inside in said[name]),
            "predict_s": statistics.median(inside["predict_s"] for inside in said[name]),
        }
        for name, found in runs.items()
    }
    return {"estimator": estimator, "sides": sides, "ratios": _ratios(sides), "left_out": {**left_out, **failures}}


def _ratios(sides: Mapping[str, Any]) -> dict[str, float]:
    """How many times as long scikit-learn takes; empty where one side is missing."""
    if set(sides) != set(SIDES):
        return {}
    slow, fast = (sides[name] for name in SIDES)
    return {name: round(slow[name] / fast[name], 2) for name in ("wall_s", "fit_s", "predict_s") if fast[name]}


def _report(estimator: str, name: str, number: int, run: Measurement) -> None:
    print(
        f"{estimator}, round {number + 1}: {name:<14}{run.wall_s:8.2f} s {run.peak_tree_mb:8,.0f} MB", file=sys.stderr
    )


def _machine(work: Path) -> dict[str, object]:
    if not gpus():
        return describe(work)
    import pynvml

    pynvml.nvmlInit()
    try:
        return describe(work, pynvml)
    finally:
        pynvml.nvmlShutdown()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cuml_baselines", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--features", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--estimators", nargs="+", choices=ESTIMATORS, default=list(ESTIMATORS))
    parser.add_argument(
        "--max-samples", type=float, default=0.1, help="rows of each tree of a forest, as a share of all of them"
    )
    parser.add_argument("--cpu-only", action="store_true", help="leave cuML out")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "headrace-benchmarks")
    for name, kind in (("--side", str), ("--source", Path), ("--parameters", json.loads)):
        parser.add_argument(name, type=kind, help=argparse.SUPPRESS)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `python -m benchmarks.cuml_baselines`."""
    options = _parser().parse_args(arguments)
    if options.side:
        answer = run_side(options.side, options.estimators[0], options.source, options.parameters)
        (options.work / "answer.json").write_text(json.dumps(answer))
        return 0
    left_out = {"cuML": "--cpu-only"} if options.cpu_only else {}
    if not left_out and not gpus():
        print("NVML finds no GPU here; --cpu-only measures scikit-learn alone", file=sys.stderr)
        return 2
    options.work.mkdir(parents=True, exist_ok=True)
    source = prepare(options.rows, options.features, options.work)
    cases = [compare(name, source, options.rounds, left_out, options) for name in options.estimators]
    document = {
        "schema_version": 1,
        "name": "cuml_baselines",
        "rows": options.rows,
        "features": options.features,
        "input_mb": round(sum(path.stat().st_size for path in source.rglob("*.parquet")) / 1e6, 1),
        "machine": _machine(options.work),
        "cases": cases,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "cuml_baselines.json"
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print(path)
    return 1 if any(set(case["left_out"]) - set(left_out) for case in cases) else 0


if __name__ == "__main__":
    sys.exit(main())
