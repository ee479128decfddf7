"""Each law is broken by an operator that breaks only it, and the message says which, how, and what to do."""

from __future__ import annotations

import doctest
import math

import polars as pl
import pytest
from tests.testing import broken

from headrace.engines import translation
from headrace.schemas.errors import HeadraceError, PipelineError
from headrace.testing import LAWS, ConformanceError, check, check_transform
from headrace.testing.edges import frames_of
from headrace.transforms.base import Operator
from headrace.transforms.categorify import Categorify
from headrace.transforms.joins import LookupJoin
from headrace.transforms.missing import DropNull

ROWS = pl.DataFrame(
    {"price": [1.0, 2.5, None, 0.1, 0.2, 0.3, 7.0] * 4, "shop": ["a", "b", None, "a", "b", "c", "a"] * 4}
)

BREAKS: dict[str, list[tuple[Operator, str, str]]] = {
    "edges": [(broken.RaisesOnNull(), "raised TypeError on the rows 'no rows'", "need an answer")],
    "schema": [(broken.TypeOfTheData(), "has 'price': Float64, expected as without rows 'price': Float32", "cast")],
    "json": [
        (broken.ForgetsAField(factor=3.0), "ForgetsAField comes back with another factor", "the whole of a step"),
        (
            broken.LearnsInfinity(),
            "OfHighest, learned from the rows 'edges', has highest inf",
            "leave what is not finite out",
        ),
    ],
    "columns": [
        (broken.WritesAnother(), "column 'extra' was added, which `writes` does not have", "name in `writes`"),
        (broken.ChangesAnother(), "column 'shop' was changed, which `writes` does not have: None became '?'", "leave"),
    ],
    "reads": [
        (broken.ReadsAnother(), "apply needs a column that `reads` does not have: ", "brings no others along"),
        (broken.MeasuresAnother(), "measure needs a column that `measured` does not have: ", "name in `measured`"),
    ],
    "order": [
        (broken.Sorts(), "the rows 'many rows' come in the order [2, 9, 16, 23, 3, ", "sort nothing"),
        (broken.DropsQuietly(), "of the 28 rows 'many rows' it makes 24", "filters: ClassVar[bool] = True"),
    ],
    "alone": [
        (broken.LooksAround(), "cut into parts of [1, 2] rows, it gives another price", "make it a Learner"),
        (broken.LeavesItsEntity(), "it gives another price", "name the further columns in `entity`"),
    ],
    "ids": [(broken.TooFewIds(), "column 'id' has id 2 on the rows 'many rows', expected 0 to 1", "Ids.cardinality")],
    "merging": [
        (broken.TakesTheFirst(), "merging in another order gives highest is 2.5, expected 1.0", "sum, min, max"),
        (broken.OtherColumnsMerged(), "merge gives 'parts': UInt32, measure no 'parts'", "the columns and types"),
    ],
    "identity": [
        (broken.CountsTheEmpty(), "on no rows, highest is 1000000000.0, expected 2.5", "whichever merge leaves out"),
    ],
    "partitions": [
        (broken.CountsParts(), "measured in 2 partitions, highest is 2.0, expected 1.0", "nothing of the partition"),
    ],
    "settling": [
        (broken.SettlesTooMuch(), "settled in 1 parts, highest is 7.0, expected 11.1", "that learn needs"),
    ],
    "translation": [(broken.StaysOnTheCpu(), "cudf-polars cannot run apply: ", "--strict-gpu")],
}
CASES = [pytest.param(law, *rest, id=type(rest[0]).__name__) for law, many in BREAKS.items() for rest in many]


def refused(op: Operator, frame: pl.DataFrame | None = ROWS) -> ConformanceError:
    with pytest.raises(ConformanceError) as caught:
        check_transform(op, frame)
    return caught.value


@pytest.mark.slow
@pytest.mark.parametrize("op", [broken.Doubled(), broken.ToHighest()], ids=["transform", "learner"])
def test_an_operator_that_keeps_all_laws(op: Operator) -> None:
    report = check_transform(op, ROWS)
    assert {c.law for c in report.laws if c.outcome == "kept"} >= {"edges", "schema", "json", "columns", "alone"}
    assert [c.law for c in report.laws] == list(LAWS)


def test_every_law_has_an_operator_that_breaks_it_but_the_one_that_needs_a_gpu() -> None:
    assert set(BREAKS) == set(LAWS) - {"gpu"}


@pytest.mark.slow
@pytest.mark.parametrize(("law", "op", "what", "mend"), CASES)
def test_an_operator_that_breaks_one_law(law: str, op: Operator, what: str, mend: str) -> None:
    if law == "translation" and not translation.available():
        pytest.skip("the cudf-polars that headrace knows is not installed")
    error = refused(op)
    assert [c.law for c in error.report.laws if c.outcome == "broken"] == [law]
    assert f"{type(op).__name__}(" in error.message.splitlines()[0]
    assert error.message.splitlines()[0].endswith(f"breaks 1 of {len(LAWS)} laws")
    assert f"\n{law}: {LAWS[law].words}\n" in error.message
    assert what in error.message
    assert mend in error.message.partition("mend: ")[2]


