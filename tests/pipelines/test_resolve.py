from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest
from tests.pipelines.conftest import SPLIT, contract_of, small

from headrace.pipelines.model import Pipeline, Source
from headrace.pipelines.passes import columns_read
from headrace.pipelines.resolve import Resolved, all_ids, resolve
from headrace.schemas.errors import PipelineError
from headrace.transforms.base import Transform
from headrace.transforms.table import Table

LAG = {"Lag": {"columns": ["x"], "by": ["c"], "order": "at"}}


def resolved(steps: Sequence[Any], key: str = "", tables: Any = None, **fields: Any) -> Resolved:
    parts = {"contract": contract_of(small(), key), "split": SPLIT, "target": "y", **fields}
    pipeline = Pipeline(name="small", source=Source(path="*.parquet"), steps=tuple(steps), **parts)
    return resolve(pipeline, tables or {})


def standardize(*columns: str, **more: Any) -> dict[str, Any]:
    return {"Standardize": {"columns": list(columns), **more}}


def mean(*columns: str) -> dict[str, Any]:
    return {"FillNull": {"columns": list(columns), "statistic": "mean"}}


def where(sql: str) -> dict[str, Any]:
    return {"Filter": {"where": sql}}


# Each step's (stage, pass): applied from that pass on, and measured in that one.
CASES: dict[str, tuple[list[Any], list[tuple[int, int | None]]]] = {
    "independent learners share a pass": (
        [mean("x"), {"Categorify": {"columns": ["c"]}}, standardize("id")],
        [(1, 0), (1, 0), (1, 0)],
    ),
    "a learner on what another learned comes a pass later": (
        [mean("x"), standardize("x"), standardize("id")],
        [(1, 0), (2, 1), (1, 0)],
    ),
    "a step between them waits as well": (
        [mean("x"), {"Log1p": {"columns": ["x"]}}, standardize("x")],
        [(1, 0), (1, None), (2, 1)],
    ),
    "a window on a learned column, and a learner on the window": (
        [mean("x"), LAG, mean("x_lag1")],
        [(1, 0), (2, 1), (3, 2)],
    ),
    "windows share a pass with learners": ([LAG, standardize("x")], [(1, 0), (1, 0)]),
    "a constant is learned from nothing": (
        [{"FillNull": {"columns": ["x"], "value": 0}}, standardize("x")],
        [(0, None), (1, 0)],
    ),
    "a filter before all learners costs no pass": ([where("x > 1"), standardize("x")], [(0, None), (1, 0)]),
    "a filter waits until the learners before it have seen what it drops": (
        [standardize("x"), where("id > 1")],
        [(1, 0), (1, None)],
    ),
    "a learner after a filter between learners sees only what is left": (
        [standardize("x"), where("id > 1"), {"Categorify": {"columns": ["c"]}}],
        [(1, 0), (1, None), (2, 1)],
    ),
    "a filter on a learned column": (
        [mean("x"), where("x > 1"), standardize("id"), where("id > 0")],
        [(1, 0), (1, None), (2, 1), (2, None)],
    ),
    "a window after a filter on a window": ([LAG, where("x_lag1 > 1"), LAG], [(1, 0), (1, None), (2, 1)]),
    "an overwritten column has the stage of what it was made of": (
        [mean("x"), {"Derive": {"x": "id * 2"}}, standardize("x")],
        [(1, 0), (0, None), (1, 0)],
    ),
    "a dropped name may come again": (
        [standardize("x"), {"Drop": {"columns": ["x"]}}, {"Derive": {"x": "id + 1"}}, standardize("x")],
        [(1, 0), (0, None), (0, None), (1, 0)],
    ),
    "a learned column under another name": (
        [mean("x"), {"Rename": {"names": {"x": "z"}}}, standardize("z")],
        [(1, 0), (1, None), (2, 1)],
    ),
}


@pytest.mark.parametrize(("steps", "expected"), CASES.values(), ids=CASES.keys())
def test_steps_are_applied_as_soon_as_they_can_be_and_learners_measured_together(
    steps: list[Any], expected: list[tuple[int, int | None]]
) -> None:
    found = resolved(steps)
    assert [(s.stage, s.pass_number) for s in found.steps] == expected
    assert found.passes == 1 + max((p for _, p in expected if p is not None), default=0)


def test_statistics_wait_until_repeated_keys_are_known() -> None:
    found = resolved([where("x > 1"), standardize("x"), standardize("x")], key="id")
    assert [(s.stage, s.pass_number) for s in found.steps] == [(1, None), (2, 1), (3, 2)]


def test_learners_of_several_columns_fall_into_parts_where_they_are_independent() -> None:
    found = resolved([{"Categorify": {"columns": ["c", "id"]}}, standardize("x")])
    assert [(s.number, s.step.writes, s.pass_number) for s in found.steps] == [
        (1, ("c",), 0),
        (1, ("id",), 0),
        (2, ("x",), 0),
    ]


READS: dict[str, tuple[list[Any], dict[str, Any], list[tuple[str, ...]]]] = {
    "only what is learned from, and the split's": ([standardize("x")], {}, [("id", "x"), ("id", "x", "y")]),
    "only the wanted columns of a step of several": (
        [{"Clip": {"columns": ["x", "id"], "lower": 1}}, standardize("x"), {"Categorify": {"columns": ["c"]}}],
        {"output": {"features": ["x"]}, "split": {**SPLIT, "by": "fraction"}},
        [("x", "c"), ("x", "y")],
    ),
    "what is overwritten before it is used is not read": (
        [{"Derive": {"x": "id + 1"}}, standardize("x")],
        {"output": {"features": ["x"]}},
        [("id",), ("id", "y")],
    ),
    "a window's inputs only in its own pass": (
        [LAG, {"Drop": {"columns": ["c"]}}],
        {},
        [("id", "x", "c", "at"), ("id", "x", "y")],
    ),
    "a filter's columns in every pass": (
        [where("c = 'a'"), standardize("x")],
        {"output": {"features": ["x"]}},
        [("id", "x", "c"), ("id", "x", "c", "y")],
    ),
    "dropped columns are not read": ([{"Drop": {"columns": ["c", "at"]}}], {}, [("id",), ("id", "x", "y")]),
}


