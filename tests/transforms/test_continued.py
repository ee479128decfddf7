"""Categorify(previous=...): old ids stay, new values follow, and what does not fit is refused."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from headrace.engines.cpu import CpuEngine
from headrace.schemas.errors import PipelineError
from headrace.transforms.categorified import Categorified
from headrace.transforms.categorify import Categorify
from headrace.transforms.table import Table

OLD = pl.DataFrame({"value": ["b", "a", "z"], "count": [5, 3, 1]})


def learned(step: Categorify, frame: pl.DataFrame, known: pl.DataFrame | None = OLD) -> Categorified:
    found = step.resolve(frame.schema)
    if known is not None:
        found = found.continuing(Table(known), frame.schema)
    form = found.learn(found.measure(frame.lazy(), CpuEngine()).collect())
    assert isinstance(form, Categorified)
    return form


def ids(form: Categorified, frame: pl.DataFrame) -> list[int]:
    found: list[int] = form.apply(frame.lazy(), CpuEngine()).collect()[form.writes[0]].to_list()
    return found


def test_old_ids_stay_and_new_values_follow_by_count_then_value() -> None:
    rows = pl.DataFrame({"x": ["n", "n", "m", "m", "k", "a", "z", "z", None]})
    form = learned(Categorify(columns=["x"], previous="latest"), rows)
    assert form.decode.to_dict(as_series=False) == {
        "id": [3, 4, 5, 6, 7, 8],
        "value": ["b", "a", "z", "m", "n", "k"],
        "count": [5, 4, 3, 2, 2, 1],
    }
    assert ids(form, rows) == [7, 7, 6, 6, 8, 4, 5, 5, 1]


def test_counts_may_be_those_of_now() -> None:
    rows = pl.DataFrame({"x": ["a", "a", "n"]})
    form = learned(Categorify(columns=["x"], previous="7", previous_counts="replace"), rows)
    assert form.decode["count"].to_list() == [0, 2, 0, 1]


def test_only_new_values_have_to_be_frequent() -> None:
    rows = pl.DataFrame({"x": ["n", "n", "m", "a"]})
    assert learned(Categorify(columns=["x"], min_count=2, previous="7"), rows).decode["value"].to_list() == [
        *OLD["value"],
        "n",
    ]


def test_max_size_counts_old_values_too() -> None:
    rows = pl.DataFrame({"x": ["n", "n", "m", "k", "k", "k"]})
    assert learned(Categorify(columns=["x"], max_size=4, previous="7"), rows).decode["value"].to_list() == [
        *OLD["value"],
        "k",
    ]
    assert learned(Categorify(columns=["x"], max_size=3, previous="7"), rows).decode["value"].to_list() == [
        *OLD["value"]
    ]


def test_several_ids_out_of_vocabulary_do_not_move_the_rest() -> None:
    rows = pl.DataFrame({"x": ["a", "new"]})
    form = learned(Categorify(columns=["x"], oov_buckets=4, min_count=2, previous="7"), rows)
    assert form.first_id == 6
    assert ids(form, pl.DataFrame({"x": ["b", "a", "z"]})) == [6, 7, 8]
    assert ids(form, pl.DataFrame({"x": ["new"]}))[0] in range(2, 6)


def test_joint_columns_continue_one_vocabulary() -> None:
    rows = pl.DataFrame({"x": ["a", "n"], "y": ["n", "m"]})
    form = learned(Categorify(columns=["x", "y"], joint=True, previous="7"), rows)
    made = form.apply(rows.lazy(), CpuEngine()).collect()
    assert made.to_dict(as_series=False) == {"x": [4, 6], "y": [6, 7]}
    assert form.decode["count"].to_list() == [5, 4, 1, 2, 1]


def test_combinations_continue() -> None:
    step = Categorify(columns=["x", "y"], combo=True, output="xy", previous="7")
    first = pl.DataFrame({"x": ["a", "a", "b"], "y": [1, 1, 2]})
    second = pl.DataFrame({"x": ["b", "a", "b", None], "y": [2, 2, 1, 1]})
    old = learned(Categorify(columns=["x", "y"], combo=True, output="xy"), first, None)
    form = learned(step, second, old.vocabulary.frame)
    assert form.decode.to_dict(as_series=False) == {
        "id": [3, 4, 5, 6],
        "x": ["a", "b", "a", "b"],
        "y": [1, 2, 2, 1],
        "count": [2, 2, 1, 1],
    }
    assert ids(form, second) == [4, 5, 6, 1]


def test_a_table_without_counts_has_those_of_now() -> None:
    rows = pl.DataFrame({"x": [3, 3, 9]}, schema={"x": pl.Int32})
    form = learned(Categorify(columns=["x"], previous="ids.parquet"), rows, pl.DataFrame({"value": [9, 8]}))
    assert form.decode.to_dict(as_series=False) == {"id": [3, 4, 5], "value": [9, 8, 3], "count": [1, 0, 2]}


def test_integers_of_another_width_keep_their_ids_where_they_fit() -> None:
    known = pl.DataFrame({"value": [9, 8], "count": [1, 1]})
    narrow = learned(Categorify(columns=["x"], previous="7"), pl.DataFrame({"x": [8, 3]}, {"x": pl.UInt8}), known)
    assert narrow.decode.schema["value"] == pl.UInt8
    assert narrow.decode["value"].to_list() == [9, 8, 3]
    rows = pl.DataFrame({"x": [2**53 + 1, 8]})
    wide = learned(Categorify(columns=["x"], previous="7"), rows, known.cast({"value": pl.Int16}))
    assert wide.decode["value"].to_list() == [9, 8, 2**53 + 1]
    assert ids(wide, rows) == [5, 4]
    with pytest.raises(PipelineError, match="holds 2 value\\(s\\) that UInt8 cannot hold, 300 is one"):
        learned(
            Categorify(columns=["x"], previous="7"),
            pl.DataFrame({"x": [8]}, {"x": pl.UInt8}),
            known.select(pl.all() + 291),
        )


def test_a_table_of_combinations_needs_only_their_values() -> None:
    step = Categorify(columns=["x", "y"], combo=True, output="xy", previous="pairs.parquet")
    rows = pl.DataFrame({"x": ["a", "b"], "y": [1, 2]})
    form = learned(step, rows, pl.DataFrame({"value:0": ["b"], "value:1": [2]}))
    assert form.decode.select("id", "x", "y", "count").rows() == [(3, "b", 2, 1), (4, "a", 1, 1)]
    assert ids(form, rows) == [4, 3]


def test_no_rows_leave_the_vocabulary_as_it_is() -> None:
    form = learned(Categorify(columns=["x"], previous="7"), pl.DataFrame(schema={"x": pl.String}))
    assert form.decode.drop("id").equals(OLD)


def test_three_percent_of_new_rows_move_no_id() -> None:
    """In NVTabular 98 % of the ids moved: its vocabulary is sorted anew with every fit."""
    old_rows = pl.DataFrame({"x": [f"v{n % 701}" for n in range(10_000)]})
    new_rows = pl.DataFrame({"x": [f"w{n % 97}" for n in range(300)]})
    old = learned(Categorify(columns=["x"]), old_rows, None)
    form = learned(Categorify(columns=["x"], previous="7"), new_rows, old.vocabulary.frame)
    values = old_rows.unique()
    assert ids(form, values) == ids(old, values)
    assert form.vocabulary.height == 701 + 97


@given(
    runs=st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=12), min_size=1, max_size=4),
    least=st.integers(1, 3),
    size=st.none() | st.integers(0, 9),
)
def test_however_often_it_goes_on_no_id_moves(runs: list[list[str]], least: int, size: int | None) -> None:
    step, known = Categorify(columns=["x"], min_count=least, max_size=size, previous="7"), None
    for values in runs:
        form = learned(step, pl.DataFrame({"x": values}, schema={"x": pl.String}), known)
        found = form.vocabulary.frame
        if known is not None:
            assert found["value"].head(known.height).to_list() == known["value"].to_list()
        assert found["value"].is_unique().all()
        assert size is None or found.height <= size
        known = found


@pytest.mark.parametrize(
    ("known", "message"),
    [
        (pl.DataFrame({"value": [1]}), "the previous vocabulary holds Int64, the column is String now"),
        (pl.DataFrame({"value": ["a", None]}), "has 1 null in 'value'"),
        (pl.DataFrame({"value": ["a", "b", "a"]}), "has 1 value\\(s\\) twice, 'a' is one"),
        (pl.DataFrame({"values": ["a"]}), "has no column 'value', it has values"),
        (pl.DataFrame({"value": ["a"], "count": ["5"]}), "the counts of the previous vocabulary are String"),
        (pl.DataFrame({"value": ["1:a"], "value:0": ["a"]}), "is of combinations of 1 columns, this step takes 1"),
    ],
)
def test_a_table_that_cannot_go_on_is_refused(known: pl.DataFrame, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        learned(Categorify(columns=["x"], previous="7"), pl.DataFrame({"x": ["a"]}), known)


def test_combinations_of_other_columns_are_refused() -> None:
    step = Categorify(columns=["x", "y"], combo=True, output="xy", previous="7")
    rows = pl.DataFrame({"x": ["a"], "y": ["b"]})
    with pytest.raises(PipelineError, match="no column 'value:0', 'value:1'"):
        learned(step, rows, OLD)


def test_a_smaller_vocabulary_than_the_old_one_is_refused() -> None:
    with pytest.raises(PipelineError, match="has 3 values, and max_size allows 2") as refused:
        learned(Categorify(columns=["x"], max_size=2, previous="7"), pl.DataFrame({"x": ["a"]}))
    assert "compact" in refused.value.hint


@pytest.mark.parametrize(
    "fields",
    [
        {"vocabulary": ["a"], "previous": "latest"},
        {"previous_counts": "replace"},
        {"previous": "latest", "previous_counts": "both"},
        {"previous": True},
    ],
)
def test_fields_that_do_not_fit(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Categorify(columns=["x"], **fields)


COMBINATIONS = [
    {
        "vocabulary": vocabulary,
        "joint": joint,
        "combo": combo,
        "oov_buckets": oov,
        "max_size": size,
        "min_count": least,
        "previous": previous,
    }
    for vocabulary in (None, ["b", "a"])
    for joint in (False, True)
    for combo in (False, True)
    for oov in (1, 3)
    for size in (None, 4)
    for least in (1, 2)
    for previous in (None, "7")
]
GIVEN = "a given vocabulary excludes min_count, max_size and combo"
REFUSED = [
    ({"joint", "combo"}, "joint (one vocabulary, an id per column) and combo (one id per row) exclude each other"),
    ({"vocabulary", "min_count"}, GIVEN),
    ({"vocabulary", "max_size"}, GIVEN),
    ({"vocabulary", "combo"}, GIVEN),
    ({"vocabulary", "previous"}, "vocabulary (all values are given) and previous (new ones are added) exclude"),
]


def said(fields: dict[str, Any]) -> set[str]:
    """The fields that are not at their defaults."""
    defaults = {"vocabulary": None, "joint": False, "combo": False, "max_size": None, "min_count": 1, "previous": None}
    return {name for name, value in defaults.items() if fields[name] != value}


def refusals(fields: dict[str, Any]) -> list[str]:
    return [message for names, message in REFUSED if names <= said(fields)]


def columns_of(fields: dict[str, Any]) -> dict[str, Any]:
    several = fields["joint"] or fields["combo"]
    return {"columns": ["x", "y"] if several else ["x"], "output": "xy" if fields["combo"] else "{column}"}


@pytest.mark.parametrize("fields", [f for f in COMBINATIONS if refusals(f)])
def test_options_that_make_no_sense_together_are_refused_by_name(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        Categorify(**columns_of(fields), **fields)
    assert any(message in str(refused.value) for message in refusals(fields))


@pytest.mark.slow
@pytest.mark.parametrize("fields", [f for f in COMBINATIONS if not refusals(f)])
def test_every_combination_of_options_gives_ids_below_its_cardinality(fields: dict[str, Any]) -> None:
    rows = pl.DataFrame({"x": ["a", "b", "a", None, "c"], "y": ["b", "b", "d", "a", "c"]})
    step = Categorify(**columns_of(fields), **{**fields, "previous": None})
    old = learned(step, rows.head(3), None)
    known = old.vocabulary.frame if fields["previous"] else None
    form = learned(step.model_copy(update={"previous": fields["previous"]}), rows, known)
    made = form.apply(rows.lazy(), CpuEngine()).collect().select(form.writes)
    size = form.vocabulary.height
    assert fields["max_size"] is None or size <= fields["max_size"]
    assert form.cardinality == 2 + fields["oov_buckets"] + size
    for column in made:
        assert column.null_count() == 0
        assert column.is_between(1, form.cardinality - 1).all()
    if known is not None:
        assert form.vocabulary.frame["value"].head(known.height).to_list() == known["value"].to_list()
