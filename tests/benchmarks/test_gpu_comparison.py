"""The sides at one size, with small programs in their place: what is run, checked, left out, kept and removed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from benchmarks.gpu import comparison
from benchmarks.gpu.budget import Budget, Guess
from benchmarks.gpu.comparison import Comparison, Place, exact, recorded_stages
from benchmarks.gpu.model import Case, Run
from benchmarks.gpu.sampling import Sampler
from benchmarks.gpu.sides import GpuSide
from benchmarks.measure import CommandTooSlow, Measurement, measure

_FACTS = """
import json, os
with open(os.environ["HEADRACE_BENCHMARK_FACTS"], "w") as file:
    json.dump({"stages": {"fit": 0.25, "apply": 0.5}, "rmm_peak_bytes": 7_000_000}, file)
"""
_COPY = "import pathlib, shutil, sys\nshutil.copytree(sys.argv[1], sys.argv[2])" + _FACTS
_FLOOR = "import pathlib, sys\nassert list(pathlib.Path(sys.argv[1]).glob('*.parquet'))"


def _side(name: str, features: Path | None, program: str = _COPY, **more: Any) -> GpuSide:
    """A side that copies features which are ready to the folder it is given."""

    def command(_: Path, reference: Path, target: Path) -> list[str]:
        return [sys.executable, "-I", "-S", "-c", program, str(features or reference), str(target)]

    return GpuSide(name, "gpu", command, more.pop("guess", Guess(0, 1e9, 0)), **more)


@pytest.fixture
def features(tmp_path: Path) -> Callable[..., Path]:
    def make(name: str, **changes: pl.Expr) -> Path:
        frame = pl.DataFrame({"label": [0, 1, 1], "I1": [0.5, -0.5, 0.0], "C1": [2, 3, 0]})
        (tmp_path / name).mkdir()
        frame.with_columns(**changes).write_parquet(tmp_path / name / "part-00000.parquet")
        return tmp_path / name

    return make


@pytest.fixture
def saved() -> list[Case]:
    return []


@pytest.fixture
def place(tmp_path: Path, saved: list[Case]) -> Place:
    work = tmp_path / "work"
    (work / "gpu-ctr-3-snappy").mkdir(parents=True)
    (work / "gpu-ctr-3-snappy" / "part-00000.parquet").write_bytes(bytes(2_000_000))
    return Place(work, "snappy", Budget(1000), lambda: Sampler(work), device=False, save=saved.append)


def test_every_side_is_run_and_compared_and_each_run_is_saved(
    place: Place, saved: list[Case], features: Callable[..., Path]
) -> None:
    right, higher = features("right"), features("higher", C1=pl.col("C1") + 1)
    wrong = features("wrong", C1=pl.Series([3, 2, 0]))
    taking_part = [
        _side("a", right),
        _side("b", higher, id_offset=1),
        _side("c", higher),
        _side("d", wrong),
        _side("e", features("off", I1=pl.col("I1") + 1e-3)),
    ]
    case = Comparison(place, 3, taking_part, {}).run(2)
    assert case.compared == "row by row"
    assert case.checks == {
        "a": "reference",
        "b": "equal",
        "c": "ids differ",
        "d": "ids differ",
        "e": "floats differ by 1.0e-03",
    }
    assert {name: len(runs) for name, runs in case.runs.items()} == dict.fromkeys("abcde", 2)
    run = case.runs["b"][0]
    assert run.stages == {"fit": 0.25, "apply": 0.5}
    assert run.rmm_peak_mb == 7.0
    assert run.wall_s > 0
    assert run.gpu_device_mb is None
    assert case.input_mb == 2.0
    assert [len(one.runs.get("e", ())) for one in saved] == [0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2]
    assert sorted(path.name for path in place.work.iterdir()) == ["facts.json", "log"]


@pytest.mark.slow
def test_at_large_sizes_digests_are_compared_and_no_features_stay(
    place: Place, features: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "EXACT_ROWS", 2)
    right, wrong = features("right"), features("wrong", label=pl.Series([1, 1, 1]))
    there: list[list[str]] = []

    def save(_: Case) -> None:
        out = place.work / "out"
        there.append(sorted(path.name for path in out.iterdir()) if out.exists() else [])

    sides = [_side("a", right), _side("floor", None, _FLOOR, computes=False), _side("b", right), _side("c", wrong)]
    watched = Place(place.work, "snappy", place.budget, place.sampler, device=False, save=save)
    case = Comparison(watched, 3, sides, {}).run(1)
    assert case.compared == "digests"
    assert case.checks == {"a": "reference", "b": "equal", "c": "ids differ"}
    assert list(case.runs) == ["a", "floor", "b", "c"]
    assert there == [["a"], [], [], [], []]  # the reference's features go when the floor has read them


def test_the_floor_needs_the_features_of_the_reference(place: Place, features: Callable[..., Path]) -> None:
    floor = _side("floor", None, _FLOOR, computes=False)
    case = Comparison(place, 3, [floor, _side("a", features("right"))], {}).run(1, keep=True)
    assert case.left_out == {"floor": "it needs the features of a"}
    assert list(case.runs) == ["a"]
    case = Comparison(place, 3, [_side("a", None, "raise SystemExit('no luck')"), floor], {}).run(1)
    assert case.left_out == {"floor": "it needs the features of a"}
    assert "no luck" in case.failed["a"]
    assert case.runs == {}


def test_a_side_that_fails_is_not_run_again_and_nothing_is_compared_with_it(
    place: Place, features: Callable[..., Path]
) -> None:
    sides = [_side("a", None, "raise SystemExit(3)"), _side("b", features("right"))]
    case = Comparison(place, 3, sides, {}).run(2)
    assert "status 3" in case.failed["a"]
    assert case.checks == {"b": "not compared: there is no reference"}
    assert len(case.runs["b"]) == 2


def test_what_does_not_fit_is_left_out_with_the_reason(place: Place, features: Callable[..., Path]) -> None:
    usage = {"user_s": 0, "system_s": 0, "host_process_mb": 0, "host_tree_mb": 0}
    right = features("right")
    sides = [
        _side("a", right),
        _side("slow", right, guess=Guess(5000, 1, 0)),
        _side("measured", right),
        _side("large", right, guess=Guess(0, 1e9, 1e15)),
    ]
    known = {"measured": [(1, Run(wall_s=900, stages={"fit": 890.0}, **usage))]}
    case = Comparison(place, 3, sides, known).run(1)
    assert list(case.runs) == ["a"]
    assert case.left_out["slow"].startswith("a guess says about 5,003 s, and ")
    assert case.left_out["measured"].startswith("it would take about 2,680 s, and ")
    assert case.left_out["large"].startswith("a guess says about 3,000,000.0 GB of disk, and ")


def test_a_side_that_is_still_running_when_the_time_is_spent_is_stopped(
    place: Place, features: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[float] = []

    def too_slow(command: list[str], *, limit: float, **rest: Any) -> Measurement:
        limits.append(limit)
        if len(limits) > 1:
            raise CommandTooSlow("stopped after 9 s")
        return measure(command, limit=limit, **rest)

    monkeypatch.setattr(comparison, "measure", too_slow)
    case = Comparison(place, 3, [_side("a", features("right")), _side("b", None)], {}).run(1)
    assert case.left_out == {"b": "stopped: the time was spent"}
    assert list(case.runs) == ["a"]
    assert case.failed == {}
    assert 900 < limits[1] < limits[0] < 1000


def test_a_round_that_does_not_fit_leaves_the_rounds_before(place: Place, features: Callable[..., Path]) -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 1
        return now[0]

    few = Place(place.work, "snappy", Budget(20, clock), place.sampler, device=False, save=place.save)
    case = Comparison(few, 3, [_side("a", features("right"), guess=Guess(15, 1e9, 0))], {}).run(5)
    assert 1 <= len(case.runs["a"]) < 5
    assert case.left_out["a"].startswith(f"round {len(case.runs['a']) + 1} and later: a guess says about 15 s")


def test_without_an_input_everything_is_left_out(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    free = SimpleNamespace(free=20_000_000)
    monkeypatch.setattr("shutil.disk_usage", lambda _: free)
    case = Comparison(place, 400_000, [_side("a", None)], {}).run(1)
    assert case.left_out == {
        "a": "no input: a guess says about 0.0 GB of disk, and 0.0 GB are free",
    }
    assert case.runs == {}


def test_an_input_is_kept_where_that_is_asked_for(place: Place, features: Callable[..., Path]) -> None:
    Comparison(place, 3, [_side("a", features("right"))], {}).run(1, keep=True)
    assert (place.work / "gpu-ctr-3-snappy").exists()


def test_the_callers_own_packages_are_found_by_what_it_starts(
    place: Place, features: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    program = "import os\nassert os.environ['PYTHONPATH'].split(':')[2] == '/elsewhere'\n" + _COPY
    case = Comparison(place, 3, [_side("a", features("right"), program)], {}).run(1)
    assert list(case.runs) == ["a"]


def test_seconds_of_a_run_are_those_of_its_record(tmp_path: Path) -> None:
    assert recorded_stages(tmp_path) == {}
    folder = tmp_path / ".headrace" / "runs"
    folder.mkdir(parents=True)
    (folder / "x.json").write_text(json.dumps({"run_id": "x", "seconds": {"fit": 1.5, "apply": 2}}))
    assert recorded_stages(tmp_path) == {"fit": 1.5, "apply": 2.0}


def test_no_features_and_missing_rows_are_named(tmp_path: Path, features: Callable[..., Path]) -> None:
    right = list(features("right").glob("*.parquet"))
    assert exact(right, [], 0) == "it left no features"
    pl.read_parquet(right).head(2).write_parquet(tmp_path / "two.parquet")
    assert exact(right, [tmp_path / "two.parquet"], 0) == "2 rows instead of 3"
