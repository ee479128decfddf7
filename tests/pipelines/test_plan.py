from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.pipelines.conftest import Make, contract_of, small
from tests.pipelines.families import every_family

from headrace.engines.cpu import CpuEngine
from headrace.pipelines.model import Pipeline
from headrace.pipelines.options import RunOptions
from headrace.pipelines.passes import gathered
from headrace.pipelines.plan import Plan, make_plan
from headrace.pipelines.resolve import resolve
from headrace.pipelines.rows import source_rows, walk
from headrace.pipelines.sources import locate, read_tables
from headrace.pipelines.stages import prepare
from headrace.pipelines.work import open_work

MEAN = {"FillNull": {"columns": ["x"], "statistic": "mean"}}
LAG = {"Lag": {"columns": ["x"], "by": ["c"], "order": "at"}}
LEARN = [{"Standardize": {"columns": [c]}} for c in ("x", "id")]


def plan_of(pipeline: Pipeline, partition_bytes: int = 1 << 30) -> Plan:
    return make_plan(pipeline, resolve(pipeline, {}), locate(pipeline), partition_bytes)


@pytest.mark.usefixtures("small_units")
def test_units_are_runs_of_row_groups_whatever_the_partitions(make: Make) -> None:
    # Two files of 23 and 22 rows in groups of 5: units of at least 16 rows.
    pipeline = make([], small(45), files=2, group=5)
    units = [(0, 0, 20), (1, 20, 3), (2, 23, 20), (3, 43, 2)]
    for partition_bytes, sizes in ((1 << 30, [2, 2]), (1, [1, 1, 1, 1])):
        partitions = plan_of(pipeline, partition_bytes).partitions
        assert [len(p.units) for p in partitions] == sizes
        assert [(u.number, u.first_row, u.rows) for p in partitions for u in p.units] == units
    assert [(Path(p.file).name, p.file_row, p.first_row, p.rows) for p in partitions] == [
        ("part-0.parquet", 0, 0, 20),
        ("part-0.parquet", 20, 20, 3),
        ("part-1.parquet", 0, 23, 20),
        ("part-1.parquet", 20, 43, 2),
    ]
    assert [p.number for p in partitions] == [0, 1, 2, 3]


def test_a_file_without_rows_has_no_partition(make: Make) -> None:
    pipeline = make([], small(20), files=2)
    small(0).write_parquet(Path(pipeline.source.root) / "part-00.parquet")
    plan = plan_of(pipeline)
    assert [f.rows for f in plan.files] == [10, 0, 10]
    assert [(Path(p.file).name, p.first_row) for p in plan.partitions] == [
        ("part-0.parquet", 0),
        ("part-1.parquet", 10),
    ]


def test_passes_exchanges_tasks_and_bytes(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.pipelines.plan.BUCKET_ROWS", 15)
    plan = plan_of(make([LAG, MEAN, {"Standardize": {"columns": ["x", "x_lag1"]}}], files=2))
    assert [p.serves for p in plan.passes] == [
        ("contract", "unique id"),
        ("Lag(x_lag1)", "FillNull(x)"),
        ("Standardize(x, x_lag1)",),
        ("apply",),
    ]
    assert plan.exchanges == ("unique id", "Lag(x_lag1) by c", "shuffle into shards")
    assert (plan.rows, plan.buckets, len(plan.partitions)) == (40, 3, 2)
    # Two partitions in four passes, three buckets for the key and the lag, a shard for each split.
    assert plan.tasks == 2 * 4 + 3 * 2 + 2
    assert plan.passes[1].columns == ("id", "x", "c", "at")
    sizes = locate(make([])).column_bytes
    assert plan.passes[1].bytes == sum(sizes[c] for c in ("id", "x", "c", "at"))
    assert plan.features == ("x", "x_lag1")
    assert plan.memory_bytes > 0
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


def test_independent_learners_read_each_column_once(make: Make) -> None:
    frame = small().with_columns(pl.col("x").alias(f"x{i}") for i in range(10))
    steps = [{"Standardize": {"columns": [f"x{i}"]}} for i in range(10)]
    plan = plan_of(make(steps, frame, contract=contract_of(frame, key="")))
    assert len(plan.passes) == 2  # one that measures, one that applies
    assert sum("Standardize" in served for served in plan.passes[0].serves) == 10


def _read_columns(query: pl.LazyFrame) -> int:
    """How many columns of the file Polars reads for a query, by its own account."""
    found = re.findall(r"Parquet SCAN .*\n\s*PROJECT (\*|\d+)/(\d+) COLUMNS", query.explain())
    assert len(found) == 1, query.explain()
    return int(found[0][1] if found[0][0] == "*" else found[0][0])


@pytest.mark.slow
@pytest.mark.parametrize("steps", [[], LEARN, [MEAN, LAG, {"Filter": {"where": "x_lag1 > 1"}}, *LEARN]])
def test_polars_reads_the_planned_columns_of_a_file(make: Make, tmp_path: Path, steps: list[Any]) -> None:
    pipeline = make(steps, output={"features": ["x"]})
    _check_reads(pipeline, tmp_path)


@pytest.mark.slow
def test_polars_reads_the_planned_columns_with_operators_of_every_family(tmp_path: Path) -> None:
    _check_reads(every_family(tmp_path / "source", 300, output={"features": ["x", "kind"], "keep": ["at"]}), tmp_path)


def _check_reads(pipeline: Pipeline, tmp_path: Path) -> None:
    _, lock = prepare(pipeline, RunOptions(catalog=str(tmp_path / "c"), engine="cpu"))
    with lock:
        work = open_work(str(lock.path))
        for placed in work.resolved.steps:  # every pass with forms that learned nothing, and windows without answers
            if placed.collects:
                _answer(work, placed)
        work.form = lambda index: work.resolved.steps[index].form  # type: ignore[method-assign]
        partition = work.plan.partitions[0]
        for number in range(1, work.resolved.passes + 1):
            rows = walk(work, source_rows(work, partition), partition, number, CpuEngine())
            query = rows.select(gathered(work.resolved, number))
            assert _read_columns(query) == len(work.plan.passes[number].columns), number


def _answer(work: Any, placed: Any) -> None:
    folder = work.path / "windows" / str(placed.index)
    folder.mkdir(parents=True)
    schema = {"__row": pl.Int64, **dict.fromkeys(placed.form.writes, pl.Float64)}
    pl.DataFrame(schema=schema).write_ipc(folder / "bucket-00000.arrow")


@pytest.mark.slow
def test_tables_are_part_of_what_a_run_is_known_by(tmp_path: Path) -> None:
    """A table whose rows stand in another order is another table: as-of joins take the last of equal ones."""
    pipeline = every_family(tmp_path / "source", 300)
    options = RunOptions(catalog=str(tmp_path / "c"), engine="cpu")
    keys = []
    for _ in range(2):
        _, lock = prepare(pipeline, options)
        keys.append(lock.path.name)
        lock.release()
        path = Path(pipeline.source.root) / "prices.parquet"
        pl.read_parquet(path).reverse().write_parquet(path)
    assert keys[0] != keys[1]
    assert list(read_tables(pipeline)) == ["shops", "prices"]
