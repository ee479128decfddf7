"""Every step that takes lists element by element, against literals; and what such a step is in a pipeline."""

from __future__ import annotations

import json
import math
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_series_equal
from tests.pipelines.own_operators import Double
from tests.transforms.fitting import applied, gpu_gaps, learned

from headrace.engines.translation import available
from headrace.schemas.errors import PipelineError
from headrace.testing.subject import fit
from headrace.transforms.base import Learner, Operator, Transform, describe, to_plain
from headrace.transforms.categorify import Categorify
from headrace.transforms.elements import FromElements, OnElements, elements_of, inside, parts
from headrace.transforms.hashing import HashBucket
from headrace.transforms.numeric import Clip
from headrace.transforms.registry import OPERATORS, named_operators, operator_from_plain
from headrace.transforms.rows import Filter
from headrace.transforms.scale import Standardize
from headrace.transforms.table import TableFolder

NAN = math.nan
SCHEMA = pl.Schema({"n": pl.List(pl.Int64), "f": pl.List(pl.Float64), "t": pl.List(pl.String), "d": pl.List(pl.Date)})
FRAME = pl.DataFrame(
    {
        "n": [[1, None, 3], [], None, [None], [3]],
        "f": [[0.0, NAN, 4.0], [], None, [None], [8.0]],
        "t": [["a", None, "B "], [], None, [None], ["a"]],
        "d": [[date(1970, 1, 2), None], [], None, [None], [date(1969, 12, 31)]],
    },
    schema=SCHEMA,
)


def step_of(name: str, **fields: Any) -> Any:
    return OPERATORS[name](**fields)


def transformed(step: Operator, frame: pl.DataFrame) -> pl.DataFrame:
    """Learned from the frame, a unit of the first two rows and one of the others, and applied to it."""
    return applied([fit(part, [frame[:2], frame[2:]], [1]) for part in parts(step, frame.schema)], frame)


