"""Expressions: what is saved, what is refused, which look at other rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import polars.selectors as cs
import pytest
from tests.transforms.pickled import program

from headrace.schemas.errors import PipelineError
from headrace.transforms.expression import Expression

SCHEMA = pl.Schema({"a": pl.Int64, "f": pl.Float64, "s": pl.String, "b": pl.Boolean, "t": pl.Datetime("us", "UTC")})


@pytest.mark.parametrize("source", ["a + 1 > 2", pl.col("a") + 1, pl.when(pl.col("b")).then(pl.lit("x"))])
def test_json_gives_the_expression_back(source: Any) -> None:
    expression = Expression(source)
    again = Expression.from_plain(json.loads(json.dumps(expression.to_plain())))
    assert again == expression
    assert hash(again) == hash(expression)
    assert again.roots == expression.roots


def test_sql_stays_as_it_was_written() -> None:
    assert Expression("a  >  1").to_plain() == "a  >  1"


def test_roots_are_each_named_once() -> None:
    assert Expression("a + f * a").roots == ("a", "f")


def test_sql_that_does_not_parse_is_refused() -> None:
    with pytest.raises(PipelineError, match="SQL that does not parse: 'a >'"):
        Expression("a >")


def test_python_functions_are_refused() -> None:
    with pytest.raises(PipelineError, match="calls a Python function"):
        Expression(pl.col("a").map_elements(lambda x: x, return_dtype=pl.Int64))


@pytest.mark.parametrize("source", [cs.numeric() + 1, pl.col("a", "f"), pl.col("^a.*$"), pl.all()])
def test_selectors_are_refused_because_they_could_match_the_target(source: pl.Expr) -> None:
    with pytest.raises(PipelineError, match="by a selector"):
        Expression(source)


@pytest.mark.parametrize(
    ("source", "dtype"),
    [
        ("a > 1", pl.Boolean),
        ("CASE WHEN a > 1 THEN 'x' ELSE 'y' END", pl.String),
        ("a IN (1, 2) AND s LIKE 'x%'", pl.Boolean),
        ("COALESCE(a, 0) / 2.0", pl.Float64),
        (pl.lit(1, pl.Int8), pl.Int8),
        (pl.col("t").dt.convert_time_zone("Asia/Tokyo").dt.hour(), pl.Int8),
        (pl.max_horizontal("a", "f"), pl.Float64),
        (pl.concat_str("s", "s"), pl.String),
        (pl.col("a").replace_strict([1], [2], default=None), pl.Int64),
        (pl.col("s").is_in(["x", "y"]), pl.Boolean),
        (pl.col("f").clip(0, 1).log1p().round(2), pl.Float64),
    ],
)
def test_the_type_of_a_row_wise_expression(source: Any, dtype: pl.DataType) -> None:
    assert Expression(source).dtype(SCHEMA) == dtype


@pytest.mark.parametrize(
    "source",
    [
        "COUNT(a)",
        "a - MAX(a)",
        pl.col("f") - pl.col("f").mean(),
        pl.col("a").shift(1),
        pl.col("a").sum().over("s"),
        pl.col("a").cum_sum(),
        pl.col("a").rank(),
        pl.col("a").sort(),
        pl.col("a").forward_fill(),
        pl.col("a").is_duplicated(),
        pl.col("a").rolling_mean(2),
        pl.col("a").shuffle(seed=1),
        pl.len(),
        pl.int_range(pl.len()),
    ],
)
def test_an_expression_over_other_rows_is_refused(source: Any) -> None:
    with pytest.raises(PipelineError, match="looks at other rows"):
        Expression(source).dtype(SCHEMA)


@pytest.mark.parametrize("source", ["nothing > 1", "s + a > 'x' AND a", pl.col("a").str.len_chars()])
def test_what_does_not_fit_the_columns_is_refused(source: Any) -> None:
    with pytest.raises(PipelineError, match="does not fit the rows here"):
        Expression(source).dtype(SCHEMA)


@pytest.mark.parametrize(
    "source",
    [pl.col("a").name.map(str.upper), pl.struct("a").name.map_fields(str.upper), pl.col("a").map_batches(lambda s: s)],
)
def test_a_pickled_function_in_a_saved_expression_is_never_loaded(source: pl.Expr, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    tree = json.loads(program(source, f"open({str(trace)!r}, 'w').close()"))
    with pytest.raises(PipelineError, match="calls a Python function"):
        Expression.from_plain({"polars": tree})
    assert not trace.exists()
    with pytest.raises(PipelineError, match="calls a Python function"):
        Expression(source)


def test_json_that_is_no_expression_is_refused() -> None:
    with pytest.raises(PipelineError, match="no Polars expression"):
        Expression.from_plain({"polars": {"Nothing": 1}})


def test_polars_own_hash_is_refused_because_it_differs_between_engines() -> None:
    with pytest.raises(PipelineError, match="hash") as caught:
        Expression(pl.col("a").hash())
    assert caught.value.hint == "use HashBucket"


def test_a_random_draw_is_refused() -> None:
    with pytest.raises(PipelineError, match="draws at random"):
        Expression(pl.concat_list("a", "a").list.sample(1))


@pytest.mark.parametrize("source", [pl.col("s").cast(pl.Categorical), pl.col("a").cut([1, 2])])
def test_categories_do_not_leave_an_expression(source: pl.Expr) -> None:
    with pytest.raises(PipelineError, match="not the same on every engine"):
        Expression(source).dtype(SCHEMA)


def test_a_message_shows_the_expression_as_polars_prints_it() -> None:
    with pytest.raises(PipelineError, match=r'col\("f"\)\.mean\(\).* looks at other rows'):
        Expression(pl.col("f").mean()).dtype(SCHEMA)
