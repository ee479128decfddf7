"""OneHot against literals and scikit-learn."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError
from sklearn.preprocessing import OneHotEncoder
from tests.transforms.fitting import applied, gpu_gaps, learned, saved_and_loaded, transformed

from headrace.engines.cpu import CpuEngine
from headrace.engines.translation import available
from headrace.schemas.errors import DataError, PipelineError
from headrace.transforms.onehot import OneHot

FRAME = pl.DataFrame({"x": ["b", "a", None, "b", "c"], "n": [7, 2**53, 2**53 + 1, None, 7]})


def flags(step: OneHot, frame: pl.DataFrame, train: pl.DataFrame | None = None) -> dict[str, list[int]]:
    got = transformed(step, frame, train).drop(frame.columns)
    assert set(got.dtypes) == {pl.UInt8()}
    return got.to_dict(as_series=False)


def test_given_values_name_their_columns_in_their_order() -> None:
    step = OneHot(columns=["x"], values=["c", "b"])
    assert step.measured == ()
    assert flags(step, FRAME) == {"x_c": [0, 0, 0, 0, 1], "x_b": [1, 0, 0, 1, 0]}
    assert list(flags(step, FRAME)) == ["x_c", "x_b"]


def test_learned_values_by_count_then_value_in_a_known_number_of_columns() -> None:
    assert flags(OneHot(columns=["x"], max_values=4), FRAME) == {
        "x_top1": [1, 0, 0, 1, 0],  # b
        "x_top2": [0, 1, 0, 0, 0],  # a
        "x_top3": [0, 0, 0, 0, 1],  # c
        "x_top4": [0, 0, 0, 0, 0],
    }
    (fitted,) = learned(OneHot(columns=["x"], max_values=4), FRAME)
    assert fitted.values == ("b", "a", "c")  # type: ignore[attr-defined]


def test_null_and_other_values_may_have_columns_of_their_own() -> None:
    step = OneHot(columns="x", values=["b"], nulls="own", others="own", output="{value}/{column}")
    assert flags(step, FRAME) == {"b/x": [1, 0, 0, 1, 0], "null/x": [0, 0, 1, 0, 0], "other/x": [0, 1, 0, 0, 1]}
    learned_step = OneHot(columns="x", max_values=3, others="own")
    new = pl.DataFrame({"x": ["new", None, "a"]})
    got = flags(learned_step, new, train=FRAME.select("x"))
    assert got == {"x_top1": [0, 0, 0], "x_top2": [0, 0, 1], "x_top3": [0, 0, 0], "x_other": [1, 0, 0]}


def test_each_row_has_exactly_one_1_where_null_and_others_have_columns() -> None:
    got = transformed(OneHot(columns="x", values=["a", "c"], nulls="own", others="own"), FRAME).drop("x", "n")
    assert got.sum_horizontal().to_list() == [1] * 5


@pytest.mark.parametrize(
    ("values", "dtype", "given", "names", "first"),
    [
        ([7, None, -1], pl.Int8, [-1, 7], ["x_-1", "x_7"], [0, 0, 1]),
        ([2**53 + 1, 2**53, None], pl.Int64, [2**53, 2**53 + 1], [f"x_{2**53}", f"x_{2**53 + 1}"], [0, 1, 0]),
        ([2**64 - 1, 0, None], pl.UInt64, [2**64 - 1], [f"x_{2**64 - 1}"], [1, 0, 0]),
        ([True, None, False], pl.Boolean, [False, True], ["x_false", "x_true"], [0, 0, 1]),
        ([date(2020, 1, 31), None], pl.Date, [date(2020, 1, 31)], ["x_2020-01-31"], [1, 0]),
        (["", None, "é"], pl.String, ["", "é"], ["x_", "x_é"], [1, 0, 0]),
    ],
)
def test_values_of_every_type(values: Any, dtype: Any, given: Any, names: list[str], first: list[int]) -> None:
    frame = pl.DataFrame({"x": pl.Series(values, dtype=dtype)})
    got = flags(OneHot(columns="x", values=given), frame)
    assert list(got) == names
    assert got[names[0]] == first
    assert sum(map(sum, flags(OneHot(columns="x", max_values=5), frame).values())) == len(values) - 1


def test_it_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(5)
    train, new = (pl.DataFrame({"x": [f"v{n}" for n in rng.integers(0, k, 300)]}) for k in (9, 12))
    values = train["x"].unique().sort().to_list()
    twin = OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.uint8, categories=[values])
    twin.fit(train.to_numpy())
    got = transformed(OneHot(columns="x", values=values), new).drop("x")
    np.testing.assert_array_equal(got.to_numpy(), twin.transform(new.to_numpy()))
    # the same columns in the order of counts
    order = train["x"].value_counts().sort(["count", "x"], descending=[True, False])["x"].to_list()
    ranked = transformed(OneHot(columns="x", max_values=9), new, train=train).drop("x")
    np.testing.assert_array_equal(ranked.to_numpy(), got.select(f"x_{v}" for v in order).to_numpy())


def test_more_values_than_max_values_are_an_error_that_says_how_many() -> None:
    with pytest.raises(DataError) as caught:
        learned(OneHot(columns="x", max_values=2), FRAME)
    assert caught.value.message == "OneHot: column 'x' has 3 values in the training rows, expected at most max_values=2"
    assert "DropRare" in caught.value.hint


def test_every_column_learns_values_of_its_own() -> None:
    step = OneHot(columns=["x", "n"], max_values=3)
    parts = step.resolve(FRAME.schema).separate()
    assert [p.writes for p in parts] == [("x_top1", "x_top2", "x_top3"), ("n_top1", "n_top2", "n_top3")]
    assert transformed(step, FRAME)["n_top1"].to_list() == [1, 0, 0, 0, 1]
    with pytest.raises(PipelineError, match=r"OneHot of 2 columns .*separate"):
        step.measure(FRAME.lazy(), CpuEngine())


def test_neither_partitions_nor_the_order_of_rows_show() -> None:
    step = OneHot(columns="x", max_values=3)
    expected = learned(step, FRAME)
    assert all(learned(step, FRAME, cuts=cuts) == expected for cuts in [(1,), (1, 2, 3, 4), (0, 0, 5)])
    assert learned(step, FRAME.reverse()) == expected


def test_nothing_to_learn_from() -> None:
    for frame in (pl.DataFrame(schema={"x": pl.String}), pl.DataFrame({"x": [None]}, schema={"x": pl.String})):
        got = flags(OneHot(columns="x", max_values=1, others="own"), pl.DataFrame({"x": ["a", None]}), train=frame)
        assert got == {"x_top1": [0, 0], "x_other": [1, 0]}


def test_every_result_is_made_of_the_column_even_before_there_are_values() -> None:
    schema = pl.Schema({"other": pl.Int64(), "x": pl.String()})
    (fitted,) = learned(OneHot(columns="x", max_values=2, nulls="own", others="own"), pl.DataFrame(schema=schema))
    for name in ("x_top1", "x_top2", "x_null", "x_other"):
        query = fitted.apply(pl.LazyFrame(schema=schema), CpuEngine()).select(name)
        assert 'PROJECT["x"]' in query.explain()


@pytest.mark.parametrize("fields", [{"values": ("2020-01-31", "a")}, {"max_values": 3, "nulls": "own"}])
def test_saved_and_loaded(fields: dict[str, Any]) -> None:
    (fitted,) = learned(OneHot(columns="x", **fields), FRAME.select("x"))
    assert applied([saved_and_loaded(fitted)], FRAME).equals(applied([fitted], FRAME))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "needs either `values` or `max_values`"),
        ({"values": ["a"], "max_values": 3}, "needs either `values` or `max_values`"),
        ({"values": ["a", "a"]}, "values named twice: a"),
        ({"values": [True, "true"]}, "values named twice: true"),
        ({"values": ["a"], "output": "y"}, "write '{value}' in output"),
        ({"values": []}, "at least 1 item"),
        ({"max_values": 0}, "greater than or equal to 1"),
        ({"max_values": 1001}, "less than or equal to 1000"),
    ],
)
def test_fields_that_do_not_fit_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        OneHot(columns="x", **fields)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"columns": "f", "max_values": 2}, "OneHot takes a string, an integer, a boolean or a date, got Float64 in"),
        (
            {"columns": "n", "values": ["1"]},
            "OneHot: column 'n' (Int8) never holds '1': got '1', expected a whole number",
        ),
        ({"columns": "n", "values": [300]}, "OneHot: column 'n' (Int8) never holds 300: got 300"),
        ({"columns": "d", "values": ["2020-01-31", "20200131"]}, "two values are the same to column 'd' (Date)"),
        ({"columns": "x", "values": ["y"]}, "OneHot would write 'x_y', which the rows already have"),
        ({"columns": "x", "values": ["null"], "nulls": "own"}, "would write column 'x_null' more than once"),
        ({"columns": ["x", "x_y"], "values": ["y_z", "z"]}, "would write column 'x_y_z' more than once"),
    ],
)
def test_columns_values_and_names_that_do_not_fit_are_refused_by_name(fields: dict[str, Any], words: str) -> None:
    schema = {"f": pl.Float64(), "n": pl.Int8(), "d": pl.Date(), "x": pl.String(), "x_y": pl.String()}
    with pytest.raises(PipelineError) as caught:
        OneHot(**fields).resolve(pl.Schema(schema))
    assert words in caught.value.message


@pytest.mark.skipif(not available(), reason="needs cudf-polars")
def test_runs_on_the_gpu_whole() -> None:
    assert gpu_gaps(OneHot(columns=["x", "n"], max_values=5, nulls="own", others="own"), FRAME) == ([], set())