@pytest.mark.parametrize(
    ("name", "fields", "element", "expected"),
    [
        ("Clip", {"columns": "n", "upper": 2}, pl.Int64, [[1, None, 2], [], None, [None], [2]]),
        ("Log1p", {"columns": "f"}, pl.Float32, [[0.0, NAN, math.log(5)], [], None, [None], [math.log(9)]]),
        ("Sqrt", {"columns": "f"}, pl.Float32, [[0.0, NAN, 2.0], [], None, [None], [8**0.5]]),
        ("Power", {"columns": "n", "exponent": 2}, pl.Float32, [[1.0, None, 9.0], [], None, [None], [9.0]]),
        ("Bucketize", {"columns": "f", "boundaries": [1, 8]}, pl.Int32, [[0, None, 1], [], None, [None], [2]]),
        (
            "Bucketize",
            {"columns": "f", "boundaries": [1], "nulls": "own"},
            pl.Int32,
            [[0, 2, 1], [], None, [2], [1]],
        ),
        ("Cast", {"columns": "n", "dtype": "String"}, pl.String, [["1", None, "3"], [], None, [None], ["3"]]),
        ("Cast", {"columns": "d", "dtype": "Int32"}, pl.Int32, [[1, None], [], None, [None], [-1]]),
        ("Lower", {"columns": "t"}, pl.String, [["a", None, "b "], [], None, [None], ["a"]]),
        ("Strip", {"columns": "t"}, pl.String, [["a", None, "B"], [], None, [None], ["a"]]),
        (
            "Replace",
            {"columns": "t", "old": "a", "new": "aa"},
            pl.String,
            [["aa", None, "B "], [], None, [None], ["aa"]],
        ),
        (
            "Extract",
            {"columns": "t", "pattern": "^([A-Z])"},
            pl.String,
            [[None, None, "B"], [], None, [None], [None]],
        ),
        ("FillNull", {"columns": "t", "value": "?"}, pl.String, [["a", "?", "B "], [], None, ["?"], ["a"]]),
        (
            "FillNull",
            {"columns": "d", "value": "2020-01-31"},
            pl.Date,
            [[date(1970, 1, 2), date(2020, 1, 31)], [], None, [date(2020, 1, 31)], [date(1969, 12, 31)]],
        ),
        # Three elements: 1, 3 and 3.
        (
            "FillNull",
            {"columns": "n", "statistic": "mean"},
            pl.Float64,
            [[1.0, 7 / 3, 3.0], [], None, [7 / 3], [3.0]],
        ),
        ("FillNull", {"columns": "n", "statistic": "median"}, pl.Float64, [[1.0, 3.0, 3.0], [], None, [3.0], [3.0]]),
        ("FillNull", {"columns": "t", "statistic": "mode"}, pl.String, [["a", "a", "B "], [], None, ["a"], ["a"]]),
        # Three numbers: 0, 4 and 8, of mean 4 and variance 32/3.
        (
            "Standardize",
            {"columns": "f"},
            pl.Float32,
            [[-((3 / 2) ** 0.5), NAN, 0.0], [], None, [None], [(3 / 2) ** 0.5]],
        ),
        ("MinMax", {"columns": "f"}, pl.Float32, [[0.0, NAN, 0.5], [], None, [None], [1.0]]),
        ("RobustScale", {"columns": "f"}, pl.Float32, [[-0.5, NAN, 0.0], [], None, [None], [0.5]]),
        (
            "ClipQuantile",
            {"columns": "f", "lower": 0.4, "upper": 0.6},
            pl.Float64,
            [[4.0, NAN, 4.0], [], None, [None], [4.0]],
        ),
        ("QuantileBucketize", {"columns": "f", "n": 2}, pl.Int32, [[0, None, 1], [], None, [None], [1]]),
        ("Categorify", {"columns": "t"}, pl.Int32, [[3, 1, 4], [], None, [1], [3]]),
        ("Categorify", {"columns": "t", "min_count": 2}, pl.Int32, [[3, 1, 2], [], None, [1], [3]]),
        ("Categorify", {"columns": "n", "vocabulary": [3]}, pl.Int32, [[2, 1, 3], [], None, [1], [3]]),
        ("DropRare", {"columns": "t", "min_count": 2}, pl.String, [["a", None, None], [], None, [None], ["a"]]),
        (
            "DropRare",
            {"columns": "n", "min_share": 0.5, "value": 0},
            pl.Int64,
            [[0, None, 3], [], None, [None], [3]],
        ),
        (
            "FrequencyEncode",
            {"columns": "t", "output": "{column}"},
            pl.Int64,
            [[2, 0, 1], [], None, [0], [2]],
        ),
        (
            "FrequencyEncode",
            {"columns": "n", "output": "{column}", "statistic": "share"},
            pl.Float32,
            [[1 / 3, 0.0, 2 / 3], [], None, [0.0], [2 / 3]],
        ),
    ],
)
def test_elements_become_what_values_become(
    name: str, fields: dict[str, Any], element: Any, expected: list[Any]
) -> None:
    got = transformed(step_of(name, **fields), FRAME)
    assert got.columns == FRAME.columns
    column = fields["columns"]
    assert_series_equal(got[column], pl.Series(column, expected, dtype=pl.List(element)), rel_tol=1e-7)
    others = [c for c in FRAME.columns if c != column]
    assert got.select(others).equals(FRAME.select(others))


def test_every_elementwise_operator_is_tried_above_or_elsewhere() -> None:
    elsewhere = {"HashBucket", "QuantileTransform", "PowerTransform", "TimeZone", "ReduceDtypes"}
    mark = next(m for m in test_elements_become_what_values_become.pytestmark if m.name == "parametrize")  # type: ignore[attr-defined]
    assert {case[0] for case in mark.args[1]} | elsewhere == {n for n, kind in OPERATORS.items() if kind.elementwise}


def test_elements_hash_as_values_do() -> None:
    flat = pl.DataFrame({"t": ["a", None, "B ", None, "a"]})
    expected = transformed(HashBucket(columns="t", n=1000), flat)["t"].to_list()
    lists = transformed(HashBucket(columns="t", n=1000), FRAME)["t"].to_list()
    assert lists == [expected[:3], [], None, expected[3:4], expected[4:]]


@pytest.mark.parametrize(
    "step", [step_of("QuantileTransform", columns=["x"], n=3), step_of("PowerTransform", columns=["x"])]
)
def test_elements_count_as_rows_where_a_step_learns(step: Learner) -> None:
    flat = pl.DataFrame({"x": [0.0, NAN, 4.0, None, 8.0]})
    lists = FRAME.select(x="f")
    expected = transformed(step, flat)["x"].to_list()
    got = transformed(step, lists)["x"].to_list()
    assert got[1:3] == [[], None]
    assert str(got[0] + got[3] + got[4]) == str(expected)  # NaN is NaN