@pytest.mark.parametrize(("steps", "fields", "expected"), READS.values(), ids=READS.keys())
def test_a_pass_reads_what_it_needs(steps: list[Any], fields: dict[str, Any], expected: list[tuple[str, ...]]) -> None:
    fields = {k: {n: v for n, v in f.items() if n != "columns"} if k == "split" else f for k, f in fields.items()}
    found = resolved(steps, **fields)
    assert [columns_read(found, number) for number in range(found.passes + 1)] == expected


def test_the_split_is_assigned_before_the_first_step_that_learns_and_not_before_constants() -> None:
    steps = [
        {"FillNull": {"columns": "string", "value": "-"}},
        {"Derive": {"day": "CAST(at AS DATE)"}},
        standardize("x"),
    ]
    split = {"by": "time", "column": "day", "starts": {"test": "2024-01-02"}}
    assert resolved(steps, split=split).split_index == 2
    assert resolved(steps[:2], split=split).split_index == 2
    with pytest.raises(PipelineError, match="'day', which is not there before the first step that learns"):
        resolved([standardize("x"), *steps], split=split)


@pytest.mark.parametrize(
    ("steps", "where", "words"),
    [
        ([mean("x"), {"Clip": {"columns": ["xx"], "lower": 0}}], "step 2 Clip(xx)", "reads 'xx'"),
        ([{"Standardize": {"columns": ["c"]}}], "step 1 Standardize(c)", "got String in column 'c'"),
        ([{"Derive": {"z": "nothing + 1"}}], "step 1 Derive(z)", "'nothing'"),
        ([{"Filter": {"where": "x + 1"}}], "step 1", "gives Boolean, got Float64"),
        ([{"LookupJoin": {"table": "t", "on": "c"}}], "step 1", "the source has no table 't'"),
        ([{"Drop": {"columns": ["c"]}}, {"Categorify": {"columns": ["c"]}}], "step 2 Categorify(c)", "reads 'c'"),
        ([{"Drop": {"columns": ["y"]}}], "target", "target 'y' is not among the columns"),
    ],
)
def test_a_step_that_does_not_fit_is_named(steps: list[Any], where: str, words: str) -> None:
    with pytest.raises(PipelineError) as problem:
        resolved(steps)
    assert words in problem.value.message
    assert where in problem.value.where


def test_features_are_all_numbers_but_target_split_key_and_kept_ones() -> None:
    found = resolved([mean("x"), {"Categorify": {"columns": ["c"]}}], key="id", output={"keep": ["at"]})
    assert found.features == ("x", "c")
    assert found.published == ("y", "x", "c", "at")
    assert found.output == {"y": pl.Int64, "x": pl.Float64, "c": pl.Int32, "at": pl.Datetime("us")}


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ({"features": ["x", "z"]}, "'z' not among the columns"),
        ({"features": ["x", "y"]}, "y cannot be a feature and the target"),
        ({"keep": ["z"]}, "output.keep 'z' is not among the columns"),
        ({"keep": ["x"]}, "there is no feature to publish"),
    ],
)
def test_outputs_that_do_not_fit_are_refused(output: dict[str, Any], words: str) -> None:
    with pytest.raises(PipelineError, match=words):
        resolved([], output=output)


def test_a_column_that_is_not_there_is_answered_with_those_like_it() -> None:
    with pytest.raises(PipelineError) as problem:
        resolved([{"Derive": {"returned": "y"}}], target="returnd")
    assert problem.value.hint == "did you mean returned?"


def test_a_selector_matches_neither_target_nor_key_nor_split() -> None:
    found = resolved([standardize("x"), {"Clip": {"columns": "numeric", "lower": 0}}], key="id")
    assert found.steps[-1].step.reads == ("x",)


def test_ids_keep_their_meaning_under_another_name_and_type_and_lose_it_with_other_values() -> None:
    def ids(*more: Any) -> dict[str, int]:
        steps = [{"Categorify": {"columns": ["c"], "vocabulary": ["a", "b"]}}, *more]
        found = resolved(steps, output={"features": ["c" if not more or "Rename" not in more[0] else "k"]})
        forms: tuple[Transform, ...] = tuple(s.form for s in found.steps)
        return {name: known.cardinality for name, known in all_ids(forms, found.published).items()}

    assert ids() == {"c": 5}
    assert ids({"Rename": {"names": {"c": "k"}}}) == {"k": 5}
    assert ids({"Cast": {"columns": ["c"], "dtype": "Int64"}}) == {"c": 5}
    assert ids({"Cast": {"columns": ["c"], "dtype": "Float32"}}) == {}
    assert ids({"Derive": {"c": "c + 1"}}) == {}


def test_a_join_may_bring_a_name_that_a_waiting_step_will_have_dropped() -> None:
    table = Table(pl.DataFrame({"c": ["a"], "x": [1.0]}))
    steps = [
        standardize("x"),
        {"Rename": {"names": {"x": "old"}}},
        {"LookupJoin": {"table": "t", "on": "c"}},
        mean("x"),
    ]
    found = resolved(steps, tables={"t": table})
    assert [(s.stage, s.pass_number) for s in found.steps] == [(1, 0), (1, None), (0, None), (1, 0)]
    assert columns_read(found, 0) == ("id", "x", "c")
