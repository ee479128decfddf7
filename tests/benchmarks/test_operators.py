"""Operators by hand: there is a pair for each, both sides compute the same, and what is reported is the shortest."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from benchmarks.byhand.pair import EQUAL, Pair, but_for, near, same_groups
from benchmarks.byhand.rows import COLUMNS, column
from benchmarks.operators import PAIRS, Job, Timing, Unequal, chosen, compared, main, table, updated, write

from headrace.transforms.registry import OPERATORS

ROWS = 3_000


def test_every_operator_has_a_pair() -> None:
    assert {pair.operator for pair in PAIRS} == set(OPERATORS)
    assert len({pair.name for pair in PAIRS}) == len(PAIRS)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # scikit-learn's search for a power overflows on its way
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_both_sides_compute_the_same(pair: Pair) -> None:
    Job(pair, ROWS).check()


@pytest.mark.parametrize("pair", [p for p in PAIRS if p.fit is None], ids=lambda pair: pair.name)
def test_where_nothing_is_fitted_by_hand_there_is_nothing_to_learn(pair: Pair) -> None:
    assert not Job(pair, 10).learns


def test_a_pair_that_differs_is_not_measured() -> None:
    wrong = Pair("Clip", {"columns": ["age"], "lower": 0, "upper": 9}, lambda frame, _: frame)
    with pytest.raises(Unequal, match="Clip: by hand"):
        compared(wrong, 100)


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_are_the_same_in_every_run(name: str) -> None:
    assert column(name, 500).equals(column(name, 500))
    assert len(column(name, 500)) == 500


def test_what_counts_as_equal() -> None:
    a, b = pl.DataFrame({"x": [1.0, None, 300.0]}), pl.DataFrame({"x": [1.0, None, 300.3]})
    assert EQUAL(a, a)
    assert not EQUAL(a, b)
    assert near(1e-3)(a, b)
    assert not near(1e-4)(a, b)
    assert not near(1.0)(a, a.fill_null(0.0))
    assert not near(1.0)(a, a.cast(pl.Float32))
    ids, others = pl.DataFrame({"x": [1, 2, 3, 4]}), pl.DataFrame({"x": [1, 9, 9, 4]})
    assert but_for(0.5)(ids, others)
    assert not but_for(0.1)(ids, others)
    assert but_for(0.0, 7.0)(ids, others)
    assert same_groups(ids, pl.DataFrame({"x": [7, 8, 9, 0]}))
    assert not same_groups(ids, others)


def test_operators_come_in_the_order_of_the_registry() -> None:
    assert [pair.operator for pair in chosen(["Lower", "Clip"])] == ["Clip", "Lower"]
    with pytest.raises(SystemExit, match="Lowr"):
        chosen(["Lowr"])


def test_the_table_has_ratios_and_marks_those_above_the_limit(tmp_path: Path) -> None:
    timings = [
        Timing("Clip", "apply", 0.5, 0.55, 0.5, 0.5, 5, ""),
        Timing("Lower", "apply", 0.5, 1.0, 0.5, 2.0, 5, "why"),
    ]
    machine = {"processor": "a processor", "cores": 2, "memory_gb": 8.0, "system": "Linux"}
    text = table(machine, 1_000, 0.5, timings)
    assert "| Clip | apply | 0.50 | 0.55 | 1.10 | 1.00 |  |" in text
    assert "| Lower | apply | 0.50 | 1.00 | **2.00** | **4.00** | why |" in text
    assert "1 of 2" in text
    paths = write(tmp_path, machine, 1_000, 0.5, timings)
    assert [path.name for path in paths] == ["operators.json", "operators.md"]
    document = json.loads(paths[0].read_text())
    assert [t["ratio"] for t in document["timings"]] == [1.1, 2.0]


def test_some_operators_take_the_place_of_what_is_written_of_them(tmp_path: Path) -> None:
    machine = {"processor": "a processor", "cores": 2, "memory_gb": 8.0, "system": "Linux"}
    clip, lower = (Timing(name, "apply", 0.5, 1.0, 0.5, 1.0, 5, "") for name in ("Clip", "Lower"))
    write(tmp_path, machine, 1_000, 0.5, [clip, lower])
    quicker, other = replace(clip, headrace_s=0.25), replace(lower, part="fit")
    paths = updated(tmp_path, machine, 1_000, [quicker, other])
    assert paths[1].read_text() == table(machine, 1_000, 0.5, [quicker, lower, other])
    with pytest.raises(SystemExit, match="is of 1,000 rows on a processor"):
        updated(tmp_path, machine, 2_000, [quicker])


def test_named_operators_are_measured_and_printed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--rows", "200", "--only", "MinMax", "--out", str(tmp_path / "out")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["MinMax", "fit"], ["MinMax", "apply"]]
    assert not (tmp_path / "out").exists()