def test_the_mask_of_filled_nulls_is_a_list() -> None:
    got = transformed(step_of("FillNull", columns=["t", "n"], value=0, mask=True), FRAME.drop("t").with_columns(t="n"))
    assert got.schema["t_isnull"] == pl.List(pl.UInt8)
    assert got["t_isnull"].to_list() == [[0, 1, 0], [], None, [1], [0]]
    assert got["t"].to_list() == got["n"].to_list() == [[1, 0, 3], [], None, [0], [3]]


def test_lists_without_elements_count_for_nothing() -> None:
    """Exploded, they would be nulls: a learner that counts rows would count them."""
    frame = pl.DataFrame({"x": [[], None, [None, 1.0], []]}, schema={"x": pl.List(pl.Float64)})
    from headrace.engines.cpu import CpuEngine

    assert elements_of(frame.lazy(), "x", CpuEngine()).collect()["x"].to_list() == [None, 1.0]


def test_a_step_falls_into_its_flat_columns_and_each_of_lists() -> None:
    schema = pl.Schema({"a": pl.List(pl.Int64), "b": pl.Int64, "c": pl.Float64, "d": pl.List(pl.Float32)})
    clips = parts(Clip(columns=["a", "b", "c", "d"], lower=0), schema)
    assert [(type(p), p.reads) for p in clips] == [(Clip, ("b", "c")), (OnElements, ("a",)), (OnElements, ("d",))]
    scaled = parts(Standardize(columns=["d", "b", "a"], output="{column}_z"), schema)
    assert [(type(p), p.writes) for p in scaled] == [
        (Standardize, ("b_z",)), (FromElements, ("d_z",)), (FromElements, ("a_z",))
    ]  # fmt: skip
    assert parts(Clip(columns=["b"], lower=0), schema) == (Clip(columns=["b"], lower=0),)


def test_one_vocabulary_over_lists_and_flat_columns() -> None:
    frame = FRAME.select("t", flat=pl.Series(["c", "a", None, "c", "c"]))
    joint = Categorify(columns=["t", "flat"], joint=True, output="{column}_id")
    (step,) = learned(joint, frame, cuts=(2, 3))
    assert isinstance(step, OnElements)
    got = applied([step], frame)
    # a and c occur three times each, "B " once.
    assert got["t_id"].to_list() == [[3, 1, 5], [], None, [1], [3]]
    assert got["flat_id"].to_list() == [4, 3, 1, 4, 4]
    assert {name: ids.cardinality for name, ids in step.ids.items()} == {"t_id": 6, "flat_id": 6}


def test_it_goes_by_the_name_of_the_step() -> None:
    step = OnElements(step=Clip(columns=["n"], lower=0))
    assert (describe(step), step.reads, step.writes, step.drops, step.serves_from) == (
        "Clip(n)",
        ("n",),
        ("n",),
        (),
        ("n",),
    )
    learner = FromElements(step=Standardize(columns=["n"]))
    assert (describe(learner), learner.measured, learner.by_unit) == ("Standardize(n)", ("n",), True)
    assert inside(step) == Clip(columns=["n"], lower=0)
    assert inside(inside(step)) == inside(step)


@pytest.mark.parametrize("cuts", [(1,), (1, 2, 3), (0, 4, 5)])
@pytest.mark.parametrize("name", ["Categorify", "DropRare"])
def test_what_is_learned_does_not_depend_on_the_partitions(name: str, cuts: tuple[int, ...]) -> None:
    step = step_of(name, columns="t", min_count=2)
    assert learned(step, FRAME, cuts) == learned(step, FRAME)


def test_it_is_saved_with_the_tables_of_its_step(tmp_path: Path) -> None:
    (step,) = learned(Categorify(columns=["t"]), FRAME)
    plain = json.loads(json.dumps(to_plain(step, TableFolder(tmp_path, "tables"))))
    assert list(plain) == ["OnElements"]
    assert list(plain["OnElements"]["step"]) == ["Categorified"]
    loaded = operator_from_plain(plain, TableFolder(tmp_path))
    assert isinstance(loaded, Transform)
    assert loaded == step
    assert applied([loaded], FRAME).equals(applied([step], FRAME))


def test_own_operators_are_named_by_import_path_and_only_where_they_are_allowed() -> None:
    step = OnElements(step=Double(column="n"))
    plain = to_plain(step)
    path = "tests.pipelines.own_operators:Double"
    assert plain == {"OnElements": {"step": {path: {"column": "n"}}}}
    assert named_operators(plain) == ("OnElements", path)
    with pytest.raises(PipelineError, match="in a module that may not be imported"):
        operator_from_plain(plain)
    assert operator_from_plain(plain, allowed=["tests.pipelines.own_operators"]) == step
    assert applied([step], FRAME)["n"].to_list() == [[2, None, 6], [], None, [None], [6]]


