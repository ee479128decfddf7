"""Expressions over the results of others, each of which is evaluated once however often it is read."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import polars as pl
from cudf_polars.containers import DataFrame, DataType
from cudf_polars.dsl import expr
from cudf_polars.dsl.expressions.base import ExecutionContext

BOOLEAN: Final = DataType(pl.Boolean())


class Once(expr.Expr):
    """`body` over its children, whose results it reads by number: see `given`.

    A Parquet reader takes no such expression as its filter, so that what it stands for is never left to a file's
    statistics.
    """

    __slots__ = ("body",)
    _non_child: ClassVar[tuple[str, ...]] = ("dtype", "body")

    def __init__(self, dtype: DataType, body: expr.Expr, *children: expr.Expr) -> None:
        self.dtype = dtype
        self.body = body
        self.children = children
        self.is_pointwise = True

    def do_evaluate(self, df: Any, *, context: ExecutionContext = ExecutionContext.FRAME) -> Any:
        return self.body.evaluate(self._given(df, context), context=context)

    def _given(self, df: Any, context: ExecutionContext) -> Any:
        columns = [child.evaluate(df, context=context).rename(str(i)) for i, child in enumerate(self.children)]
        return DataFrame(columns, stream=df.stream)


class Checked(Once):
    """The same, once `holds`, a Boolean expression over the children, is true wherever it is not null.

    Raises
    ------
    InvalidOperationError
        It is false somewhere; the text is `refusal`.
    """

    __slots__ = ("holds", "refusal")
    _non_child: ClassVar[tuple[str, ...]] = ("dtype", "body", "holds", "refusal")

    def __init__(self, dtype: DataType, body: expr.Expr, holds: expr.Expr, refusal: str, *children: expr.Expr) -> None:
        super().__init__(dtype, body, *children)
        self.holds = holds
        self.refusal = refusal

    def do_evaluate(self, df: Any, *, context: ExecutionContext = ExecutionContext.FRAME) -> Any:
        given = self._given(df, context)
        every = expr.BooleanFunction(BOOLEAN, expr.BooleanFunction.Name.All, (True,), self.holds)
        if not every.evaluate(given).obj_scalar(stream=df.stream).to_py(stream=df.stream):
            raise pl.exceptions.InvalidOperationError(self.refusal)
        return self.body.evaluate(given, context=context)


def given(dtype: DataType, number: int = 0) -> expr.Col:
    """What the child of that number gives, in the body of a `Once`."""
    return expr.Col(dtype, str(number))


def kind(node: expr.Expr) -> Any:
    """The Polars type of what an expression gives."""
    return node.dtype.polars_type
