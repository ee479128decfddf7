from __future__ import annotations

import json
from datetime import date
from typing import Any

import polars as pl
import pytest
import xxhash
from pydantic import ValidationError
from tests.transforms.fitting import applied, gpu_gaps, learned, saved_and_loaded, transformed

from headrace.engines.translation import available
from headrace.schemas.errors import PipelineError
from headrace.transforms.categorified import Categorified
from headrace.transforms.categorify import Categorify

FRAME = pl.DataFrame({"x": ["b", "a", None, "b", "c", "a", "d"], "y": ["a", "b", "b", "b", None, "q", "q"]})


def only(step: Categorify, frame: pl.DataFrame, **how: Any) -> Categorified:
    (fitted,) = learned(step, frame, **how)
    assert isinstance(fitted, Categorified)
    return fitted


def test_ids_by_count_then_value() -> None:
    result = transformed(Categorify(columns=["x"]), FRAME)["x"]
    assert result.dtype == pl.Int32
    # a and b twice, then c and d: 3, 4, 5, 6
    assert result.to_list() == [4, 3, 1, 4, 5, 3, 6]


def test_rare_and_new_values_are_out_of_vocabulary() -> None:
    fitted = only(Categorify(columns=["x"], min_count=2), FRAME)
    new = pl.DataFrame({"x": ["a", "b", "c", "new", "", None]})
    assert applied([fitted], new)["x"].to_list() == [3, 4, 2, 2, 2, 1]
    assert fitted.cardinality == 5
    assert fitted.decode.to_dict(as_series=False) == {"id": [3, 4], "value": ["a", "b"], "count": [2, 2]}
    ids = fitted.ids["x"]
    assert (ids.cardinality, ids.pad_id, ids.null_id, ids.oov_ids) == (5, 0, 1, (2,))


def test_max_size_keeps_the_most_frequent() -> None:
    assert only(Categorify(columns=["x"], max_size=1), FRAME).decode["value"].to_list() == ["a"]
    assert only(Categorify(columns=["x"], max_size=0), FRAME).cardinality == 3


def test_buckets_out_of_vocabulary_by_hash() -> None:
    fitted = only(Categorify(columns=["x"], min_count=2, oov_buckets=10), FRAME)
    texts = ["c", "d", "e", "žluť"]
    got = applied([fitted], pl.DataFrame({"x": [*texts, None, "a"]}))["x"].to_list()
    assert got == [*(2 + xxhash.xxh64_intdigest(t.encode()) % 10 for t in texts), 1, 12]
    assert fitted.ids["x"].oov_ids == tuple(range(2, 12))


def test_every_column_has_its_own_vocabulary_and_part() -> None:
    parts = Categorify(columns=["x", "y"], output="{column}_id").resolve(FRAME.schema).separate()
    assert [p.writes for p in parts] == [("x_id",), ("y_id",)]
    result = transformed(Categorify(columns=["x", "y"], output="{column}_id"), FRAME)
    assert result["x_id"].to_list() == [4, 3, 1, 4, 5, 3, 6]
    assert result["y_id"].to_list() == [5, 3, 3, 3, 1, 4, 4]
    assert result["x"].to_list() == FRAME["x"].to_list()


def test_several_vocabularies_cannot_be_measured_as_one() -> None:
    with pytest.raises(PipelineError, match="separate"):
        Categorify(columns=["x", "y"]).measure(FRAME.lazy(), None)  # type: ignore[arg-type]


def test_joint_columns_share_their_ids() -> None:
    result = transformed(Categorify(columns=["x", "y"], joint=True), FRAME)
    # b 5 times, a 3, q 2, c 1, d 1
    assert result["x"].to_list() == [3, 4, 1, 3, 6, 4, 7]
    assert result["y"].to_list() == [4, 3, 3, 3, 1, 5, 5]


def test_combinations() -> None:
    frame = pl.DataFrame({"x": ["a", "a", "b", None, "a"], "n": [1, 1, 1, 1, 2]})
    fitted = only(Categorify(columns=["x", "n"], combo=True, output="xn"), frame)
    assert applied([fitted], frame)["xn"].to_list() == [3, 3, 5, 1, 4]
    assert fitted.decode.to_dict(as_series=False) == {
        "id": [3, 4, 5],
        "x": ["a", "a", "b"],
        "n": [1, 2, 1],
        "count": [2, 1, 1],
    }
    assert applied([fitted], pl.DataFrame({"x": ["b"], "n": [2]}))["xn"].to_list() == [2]


def test_a_given_vocabulary_needs_no_data() -> None:
    step = Categorify(columns=["x"], vocabulary=("b", "q"))
    assert step.measured == ()
    fitted = step.learn(pl.DataFrame())
    assert applied([fitted], FRAME)["x"].to_list() == [3, 2, 1, 3, 2, 2, 2]


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([2**53 + 1, 2**53, None, 2**53 + 1], dtype=pl.Int64),
        pl.Series([7, -1, None, 7], dtype=pl.Int8),
        pl.Series([2**64 - 1, 2**64 - 2, None, 2**64 - 1], dtype=pl.UInt64),
        pl.Series([True, False, None, True]),
        pl.Series([date(2020, 1, 2), date(2020, 1, 1), None, date(2020, 1, 2)]),
    ],
)
@pytest.mark.parametrize("buckets", [1, 5])
def test_values_keep_their_type(values: pl.Series, buckets: int) -> None:
    fitted = only(Categorify(columns=["x"], oov_buckets=buckets), pl.DataFrame({"x": values}))
    assert fitted.vocabulary.frame.schema["value"] == values.dtype
    first = 2 + buckets
    assert applied([fitted], pl.DataFrame({"x": values}))["x"].to_list() == [first, first + 1, 1, first]
    assert fitted.decode["value"].to_list() == [values[0], values[1]]


