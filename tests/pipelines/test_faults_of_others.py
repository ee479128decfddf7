"""Faults of others that show in whole runs; tests/transforms/test_faults_of_others.py has the list."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.pipelines.conftest import Make, contract_of, published, small

from headrace.engines.executor import InlineExecutor


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_nvtabular_fit_reads_the_input_once_per_learner_ours_once(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scans(steps: Sequence[Any], catalog: str) -> list[str]:
        found: list[str] = []
        lock, scan = threading.Lock(), pl.scan_parquet

        def counted(source: Any, *args: Any, **options: Any) -> pl.LazyFrame:
            with lock:
                found.append(Path(str(source)).name)
            return scan(source, *args, **options)

        with monkeypatch.context() as patched:
            patched.setattr(pl, "scan_parquet", counted)
            pipeline = make(steps, contract=contract_of(small(), key=""), output={"features": ["x"]})
            published(pipeline, tmp_path / catalog)
        return sorted(name for name in found if name.startswith("part-"))

    one = [{"Standardize": {"columns": ["x"]}}]
    many = [
        {"FillNull": {"columns": ["c"], "statistic": "mode", "mask": True}},
        {"Standardize": {"columns": ["x"], "output": "x_z"}},
        {"RobustScale": {"columns": ["x"], "output": "x_r"}},
        {"QuantileBucketize": {"columns": ["x"], "n": 4, "output": "x_q"}},
        {"GroupStats": {"by": ["id"], "of": ["x"], "statistics": ["mean"]}},
        {"FrequencyEncode": {"columns": ["id"]}},
    ]
    alone = scans(one, "one")
    assert scans(many, "many") == alone
    assert {name: alone.count(name) for name in alone} == {"part-0.parquet": 2, "part-1.parquet": 2}  # measure, apply


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_ray_keeps_a_vocabulary_as_a_dict_on_the_driver_ours_does_not_pass_the_client(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[tuple[str, int]] = []
    run: Callable[..., Any] = InlineExecutor.map

    def weighed(self: InlineExecutor, function: Any, specs: Any, done: Any = None) -> Any:
        results = run(self, function, specs, done)
        sizes.extend((function.__name__, len(pickle.dumps(value))) for value in (*specs, *results))
        return results

    monkeypatch.setattr(InlineExecutor, "map", weighed)
    rows = 20_000
    words = pl.Series("c", [f"a value of some length, number {n}" for n in range(rows)])
    frame = pl.DataFrame({"id": range(rows), "y": [n % 2 for n in range(rows)]}).with_columns(words)
    pipeline = make([{"Categorify": {"columns": ["c"]}}], frame, group=5000, output={"features": ["c"]})
    published(pipeline, tmp_path / "c")
    assert {name for name, _ in sizes} >= {"run_pass", "learn"}
    vocabulary = int(words.str.len_bytes().sum())
    # What a shard's statistics are summed up in has a bound of its own, whatever is in the columns.
    assert [(name, size) for name, size in sizes if size > 0.02 * vocabulary and name != "write_one"] == []
    assert max(size for name, size in sizes if name == "write_one") < 1 << 18 < vocabulary
