"""TargetEncode of several targets, of classes, with a prior for each; and what is refused before data is read."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError
from tests.transforms.fitting import applied, learned, saved_and_loaded, transformed

from headrace.schemas.errors import PipelineError
from headrace.schemas.names import SPLIT
from headrace.transforms.registry import operator_from_plain
from headrace.transforms.target import TargetEncode
from headrace.transforms.target_encoded import TargetEncoded

FRAME = pl.DataFrame(
    {
        "c": ["a", "a", "a", "b", None],
        "d": [1, 1, 2, 2, 2],
        "id": range(5),
        "y": [True, False, None, True, False],
        "x": [1.0, 2.0, 6.0, float("nan"), 5.0],
        "k": ["u", "v", "u", "w", None],
        "n": [7, 7, 8, 9, 9],
        "t": [0, 1, 40, 70, 70],
    }
).cast({"t": pl.Int32}).cast({"t": pl.Date})  # fmt: skip


def training(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.lit(0, pl.UInt8).alias(SPLIT))


def step_of(**fields: Any) -> TargetEncode:
    return TargetEncode(**{"columns": ["c"], "target": "y", "fold_on": ["id"], "smoothing": 0, **fields})


def test_several_targets_each_with_its_own_count() -> None:
    got = transformed(step_of(target=["y", "x"], output="{target} by {column}"), FRAME)
    assert got.columns == [*FRAME.columns, "y by c", "x by c"]
    assert got["y by c"].to_list() == [0.5, 0.5, 0.5, 1.0, 0.5]
    assert got["x by c"].to_list() == [3.0, 3.0, 3.0, 3.5, 3.5]  # b has no x that counts: the mean of 1, 2, 6 and 5


def test_several_keys_and_several_targets() -> None:
    apart = transformed(step_of(columns=["c", "d"], target=["y", "x"], output="{column}.{target}"), FRAME)
    assert apart.columns[-4:] == ["c.y", "c.x", "d.y", "d.x"]
    assert apart["d.y"].to_list() == [0.5] * 5
    assert apart["d.x"].to_list() == [1.5, 1.5, 5.5, 5.5, 5.5]
    together = step_of(columns=["c", "d"], combo=True, target=["y", "x"], output="both {target}")
    got = transformed(together, FRAME)
    assert got["both x"].to_list() == [1.5, 1.5, 6.0, 3.5, 3.5]
    assert got["both y"].to_list() == [0.5, 0.5, 0.5, 1.0, 0.5]


@pytest.mark.slow
@pytest.mark.parametrize(
    "fields",
    [
        {"folds": 2},
        {"folds": 2, "smoothing": "auto"},
        {"fold_on": ["t"], "fold_by": "time", "prior": 0.25},
        {"fold_on": ["c", "d"], "fold_by": "group", "smoothing": 3},
    ],
)
def test_together_they_are_what_each_is_alone(fields: dict[str, Any]) -> None:
    frame = training(pl.concat([FRAME.with_columns(id=pl.col("id") + 5 * i) for i in range(4)]))
    got = transformed(step_of(**fields, target=["y", "x", "n"], output="{column}_{target}"), frame)
    for target in ("y", "x", "n"):
        alone = transformed(step_of(**fields, target=target, output="{column}_{target}"), frame)
        assert got[f"c_{target}"].equals(alone[f"c_{target}"])
    classes = transformed(step_of(**fields, target="k", classes=["v", "u"], output="{class}"), frame)
    for label in ("u", "v"):
        alone = transformed(step_of(**fields), frame.with_columns(y=pl.col("k") == label))
        assert classes[label].to_list() == alone["c_target"].to_list()


def test_classes_of_texts_integers_and_booleans() -> None:
    got = transformed(step_of(target="k", classes=["v", "u"], output="{column}_{target}_{class}"), FRAME)
    assert got.columns[-2:] == ["c_k_v", "c_k_u"]  # as given
    assert got["c_k_u"].to_list() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 0.0, 0.5])  # w counts, and is none of them
    assert got["c_k_v"].to_list() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0.0, 0.25])
    got = transformed(step_of(target="n", classes=[9, 7, 1], output="{class}"), FRAME)
    assert got["9"].to_list() == pytest.approx([0.0, 0.0, 0.0, 1.0, 0.4])
    assert got["1"].to_list() == [0.0] * 5
    got = transformed(step_of(target="y", classes=[True, False], output="{class}"), FRAME)
    assert got["true"].to_list() == transformed(step_of(), FRAME)["c_target"].to_list()
    assert got["false"].to_list() == [0.5, 0.5, 0.5, 0.0, 0.5]
    one = transformed(step_of(target="k", classes=["u"]), FRAME)["c_target"]
    assert one.to_list() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 0.0, 0.5])


def test_a_class_is_no_pattern_and_no_number_written_as_text() -> None:
    frame = pl.DataFrame({"c": ["a"] * 3, "id": range(3), "k": ["1", ".*", "01"]})
    got = transformed(step_of(target="k", classes=["1", ".*"], output="{class}"), frame)
    assert got.row(0)[-2:] == pytest.approx((1 / 3, 1 / 3))


def test_the_schema_is_known_without_data() -> None:
    step = step_of(target="k", classes=["u", "v"], output="{class}")
    assert step.writes == ("u", "v")
    for frame in (FRAME, FRAME.clear(), training(FRAME), training(FRAME.clear())):
        got = transformed(step, frame)
        assert [got.schema[c] for c in step.writes] == [pl.Float32] * 2
    fitted = step.learn(pl.DataFrame())
    assert applied([fitted], FRAME)["u"].to_list() == [None] * 5


def test_a_prior_for_each() -> None:
    first = training(FRAME).head(1)
    by_time = {"fold_on": ["t"], "fold_by": "time"}
    got = transformed(step_of(**by_time, target=["y", "x"], prior=[0.25, 40], output="{target}_"), first)
    assert got.row(0)[-2:] == (0.25, 40.0)
    got = transformed(step_of(**by_time, target="k", classes=["u", "v"], prior=[0.5, 0.125], output="{class}"), first)
    assert got.row(0)[-2:] == (0.5, 0.125)


def test_saved_and_loaded() -> None:
    for fields in (
        {"target": ["y", "x"], "output": "{column}_{target}", "smoothing": "auto"},
        {"target": "n", "classes": [7, 9], "output": "{class}", "prior": [0.5, 0.5]},
        {"target": "y", "classes": [True], "fold_by": "group"},
    ):
        step = step_of(**fields)
        assert TargetEncode.model_validate_json(step.model_dump_json()) == step
        (fitted,) = learned(step, FRAME)
        assert saved_and_loaded(fitted) == fitted
        assert applied([saved_and_loaded(fitted)], training(FRAME)).equals(applied([fitted], training(FRAME)))
    assert step_of(target=["y"]) == step_of(target="y")


def test_what_earlier_versions_saved_means_what_it_did() -> None:
    plain = {"columns": ["c"], "target": "y", "fold_on": ["id"], "folds": 3, "smoothing": 2.0, "output": "{column}_t"}
    assert operator_from_plain({"TargetEncode": plain}).writes == ("c_t",)
    fitted = TargetEncoded.model_validate(
        {
            "columns": ["c"], "output": "c_t", "fold_by": "time", "fold_on": ["t"], "folds": 5, "every": "1mo",
            "prior": 0.75, "start": 0.5,
            "encodings": pl.DataFrame({"key:0": ["a"], "value": [0.25]}, schema_overrides={"value": pl.Float32}),
            "fold_encodings": pl.DataFrame(
                {"key:0": ["a"], "fold": [23641], "value": [0.125]}, schema_overrides={"value": pl.Float32}
            ),
            "fold_priors": pl.DataFrame({"fold": [23641], "prior": [1.0]}, schema_overrides={"prior": pl.Float32}),
        }
    )  # fmt: skip
    assert applied([fitted], FRAME)["c_t"].to_list() == [0.25, 0.25, 0.25, 0.75, 0.75]
    # 1970-02 is month 23641 of the calendar (12 * 1970 + 1); nothing is known of other months.
    months = FRAME.with_columns(
        t=pl.Series(["1970-01-05", "1970-02-01", "1970-02-28", "1970-02-02", None]).str.to_date()
    )
    assert applied([fitted], training(months))["c_t"].to_list() == [0.5, 0.125, 0.125, 1.0, 0.5]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"target": ["y", "x"]}, r"several targets \(y, x\) need '{target}' in output"),
        ({"target": ["y", "x", "y"], "output": "{target}"}, "targets named twice: y"),
        ({"target": []}, "names no column"),
        ({"target": ["y", "x"], "classes": [1], "output": "{target}"}, "classes are those of one target, got 2: y, x"),
        ({"classes": ["u", "v"]}, "several classes need '{class}' in output"),
        ({"classes": ["u", "v", "u"], "output": "{class}"}, "classes named twice: u"),
        ({"classes": [1, 2, 1], "output": "{class}"}, "classes named twice: 1"),
        ({"classes": ["u", 1], "output": "{class}"}, "classes of several types: int, str"),
        ({"classes": [True, 1], "output": "{class}"}, "classes of several types: bool, int"),
        ({"classes": [0.5]}, "expected a string, an integer or a boolean, got 0.5"),
        ({"classes": []}, "at least 1"),
        ({"output": "{column}_{class}"}, r"'{class}' in output needs classes=\[...\]"),
        ({"prior": [0.5, 0.5]}, "prior: expected one number, or 1 for the targets, got 2"),
        ({"classes": ["u", "v"], "output": "{class}", "prior": [1]}, "or 2 for the classes, got 1"),
        ({"prior": float("nan")}, "finite"),
        ({"leave_one_out": True}, "leave_one_out has no folds: leave out fold_on, or leave_one_out"),
        ({"leave_one_out": True, "fold_on": [], "folds": 5}, "leave out folds"),
        ({"leave_one_out": True, "fold_on": [], "fold_by": "time", "prior": 0.5}, "leave out fold_by"),
        ({"leave_one_out": True, "fold_on": [], "every": "1d"}, "leave out every"),
        ({"fold_on": []}, "fold_on must name at least one column"),
        ({"fold_by": "time"}, "needs prior"),
        ({"fold_by": "row"}, "'key', 'group' or 'time'"),
        ({"smoothing": "bayes"}, "expected 'auto' or a number greater than or equal to 0, got 'bayes'"),
        ({"smoothing": -0.5}, "greater than or equal to 0, got -0.5"),
        ({"smoothing": float("inf")}, "got inf"),
        ({"smoothing": float("nan")}, "got nan"),
        ({"smoothing": True}, "got True"),
        ({"folds": 1001}, "less than or equal to 1000"),
    ],
)
def test_fields_that_do_not_fit(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        step_of(**fields)


@pytest.mark.parametrize(
    ("fields", "message", "hint"),
    [
        ({"columns": ["y"]}, "'y' is the target and cannot be encoded by itself", ""),
        ({"columns": "boolean"}, "'y' is the target and cannot be encoded by itself", ""),
        ({"columns": ["k"], "target": ["y", "n"], "fold_on": ["n"], "output": "{target}_"}, "say which fold", "key of"),
        ({"target": "k"}, "a number or a boolean as target, got String in 'k'", "classes=[...]"),
        ({"target": "t"}, "a number or a boolean as target, got Date in 't'", ""),
        ({"target": "x", "classes": [1]}, "with classes takes a string, an integer or a boolean as target", "its mean"),
        ({"target": "k", "classes": [1]}, r"target 'k' \(String\) never has class 1", ""),
        ({"target": "n", "classes": ["7"]}, r"target 'n' \(Int64\) never has class '7'", ""),
        ({"target": "n", "classes": [2**63]}, "never has class 9223372036854775808", ""),
        ({"target": "y", "classes": [1]}, r"target 'y' \(Boolean\) never has class 1", ""),
        ({"columns": ["l"]}, r"got List\(String\) in column 'l'", "ListAgg"),
        ({"columns": ["x"], "target": "n"}, "got Float64 in column 'x'", ""),
        ({"fold_on": ["x"]}, "got Float64 in column 'x'", ""),
        ({"fold_on": ["missing"]}, "reads 'missing', which the rows do not have here", ""),
        ({"target": ["y", "gone"], "output": "{target}_"}, "reads 'gone', which the rows do not have here", ""),
        ({"output": "y"}, "write a result over column 'y', which it reads", "other names"),
        ({"output": "id"}, "write a result over column 'id', which it reads", "other names"),
        ({"columns": ["k", "kk"], "output": "{column}k"}, "write a result over column 'kk'", "other names"),
    ],
)
def test_columns_that_do_not_fit(fields: dict[str, Any], message: str, hint: str) -> None:
    schema = pl.Schema({**FRAME.schema, "l": pl.List(pl.String), "kk": pl.String()})
    with pytest.raises(PipelineError, match=message) as caught:
        step_of(**fields).resolve(schema)
    assert hint in caught.value.hint


def test_a_result_may_take_the_place_of_what_is_encoded() -> None:
    got = transformed(step_of(columns=["c", "d"], output="{column}"), FRAME)
    assert got.columns == FRAME.columns
    assert got["c"].to_list() == [0.5, 0.5, 0.5, 1.0, 0.5]