def test_floats_added_in_any_order_break_two_laws_and_are_told_apart_by_their_last_digits() -> None:
    error = refused(broken.AddsFloats(), ROWS)
    assert {c.law for c in error.report.laws if c.outcome == "broken"} == {"merging", "partitions"}
    assert error.message.count("floats added in another order have other last digits: say `by_unit") == 2


def test_the_error_is_an_assertion_and_one_of_ours() -> None:
    error = refused(broken.LooksAround())
    assert isinstance(error, AssertionError)
    assert isinstance(error, HeadraceError)
    assert error.exit_code == 1


def test_the_example_has_the_fewest_rows_that_show_it_and_the_columns_that_matter() -> None:
    error = refused(broken.LooksAround())
    [broken_law] = [c.broken for c in error.report.laws if c.broken]
    assert broken_law.rows is not None
    assert broken_law.rows.to_dict(as_series=False) == {"price": [1.0, 2.5, None]}


def test_a_law_that_cannot_be_tried_for_what_the_operator_raises_is_skipped() -> None:
    report = refused(broken.RaisesOnNull()).report
    assert next(c for c in report.laws if c.law == "schema").reason == "it raises on some rows: see edges"


def test_a_class_that_cannot_be_found_again() -> None:
    class Hidden(broken.Doubled):
        pass

    assert "test_check:test_a_class_that_cannot_be_found_again.<locals>.Hidden" in refused(Hidden()).message


def test_laws_may_be_left_out_by_name() -> None:
    assert check_transform(broken.LooksAround(), ROWS, skip=["alone"]).outcome("alone") == "skipped"
    with pytest.raises(PipelineError) as caught:
        check_transform(broken.Doubled(), ROWS, skip=["aloen"])
    assert caught.value.message == "no law 'aloen'"
    assert caught.value.hint.startswith("the laws are edges, schema, ")


def test_without_cudf_polars_the_translation_is_skipped_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translation, "_version", lambda: "25.01")
    [checked] = [c for c in check_transform(broken.StaysOnTheCpu(), ROWS).laws if c.law == "translation"]
    assert checked.outcome == "skipped"
    assert "pip install" in checked.reason


def test_columns_that_the_rows_do_not_have() -> None:
    with pytest.raises(PipelineError) as caught:
        check_transform(broken.Doubled())
    assert "reads 'price', which the rows do not have here" in caught.value.message
    assert "check_transform(op, frame=...)" in caught.value.hint


@pytest.mark.slow
def test_operators_of_headrace_by_name_and_with_tables() -> None:
    assert check_transform({"Clip": {"columns": "number", "lower": 0}}).outcome("order") == "kept"
    assert check_transform(Categorify(columns="shop"), ROWS).outcome("ids") == "kept"
    assert check_transform(DropNull(columns="all"), ROWS).outcome("order") == "kept"
    shops = pl.DataFrame({"shop": ["a", "b"], "size": [10, 20]})
    assert check_transform(LookupJoin(table="shops", on="shop"), ROWS, {"shops": shops}).outcome("columns") == "kept"


def test_a_report_is_a_line_for_each_law() -> None:
    lines = str(check_transform(broken.Doubled(), ROWS)).splitlines()
    assert lines[0] == "Doubled(price)"
    assert lines[1].split(maxsplit=2) == ["kept", "edges", LAWS["edges"].words]
    assert len(lines) == 1 + len(LAWS)
    assert any(line.split(maxsplit=2) == ["skipped", "merging", "it learns nothing"] for line in lines)


def test_edges_are_made_of_every_type() -> None:
    own = pl.DataFrame({"x": [1.5], "n": [3], "b": [7], "l": [[1]], "z": [None]}, schema_overrides={"b": pl.UInt8})
    frames = frames_of(own)
    assert list(frames) == ["many rows", "one row", "no rows", "all null", "constant", "fractions", "edges"]
    assert all(frame.schema == own.schema for frame in frames.values())
    edges = frames["edges"].to_dict(as_series=False)
    assert {math.inf, -math.inf, 1.5, None} <= set(edges["x"])
    assert any(value != value for value in edges["x"] if value is not None)
    assert {2**63 - 1, -(2**63), 2**53 + 1, None} <= set(edges["n"])
    assert {0, 255, 7, None} <= set(edges["b"])
    assert [] in edges["l"]
    assert [None] in edges["l"]


def test_the_docstring_of_check_transform_is_true() -> None:
    result = doctest.testmod(check)
    assert result.attempted
    assert not result.failed
