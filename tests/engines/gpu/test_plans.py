"""That the check of plans sees what it is there for, on plans as cudf-polars' own translator makes them."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from cudf_polars.containers import DataType
from cudf_polars.dsl import expr, ir
from cudf_polars.dsl.expressions.base import ExecutionContext
from cudf_polars.dsl.translate import Translator
from tests.engines.gpu.plans import problems

from headrace.engines.gpu.dialect.once import Once, given

ROWS = pl.LazyFrame(schema={"x": pl.Float64, "n": pl.Int64, "s": pl.String, "l": pl.List(pl.Int64), "b": pl.Boolean})
INT, FLOAT = DataType(pl.Int64()), DataType(pl.Float64())


def plan(frame: pl.LazyFrame) -> Any:
    translator = Translator(frame._ldf.visit(), pl.GPUEngine(executor="in-memory"))
    node = translator.translate_ir()
    assert translator.errors == []
    return node


def selecting(value: expr.Expr) -> ir.Select:
    """A plan whose only expression is this one."""
    return ir.Select({"o": value.dtype}, [expr.NamedExpr("o", value)], True, plan(ROWS))


@pytest.mark.parametrize(
    "frame",
    [
        ROWS.filter(pl.col("n") > 1).select(pl.col("x").min(), pl.col("s").max(), pl.col("b").sum()),
        ROWS.group_by("s", "b").agg(pl.len(), pl.col("n").sum(), pl.col("x").max()),
        ROWS.join(ROWS.select("n", y="x"), on="n", how="left", maintain_order="left"),
        pl.concat([ROWS.select("n", "x"), ROWS.select("n", "x")]),
        ROWS.with_columns(pl.when(pl.col("b")).then(pl.col("n")).otherwise(0), pl.col("x").fill_null(0)),
        ROWS.with_columns(pl.lit(pl.Series([1, 2])).search_sorted(pl.col("n"))),
    ],
)
def test_plans_that_can_be_evaluated(frame: pl.LazyFrame) -> None:
    assert problems(plan(frame)) == []


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        (ROWS.select(pl.when(pl.col("b")).then(pl.col("l"))), "Select: null as <DataType(polars=List(Int64)"),
        (ROWS.select(pl.col("l").shift(1)), "Select: shift of <DataType(polars=List(Int64)"),
        (ROWS.group_by("l").agg(pl.len()), "GroupBy: a key of <DataType(polars=List(Int64)"),
    ],
)
def test_plans_that_translate_and_cannot(frame: pl.LazyFrame, problem: str) -> None:
    [found] = problems(plan(frame))
    assert found.startswith(problem)


def test_expressions_that_cannot_be_evaluated() -> None:
    n, x = expr.Col(INT, "n"), expr.Col(FLOAT, "x")
    places = expr.UnaryFunction(
        DataType(pl.UInt32()), "search_sorted", ("right", False), expr.LiteralColumn(INT, pl.Series([1])), x
    )
    smallest = expr.Agg(FLOAT, "min", False, ExecutionContext.FRAME, n)
    for value, problem in [
        (expr.Ternary(FLOAT, expr.Col(DataType(pl.Boolean()), "b"), n, x), "branches of"),
        (places, "search_sorted of"),
        (smallest, "min of"),
        (Once(INT, given(FLOAT), n), "child 0 of Once is read as"),
    ]:
        [found] = problems(selecting(value))
        assert found.startswith(f"Select: {problem}")


def test_columns_put_on_top_of_each_other_in_another_order() -> None:
    left, right = plan(ROWS.select("n", "x")), plan(ROWS.select("x", "n"))
    [found] = problems(ir.Union(left.schema, None, True, left, right))
    assert found.startswith("Union: schemas differ")
