"""What a run reads of its source: every pass each partition once, in the columns planned, statistics or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.io.plugins import register_io_source
from tests.pipelines.conftest import Make, published

from headrace.catalog.reader import open_dataset
from headrace.pipelines import rows
from headrace.pipelines.model import Pipeline
from headrace.pipelines.plan import Plan
from headrace.pipelines.sources import locate
from headrace.pipelines.work import Work

pytestmark = pytest.mark.usefixtures("no_report", "small_units")

MEAN = {"FillNull": {"columns": ["x"], "statistic": "mean"}}
LAG = {"Lag": {"columns": ["x"], "by": ["c"], "order": "at"}}
IDS = {"Categorify": {"columns": ["c"]}}
DEEP = [LAG, MEAN, {"Standardize": {"columns": ["x", "x_lag1"]}}]

Scan = tuple[str, frozenset[str]]


class Scans:
    """Stands for `polars` in the one module that scans sources, and notes file and columns of each scan that runs."""

    def __init__(self) -> None:
        self.made: Counter[Scan] = Counter()

    def __getattr__(self, name: str) -> Any:
        return getattr(pl, name)

    def scan_parquet(self, path: str, *, glob: bool) -> pl.LazyFrame:
        whole = pl.read_parquet(path, glob=glob)

        def scan(
            columns: list[str] | None, where: pl.Expr | None, most: int | None, _: int | None
        ) -> Iterator[pl.DataFrame]:
            used = {*(columns or whole.columns), *(() if where is None else where.meta.root_names())}
            self.made[path, frozenset(used)] += 1
            first = whole.head(whole.height if most is None else most)
            yield (first if where is None else first.filter(where)).select(columns or whole.columns)

        return register_io_source(scan, schema=whole.schema)


Run = Callable[[Pipeline], Counter[Scan]]


@pytest.fixture
def scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a pipeline, and says what was scanned. Its version is in `catalog`."""

    def run(pipeline: Pipeline) -> Counter[Scan]:
        with monkeypatch.context() as patch:
            noted = Scans()
            patch.setattr(rows, "pl", noted)
            published(pipeline, tmp_path / "catalog", partition_bytes=1, cluster="inline")
        return noted.made

    return run


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """The plans of the runs."""
    found: list[Plan] = []
    real = Work.plan.func

    def plan(work: Work) -> Plan:
        found.append(real(work))
        return found[-1]

    monkeypatch.setattr(Work, "plan", property(plan))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("steps", "passes"), [([MEAN, IDS], 3), (DEEP, 4)])
def test_a_pass_reads_each_partition_once_and_the_columns_it_was_planned_with(
    make: Make, scans: Run, plans: list[Plan], steps: list[Any], passes: int
) -> None:
    pipeline = make(steps, files=2)
    made = scans(pipeline)
    plan = plans[-1]
    assert (len(plan.passes), len(plan.files), len(plan.partitions)) == (passes, 2, 4)
    assert made == Counter(
        (partition.file, frozenset(planned.columns)) for planned in plan.passes for partition in plan.partitions
    )
    sizes = locate(pipeline).column_bytes
    assert [p.bytes for p in plan.passes] == [sum(sizes[c] for c in p.columns) for p in plan.passes]


@pytest.mark.slow
def test_statistics_of_source_and_splits_add_no_read(
    make: Make, scans: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = make([MEAN, IDS], files=2)
    measured = scans(pipeline.model_copy(update={"source": pipeline.source.model_copy(update={"statistics": True})}))
    assert (open_dataset(tmp_path / "catalog" / "small").path / "statistics" / "source").is_dir()
    real = rows.read_checked
    monkeypatch.setattr("headrace.pipelines.measuring.read_checked", lambda *given: real(*given[:3]))
    monkeypatch.setattr("headrace.pipelines.write.save_sketches", lambda *_: None)
    without = scans(pipeline)
    assert not (open_dataset(tmp_path / "catalog" / "small").path / "statistics").exists()
    assert measured == without
    assert measured.total() == 3 * 4  # passes, partitions
