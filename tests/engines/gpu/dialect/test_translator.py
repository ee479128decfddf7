from __future__ import annotations

import polars as pl
import pytest
from cudf_polars.dsl.translate import Translator
from tests.engines.gpu.dialect.libcudf import refusals, translated

SCHEMA = pl.Schema(
    {
        "x": pl.Float64(),
        "y": pl.Float64(),
        "n": pl.Int64(),
        "b": pl.Boolean(),
        "s": pl.String(),
        "l": pl.List(pl.Int64()),
        "t": pl.Datetime("us"),
    }
)
ROWS = pl.LazyFrame(schema=SCHEMA)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        (pl.max_horizontal("x", "y"), "max_horizontal of floats: cuDF has another place for NaN"),
        (pl.when(pl.col("b")).then(pl.col("l")), "null as a constant of type List(Int64)"),
        (pl.col("l").shift(1), "shift of List(Int64)"),
        (pl.col("l").shift(1).over("s", order_by="n"), "shift of List(Int64)"),
    ],
)
def test_what_would_fail_on_the_device_or_differ_is_refused_before(expression: pl.Expr, reason: str) -> None:
    assert refusals(ROWS.select(expression))[0] == reason


def test_what_cudf_polars_refuses_is_refused_once() -> None:
    assert len(refusals(ROWS.select(pl.col("s").cast(pl.Categorical)))) == 1


@pytest.mark.parametrize(
    "expression",
    [
        pl.col("n") + 1,
        pl.col("x").shift(1).over("s", order_by="n"),
        pl.max_horizontal("n", pl.col("n") + 1),
        pl.col("x").sin().cast(pl.Float32),
        pl.col("t").dt.hour(),
        pl.col("s").str.len_chars() >= 3,
        pl.col("n").is_null(),
        pl.col("x").fill_null(0.0),
    ],
)
def test_what_means_the_same_is_left_as_it_is(expression: pl.Expr) -> None:
    query = ROWS.select(expression)
    assert translated(query) == translated(query, Translator)


def test_parts_of_an_expression_are_in_order_before_the_whole_is() -> None:
    [node] = translated(ROWS.select(((pl.col("x") > 1) & pl.col("b")).cast(pl.UInt8)))
    both = node.children[0]
    assert [type(side).__name__ for side in both.children] == ["Once", "Col"]


def test_filters_and_keys_of_groups_are_translated_alike() -> None:
    made = Translator.translate_expr
    assert refusals(ROWS.filter(pl.max_horizontal("x", "y") > 0)) != []
    assert refusals(ROWS.group_by(pl.col("x").cast(pl.String)).agg(pl.len())) != []
    assert refusals(ROWS.join(ROWS, left_on=pl.col("x").cast(pl.String), right_on="s")) != []
    assert Translator.translate_expr is made