@pytest.mark.parametrize(
    ("declared", "schema", "message", "hint"),
    [
        (
            Clip(columns="x", lower=0),
            {"x": pl.List(pl.String)},
            r"Clip takes an integer or a float, or lists of such, got List\(String\) in column 'x'",
            "lists are taken one level deep",
        ),
        (
            Clip(columns="x", lower=0),
            {"x": pl.List(pl.List(pl.Int64))},
            r"got List\(List\(Int64\)\) in column 'x'",
            "lists are taken one level deep, of values",
        ),
        (
            step_of("Cast", columns="x", dtype="Int32"),
            {"x": pl.List(pl.List(pl.Int64))},
            r"Cast takes any type, or lists of such, got List\(List\(Int64\)\)",
            "lists are taken one level deep, of values",
        ),
        (
            Clip(columns="x", lower=0),
            {"x": pl.Array(pl.Int64, 2)},
            r"got Array\(Int64, shape=\(2,\)\) in column 'x'",
            r"pl.col('x').arr.to_list() in a Derive makes a list of it",
        ),
        (
            Clip(columns="x", lower=0.5),
            {"x": pl.List(pl.Int64)},
            r"Clip\(lower=0.5\) does not fit column 'x' \(Int64\)",
            "",
        ),
        (
            Categorify(columns=["x", "y"], combo=True, output="pair"),
            {"x": pl.List(pl.Int64), "y": pl.Int64},
            "Categorify makes one value of 2 columns; 'x' has lists, of any length each",
            "",
        ),
        (
            Categorify(columns=["x", "y"], joint=True),
            {"x": pl.List(pl.Int64), "y": pl.String},
            "columns of a joint vocabulary must be of one dtype",
            "got x: Int64, y: String",
        ),
        (
            Standardize(columns=["x", "x_z"], output="{column}_z"),
            {"x": pl.List(pl.Int64), "x_z": pl.List(pl.Int64)},
            "Standardize would write over column 'x_z' before it is read",
            "in `output`",
        ),
    ],
)
def test_lists_that_a_step_does_not_take(declared: Any, schema: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(PipelineError, match=message) as caught:
        parts(declared, pl.Schema(schema))
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("name", "fields", "hint"),
    [
        ("HashCross", {"columns": ["t", "u"], "n": 9, "output": "c"}, "ListAgg and ListLength"),
        ("OneHot", {"columns": ["t"], "values": ["a"]}, "MultiHot has a column for each value that a list may hold"),
        ("TargetEncode", {"columns": ["t"], "target": "u", "fold_on": ["u"]}, "ListAgg and ListLength"),
        ("GroupStats", {"by": ["t"], "statistics": ["count"]}, "ListAgg and ListLength"),
        ("GroupStats", {"by": ["u"], "of": ["n"], "statistics": ["mean"]}, "ListAgg and ListLength"),
        ("DateParts", {"columns": ["d"], "parts": ["year"]}, "ListAgg and ListLength"),
        ("Cyclic", {"columns": ["n"], "period": 7}, "ListAgg and ListLength"),
        ("HashedNGrams", {"columns": ["t"], "n": 2, "buckets": 9}, "ListAgg and ListLength"),
    ],
)
def test_other_steps_refuse_lists_by_name_and_say_what_to_do(name: str, fields: dict[str, Any], hint: str) -> None:
    with pytest.raises(PipelineError, match=rf"^{name}.*List\(") as caught:
        parts(step_of(name, **fields), pl.Schema({**SCHEMA, "u": pl.Int64}))
    assert hint in caught.value.hint


def test_steps_that_drop_rows_do_not_take_elements() -> None:
    with pytest.raises(ValueError, match="Filter does not take values one by one"):
        OnElements(step=Filter(where="n > 1"))


@pytest.mark.skipif(not available(), reason="needs cudf-polars")
def test_the_gpu_engine_runs_it() -> None:
    assert gpu_gaps(Categorify(columns=["t"]), FRAME) == ([], {"elements", "lists", "lookup"})
    assert gpu_gaps(Clip(columns=["n"], lower=0), FRAME) == ([], {"elements"})
