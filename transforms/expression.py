"""An expression in a step: SQL in YAML, SQL or a Polars expression in Python."""

from __future__ import annotations

import json
from typing import Any, Final

import polars as pl
from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from headrace.schemas.errors import PipelineError
from headrace.schemas.nodes import by_row, holds_bytes, node_names

_RESULT: Final = "__result"


class Expression:
    """A row-wise expression that can be saved: SQL text, or a Polars expression without Python functions in it.

    Parameters
    ----------
    source
        SQL (`"arr_delay > 15"`) or a `pl.Expr`.

    Raises
    ------
    PipelineError
        SQL that does not parse; an expression that calls Python (`map_elements`, `map_batches`, `name.map`), which
        could be neither saved without pickle nor run on a GPU; one whose result would not be the same everywhere
        (`hash`, `sample`).
    """

    __slots__ = ("expr", "text")

    def __init__(self, source: str | pl.Expr) -> None:
        if isinstance(source, str):
            self.text = source
            self.expr = _parse_sql(source)
        else:
            if source.meta.has_multiple_outputs() or source.meta.is_regex_projection():
                raise PipelineError("the expression chooses columns by a selector", hint="name the columns one by one")
            self.text = _to_json(source)
            self.expr = source

    def dtype(self, schema: pl.Schema) -> pl.DataType:
        """The type that it gives on rows of this schema.

        Raises
        ------
        PipelineError
            A column that is not there, types that do not go together, or a result that depends on other rows (a mean,
            a shift, a rank): it would depend on how the rows were cut into partitions.
        """
        rows = pl.LazyFrame(schema=schema)
        try:
            found = rows.select(self.expr.alias(_RESULT)).collect().schema[_RESULT]
            own = by_row(self.expr, schema)
        except pl.exceptions.PolarsError as problem:
            raise PipelineError(f"{self} does not fit the rows here: {_first_line(problem)}") from None
        if isinstance(found, pl.Categorical | pl.Enum):
            raise PipelineError(
                f"{self} gives {type(found).__name__}, which is not the same on every engine",
                hint="end it with .cast(pl.String), or use Categorify or Bucketize for ids",
            )
        if not own:
            raise PipelineError(
                f"{self} looks at other rows than its own",
                hint="use GroupStats, Lag or RollingStats, or an operator of your own",
            )
        return found

    @property
    def roots(self) -> tuple[str, ...]:
        """The columns it reads, each once, in order of appearance."""
        return tuple(dict.fromkeys(self.expr.meta.root_names()))

    def to_plain(self) -> str | dict[str, Any]:
        """What stands in JSON and YAML: the SQL, or `{"polars": <the expression's own JSON>}`."""
        return {"polars": json.loads(self.text)} if self.text.startswith("{") else self.text

    @classmethod
    def from_plain(cls, value: Any) -> Expression:
        """Read what `to_plain` wrote; also takes an Expression or a `pl.Expr`."""
        match value:
            case Expression():
                return value
            case str() | pl.Expr():
                return cls(value)
            case bool() | int() | float():
                return cls(pl.lit(value))
            case {"polars": tree}:
                return cls(_from_json(tree))
            case _:
                raise ValueError(f"expected SQL text or a Polars expression, got {type(value).__name__}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def __str__(self) -> str:
        """For messages: the SQL, or the expression as Polars prints it."""
        return repr(str(self.expr) if self.text.startswith(("{", '"')) else self.text)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.from_plain,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda value: value.to_plain()),
        )


def _parse_sql(text: str) -> pl.Expr:
    try:
        return pl.sql_expr(text)
    except Exception as problem:  # Polars raises several kinds, all of which mean that the text is wrong
        raise PipelineError(f"SQL that does not parse: {text!r} ({problem})") from problem


def _first_line(problem: Exception) -> str:
    return str(problem).strip().split("\n", 1)[0]


def _to_json(expr: pl.Expr) -> str:
    try:
        text = expr.meta.serialize(format="json")
    except pl.exceptions.PolarsError as problem:
        raise PipelineError(f"an expression that cannot be saved: {_first_line(problem)}") from None
    _refuse(json.loads(text))
    return text


def _from_json(tree: Any) -> pl.Expr:
    _refuse(tree)
    try:
        return pl.Expr.deserialize(json.dumps(tree).encode(), format="json")
    except pl.exceptions.PolarsError as problem:
        raise PipelineError(f"no Polars expression: {_first_line(problem)}") from None


_PYTHON: Final = frozenset({"AnonymousFunction", "AnonymousAgg", "PythonUdf", "FfiPlugin", "RenameAlias", "SubPlan"})


def _refuse(tree: Any) -> None:
    """Refuse what runs code of others, or gives different numbers elsewhere; before Polars sees it."""
    names = set(node_names(tree))
    if _PYTHON & names or holds_bytes(tree):
        raise PipelineError(
            "the expression calls a Python function or a plugin, reads a table, or renames",
            hint="write it with Polars expressions or SQL, or as an operator of your own",
        )
    if "Hash" in names:
        raise PipelineError("Polars' hash() gives other numbers on every engine and version", hint="use HashBucket")
    if "Sample" in names:
        raise PipelineError("the expression draws at random, so that no run could be repeated")
