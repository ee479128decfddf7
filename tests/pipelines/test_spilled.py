"""Statistics of many groups: merged bucket by bucket, with the same result as all at once."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.pipelines.conftest import Make, contract_of, published, small, sums
from tests.pipelines.own_groups import SumsByGroup

from headrace.engines.executor import Done, InlineExecutor
from headrace.engines.open import CPU
from headrace.pipelines import fit as fitting
from headrace.pipelines import ordering, spilled
from headrace.pipelines.fit import fit
from headrace.pipelines.measuring import partial_files
from headrace.pipelines.model import Pipeline
from headrace.pipelines.options import RunOptions
from headrace.pipelines.stages import prepare
from headrace.pipelines.work import Work, open_work
from headrace.transforms.base import Order
from headrace.transforms.categorify import Categorify

SPLIT = {"by": "fraction", "fractions": {"train": 1.0}}
GROUPED: list[Any] = [
    {"Categorify": {"columns": ["c"], "output": "c_id"}},
    {"Categorify": {"columns": ["c"], "min_count": 2, "max_size": 3, "output": "c_top"}},
    {"Categorify": {"columns": ["c", "d"], "joint": True, "output": "{column}_joint"}},
    {"Categorify": {"columns": ["c", "id"], "combo": True, "min_count": 2, "output": "cid"}},
    {"FrequencyEncode": {"columns": ["c"], "statistic": "share"}},
    {"DropRare": {"columns": ["c"], "min_count": 3, "output": "c_frequent"}},
    {"DropRare": {"columns": ["c"], "min_share": 0.07, "output": "c_large"}},
    {"OneHot": {"columns": ["d"], "max_values": 9}},
    {"FillNull": {"columns": ["d"], "statistic": "mode"}},
    {"GroupStats": {"by": ["c"], "of": ["x"], "statistics": ["mean", "std", "min", "n_unique"]}},
    {"GroupStats": {"by": ["id"], "of": ["c", "d"], "statistics": ["count", "n_unique"]}},
    {"TargetEncode": {"columns": ["c"], "target": "y", "fold_on": ["id"], "folds": 3}},
    SumsByGroup(by="c", of="x"),
]


def rows(numbers: Sequence[int]) -> pl.DataFrame:
    """Repeated categories, numbers whose sum depends on the order of adding, ids of which some come twice."""
    return pl.DataFrame(
        {
            "id": [n % 29 for n in numbers],
            "c": [None if n % 11 == 5 else f"value {n * n % 17}" for n in numbers],
            "d": [None if n % 5 == 3 else "é" * (n % 4) for n in numbers],
            "x": [None if n % 7 == 3 else 0.1 * n * 10.0 ** (n % 13) for n in numbers],
            "y": [n % 3 % 2 for n in numbers],
        },
        schema={"id": pl.Int64, "c": pl.String, "d": pl.String, "x": pl.Float64, "y": pl.Int64},
    )


def grouped(make: Make, frame: pl.DataFrame, **fields: Any) -> Pipeline:
    return make(GROUPED, frame, contract=contract_of(frame, key=""), split=SPLIT, files=3, group=4, **fields)


def learned(pipeline: Pipeline, catalog: Path, buckets: int = 0) -> tuple[dict[str, bytes], list[str]]:
    """What fitting leaves, file by file, and the functions of the tasks that it took; 0: as many as there should be."""
    ran: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("headrace.pipelines.plan.UNIT_ROWS", 1)
        if buckets:
            patch.setattr(fitting, "buckets_of", lambda measured: dict.fromkeys(measured, buckets))
        _, lock = prepare(pipeline, RunOptions(catalog=str(catalog), engine="cpu", partition_bytes=5_000))
        with lock:
            work = open_work(str(lock.path))
            fit(work, Recording(ran), CPU)
            files = sorted(path for path in (work.path / "learned").rglob("*") if path.is_file())
            found = {str(path.relative_to(work.path)): path.read_bytes() for path in files}
            assert not any((work.path / "merged").glob("*")), "what led to it is removed"
            lock.remove()
    return found, ran


Spec = TypeVar("Spec")
Result = TypeVar("Result")


class Recording(InlineExecutor):
    """Notes the function of each task, and the bytes of what is sent for it and of what comes back."""

    def __init__(self, ran: list[str]) -> None:
        super().__init__(1)
        self.ran = ran
        self.most_bytes = 0

    def map(self, function: Callable[[Spec], Result], specs: Sequence[Spec], done: Done | None = None) -> list[Result]:
        self.ran += [function.__name__] * len(specs)
        results = super().map(function, specs, done)
        self.most_bytes = max(self.most_bytes, *(len(pickle.dumps(value)) for value in (*specs, *results, 0)))
        return results


@pytest.mark.slow
def test_the_same_is_learned_from_one_two_and_seven_buckets(make: Make, tmp_path: Path) -> None:
    pipeline = grouped(make, rows(range(48)))
    whole, ran = learned(pipeline, tmp_path / "whole")
    assert "merge_groups" not in ran
    steps = [json.loads(text) for name, text in whole.items() if name.endswith("step.json")]
    (own,) = (step[name] for step in steps for name in step if name.endswith(":GroupSums"))
    # Added up unit by unit, in the order of the units: in another the last digits are others.
    expected: dict[str, float] = {}
    for start in range(0, 48, 4):
        for group, number in rows(range(start, start + 4)).select("c", "x").drop_nulls().iter_rows():
            expected[group] = expected.get(group, 0.0) + number
    assert dict(zip(own["values"], own["sums"], strict=True)) == expected
    for buckets in (1, 2, 7):
        found, ran = learned(pipeline, tmp_path / str(buckets), buckets)
        assert found == whole
        assert ran.count("merge_groups") == (buckets * len(GROUPED) if buckets > 1 else 0)


@pytest.mark.slow
@settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 999), min_size=1, max_size=60), st.sampled_from([2, 7]), st.integers(1, 4096))
def test_buckets_and_ranges_never_show(
    make: Make, tmp_path: Path, numbers: list[int], buckets: int, range_bytes: int
) -> None:
    pipeline = grouped(make, rows(numbers))
    catalog = tmp_path / str(len(list(tmp_path.iterdir())))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ordering, "RANGE_BYTES", range_bytes)
        assert learned(pipeline, catalog / "many", buckets)[0] == learned(pipeline, catalog / "one", 1)[0]


def many(make: Make, monkeypatch: pytest.MonkeyPatch, values: int = 20_000) -> Pipeline:
    """A pipeline at default settings over values of which each row has its own, in ten partitions."""
    monkeypatch.setattr("headrace.pipelines.plan.UNIT_ROWS", 1)
    numbers = pl.int_range(values, eager=True)
    words = (numbers * 0x9E3779B1 % (1 << 32)).cast(pl.String)
    frame = pl.DataFrame({"c": words + "-of-many", "y": numbers % 2})
    return make(
        [{"Categorify": {"columns": ["c"]}}],
        frame,
        contract=contract_of(frame, key=""),
        split=SPLIT,
        files=5,
        group=values // 10,
    )


def prepared(pipeline: Pipeline, catalog: Path) -> Any:
    return prepare(pipeline, RunOptions(catalog=str(catalog), engine="cpu", partition_bytes=1))[1]


class Stop(Exception):
    """Ends a run in the middle."""


def stop(*_: object, **__: object) -> None:
    raise Stop


def sizes(files: Sequence[Path]) -> list[int]:
    return [file.stat().st_size for file in files]


@pytest.mark.slow
def test_out_of_memory_in_fit_at_default_settings(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What each task reads is bounded, however many values there are: what users of others complain of most."""
    share = 32 << 10
    monkeypatch.setattr(spilled, "SPILLED_BYTES", share)
    monkeypatch.setattr(ordering, "RANGE_BYTES", share)
    monkeypatch.setattr(spilled, "_remove", list)  # so that all can be looked at in the end
    lock = prepared(many(make, monkeypatch), tmp_path)
    with lock:
        work = open_work(str(lock.path))
        assert work.resolved.passes == 1
        monkeypatch.setattr(Categorify, "learn", stop)
        with pytest.raises(Stop):
            fit(work, InlineExecutor(1), CPU)
        partials = partial_files(work, 0, 0)
        assert len(partials) == 10
        total = sum(sizes(partials))
        assert total > 15 * share
        folder = work.path / "merged" / "0"
        scattered = sorted(folder.glob("scattered-*"))
        merged, ranges = sorted(folder.glob("bucket-*")), sorted((folder / "ordered").iterdir())
        # Scattering reads a partition's statistics here; merging one bucket of each; ordering a range of each bucket.
        assert len(scattered) == 10
        assert max(sizes(partials)) < total / 9
        assert len(merged) == -(-total // share)
        assert max(sizes(merged)) < 2 * share
        assert max(sizes(ranges)) < 3 * share
        lock.remove()


@pytest.mark.slow
def test_no_vocabulary_passes_through_the_client(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spilled, "SPILLED_BYTES", 32 << 10)
    lock = prepared(many(make, monkeypatch), tmp_path)
    with lock:
        work = open_work(str(lock.path))
        executor = Recording([])
        fit(work, executor, CPU)
        assert (work.path / "learned" / "0" / "table-0.parquet").stat().st_size > 50_000
        assert executor.most_bytes < 2_000
        step = work.learned(0)
        assert step.cardinality == 20_003  # type: ignore[attr-defined]
        assert step.vocabulary._frame is None, "it is counted without being read"  # type: ignore[attr-defined]
        lock.remove()


@pytest.mark.slow
def test_a_run_goes_on_from_the_buckets_that_are_merged(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spilled, "SPILLED_BYTES", 32 << 10)
    lock = prepared(many(make, monkeypatch), tmp_path)
    calls: list[int] = []
    merge, learn = Categorify.merge, Categorify.learn
    most = 10 + 10 + 4  # to measure ten partitions, to scatter them, and of four buckets

    def counted(self: Categorify, tables: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
        calls.append(len(tables))
        if len(calls) > most:
            raise Stop
        return merge(self, tables)

    with lock:
        work = open_work(str(lock.path))
        assert work.resolved.passes == 1
        monkeypatch.setattr(Categorify, "merge", counted)
        with pytest.raises(Stop):
            fit(work, InlineExecutor(1), CPU)
        folder = work.path / "merged" / "0"
        before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
        assert sorted(name.partition("-")[0] for name in before) == ["bucket"] * 4 + ["scattered"] * 10
        assert not (work.path / "learned").exists()

        calls.clear()
        most = 1000
        monkeypatch.setattr(Categorify, "learn", stop)
        with pytest.raises(Stop):
            fit(work, InlineExecutor(1), CPU)
        assert calls == [10] * (_buckets(work) - 4)
        assert [path.name for path in folder.iterdir()] == ["ordered"]
        ranges = {path: path.stat().st_mtime_ns for path in (folder / "ordered").iterdir()}

        calls.clear()
        monkeypatch.setattr(Categorify, "learn", learn)
        seen: list[Path] = []
        monkeypatch.setattr(spilled, "in_one_order", lambda *given: _seen(seen, ranges, *given))
        fit(work, InlineExecutor(1), CPU)
        assert (calls, len(seen)) == ([], 1)
        assert work.learned(0).cardinality == 20_003  # type: ignore[attr-defined]
        lock.remove()


def _seen(seen: list[Path], ranges: Mapping[Path, int], files: Sequence[Path], order: Order, folder: Path) -> Any:
    seen.append(folder)
    total = ordering.in_one_order(files, order, folder)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == ranges
    return total


def _buckets(work: Work) -> int:
    return spilled.buckets_of({0: sum(sizes(partial_files(work, 0, 0)))})[0]


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_a_published_version_is_the_same_whatever_the_buckets(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [{"Categorify": {"columns": ["c"]}}, {"GroupStats": {"by": ["c"], "of": ["x"]}}]
    one = sums(published(make(steps, small()), tmp_path / "one")[0])
    monkeypatch.setattr(fitting, "buckets_of", lambda measured: dict.fromkeys(measured, 3))
    assert sums(published(make(steps, small()), tmp_path / "three")[0]) == one