def test_rows_may_come_with_wider_integers_than_the_vocabulary() -> None:
    fitted = only(Categorify(columns=["x"], oov_buckets=3), pl.DataFrame({"x": pl.Series([7, 7, 1], dtype=pl.Int8)}))
    wide = applied([fitted], pl.DataFrame({"x": [7, 1, 1000, None]}))["x"].to_list()
    expected = 2 + xxhash.xxh64_intdigest((1000).to_bytes(8, "little")) % 3
    assert wide == [5, 6, expected, 1]


def test_nothing_to_learn_from() -> None:
    for frame in (pl.DataFrame(schema={"x": pl.String}), pl.DataFrame({"x": pl.Series([None, None], dtype=pl.String)})):
        fitted = only(Categorify(columns=["x"]), frame)
        assert fitted.cardinality == 3
        assert applied([fitted], pl.DataFrame({"x": ["a", None]}))["x"].to_list() == [2, 1]
    assert Categorify(columns=["x"]).learn(pl.DataFrame()) == fitted


@pytest.mark.parametrize("cuts", [(1,), (3,), (1, 2, 3, 4, 5, 6), (0, 0, 7)])
def test_partitions_do_not_show(cuts: tuple[int, ...]) -> None:
    for step in (Categorify(columns=["x"]), Categorify(columns=["x", "y"], combo=True, output="z")):
        assert only(step, FRAME, cuts=cuts) == only(step, FRAME)


def test_the_order_of_rows_does_not_show() -> None:
    assert only(Categorify(columns=["x"]), FRAME.reverse()) == only(Categorify(columns=["x"]), FRAME)


def test_saved_and_loaded() -> None:
    for step in (
        Categorify(columns=["x"], vocabulary=(date(2020, 1, 1), date(2019, 1, 1))),
        Categorify(columns=["x"], vocabulary=("2020-01-01", "b")),
        Categorify(columns=["x", "y"], joint=True, min_count=3, max_size=10, oov_buckets=4),
    ):
        assert Categorify.model_validate(json.loads(step.model_dump_json())) == step
    fitted = saved_and_loaded(only(Categorify(columns=["x"]), FRAME))
    assert applied([fitted], FRAME)["x"].to_list() == [4, 3, 1, 4, 5, 3, 6]


@pytest.mark.parametrize(
    "fields",
    [
        {"columns": ["x", "y"], "joint": True, "combo": True, "output": "z"},
        {"columns": ["x", "y"], "combo": True},
        {"columns": ["x", "y"], "output": "z"},
        {"columns": "string", "output": "z"},
        {"columns": ["x"], "vocabulary": ["a"], "min_count": 2},
        {"columns": ["x"], "vocabulary": ["a", "a"]},
        {"columns": ["x"], "vocabulary": ["a", 1]},
        {"columns": ["x"], "min_count": 0},
        {"columns": ["x"], "oov_buckets": 0},
    ],
)
def test_fields_that_do_not_fit(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Categorify(**fields)


def test_columns_that_do_not_fit() -> None:
    with pytest.raises(PipelineError, match="got Float64 in column 'f'"):
        Categorify(columns=["f"]).resolve(pl.Schema({"f": pl.Float64()}))
    with pytest.raises(PipelineError, match="one dtype"):
        Categorify(columns=["a", "b"], joint=True).resolve(pl.Schema({"a": pl.Int64(), "b": pl.String()}))
    with pytest.raises(PipelineError, match="the vocabulary holds String, column 'a' Int64"):
        Categorify(columns=["a"], vocabulary=("1",)).resolve(pl.Schema({"a": pl.Int64()}))


@pytest.mark.skipif(not available(), reason="needs cudf-polars")
@pytest.mark.parametrize(
    ("fields", "kernels"),
    [
        ({"columns": ["x", "y"]}, {"lookup"}),
        ({"columns": ["x", "y"], "joint": True, "oov_buckets": 3}, {"lookup", "hash64"}),
        ({"columns": ["x", "y"], "combo": True, "output": "z"}, {"lookup"}),
    ],
)
def test_runs_on_the_gpu_but_for_the_kernels(fields: dict[str, Any], kernels: set[str]) -> None:
    assert gpu_gaps(Categorify(**fields), FRAME) == ([], kernels)


@pytest.mark.parametrize("values", [[3, None], [True, None], [date(2020, 1, 1), None], ["x", None]])
def test_an_empty_vocabulary_hashes_values_of_every_type(values: list[Any]) -> None:
    step = Categorify(columns="x", vocabulary=(), oov_buckets=4)
    ids = transformed(step, pl.DataFrame({"x": values}))["x"].to_list()
    assert ids[0] in range(2, 6)
    assert ids[1] == 1
