from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from cudf_polars.containers import DataType
from cudf_polars.dsl import expr
from cudf_polars.dsl.to_ast import to_parquet_filter
from pylibcudf.binaryop import BinaryOperator as Op

from headrace.engines.gpu.dialect.once import BOOLEAN, Checked, Once, given

FLOAT = DataType(pl.Float64())
STREAM: Any = "a stream"


class Column:
    """In the place of cudf-polars' column: a name, and a value for `all` of it."""

    def __init__(self, name: str = "", every: bool = True) -> None:
        self.name = name
        self.every = every

    def rename(self, name: str) -> Column:
        return Column(name, self.every)

    def obj_scalar(self, stream: Any) -> Column:
        assert stream is STREAM
        return self

    def to_py(self, stream: Any) -> bool:
        assert stream is STREAM
        return self.every


class Frame:
    def __init__(self, columns: list[Column], stream: Any) -> None:
        self.names = [column.name for column in columns]
        self.stream = stream


class Counted(expr.Expr):  # type: ignore[misc]
    """Notes what it is evaluated on."""

    __slots__ = ("every", "seen")

    def __init__(self, every: bool = True) -> None:
        self.dtype, self.children, self.is_pointwise = FLOAT, (), True
        self.every, self.seen = every, []

    def do_evaluate(self, df: Any, *, context: Any = None) -> Column:
        self.seen.append(getattr(df, "names", None))
        return Column(every=self.every)


@pytest.fixture(autouse=True)
def frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.engines.gpu.dialect.once.DataFrame", Frame)


def test_each_child_is_evaluated_once_and_the_body_on_their_results() -> None:
    first, second, body = Counted(), Counted(), Counted()
    Once(FLOAT, body, first, second).evaluate(Frame([Column("x")], STREAM))
    assert (first.seen, second.seen, body.seen) == ([["x"]], [["x"]], [["0", "1"]])


def test_a_check_that_holds_lets_the_body_pass_and_one_that_fails_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expr.BooleanFunction, "do_evaluate", lambda self, df, **_: self.children[0].evaluate(df))
    for holds in (True, False):
        check, body = Counted(holds), Counted()
        node = Checked(FLOAT, body, check, "no such number", Counted())
        if holds:
            node.evaluate(Frame([Column("x")], STREAM))
        else:
            with pytest.raises(pl.exceptions.InvalidOperationError, match="no such number"):
                node.evaluate(Frame([Column("x")], STREAM))
        assert check.seen == [["0"]]
        assert body.seen == ([["0"]] if holds else [])


def test_nodes_can_be_rebuilt_and_compared_as_those_of_cudf_polars() -> None:
    x, y = expr.Col(FLOAT, "x"), expr.Col(FLOAT, "y")
    once = Once(BOOLEAN, expr.BinOp(BOOLEAN, Op.LESS, given(FLOAT), given(FLOAT, 1)), x, y)
    checked = Checked(FLOAT, given(FLOAT), expr.BinOp(BOOLEAN, Op.EQUAL, given(FLOAT), given(FLOAT)), "no", x)
    for node in (once, checked):
        again = node.reconstruct(node.children)
        assert again == node
        assert hash(again) == hash(node)
        assert node.reconstruct([y, *node.children[1:]]) != node
        assert node.all_pointwise()


def test_a_parquet_reader_does_not_filter_by_them() -> None:
    x = expr.Col(FLOAT, "x")
    once = Once(BOOLEAN, expr.BinOp(BOOLEAN, Op.LESS, given(FLOAT), expr.Literal(FLOAT, 1.0)), x)
    assert to_parquet_filter(once, stream=None) == (None, None)
