"""Expressions as trees: which nodes they have, whether they hold bytes."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest

from headrace.schemas.nodes import by_row, holds_bytes, node_names


def tree(expr: pl.Expr) -> Any:
    return json.loads(expr.meta.serialize(format="json"))


def test_the_users_words_are_no_nodes() -> None:
    names = set(node_names(tree(pl.col("Over") == pl.lit("Hash"))))
    assert {"BinaryExpr", "Column", "Literal"} <= names
    assert not {"Over", "Hash"} & names


def test_a_node_without_fields_is_found() -> None:
    assert "Len" in set(node_names(tree(pl.len() + pl.col("a"))))


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        (pl.col("a").is_in([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), False),
        (pl.col("a").replace_strict(list(range(20)), list(range(20)), default=None), False),
        (pl.lit("x" * 100) + pl.col("a"), False),
        (pl.col("a").name.map(str.upper), True),
        (pl.col("a").name.map_fields(str.upper), True),
        (pl.col("a").map_batches(lambda s: s), True),
    ],
)
def test_bytes_outside_constants_are_found(expr: pl.Expr, expected: bool) -> None:
    assert holds_bytes(tree(expr)) is expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("a > b", True),
        ("COALESCE(a, b) IN (1, 2)", True),
        ("a > AVG(a)", False),
        ("CORR(a, b) > 0", False),
        ("a > QUANTILE_CONT(a, 0.5)", False),
        ("a > LAG(a) OVER (ORDER BY b)", False),
    ],
)
def test_what_depends_on_other_rows_is_known_from_the_plan(sql: str, expected: bool) -> None:
    assert by_row(pl.sql_expr(sql), pl.Schema({"a": pl.Int64, "b": pl.Int64})) is expected
