"""cudf-polars' translator, whose expressions mean on the device what they mean to Polars."""

from __future__ import annotations

from typing import Any, Final

from cudf_polars.dsl import expr
from cudf_polars.dsl.translate import Translator
from polars import polars as core  # type: ignore[attr-defined]

from headrace.engines.gpu.dialect import arithmetic, casts, patterns, zones
from headrace.engines.gpu.dialect.once import kind

_NODES: Final = core._expr_nodes
_WRAPS: Final = 2
"""How a cast with `wrap_numerical=True` comes: its values fit."""


class Dialect(Translator):
    """Translates a query; what would raise, or mean something else, on the device is in `errors` as well."""

    def translate_expr(self, *, n: int, schema: Any, allow_array_passthrough: bool = False) -> expr.Expr:
        found = super().translate_expr(n=n, schema=schema, allow_array_passthrough=allow_array_passthrough)
        try:
            return self._meant(self.visitor.view_expression(n), found)
        except NotImplementedError as problem:
            self.errors.append(problem)
            return expr.ErrorExpr(found.dtype, str(problem))

    def _meant(self, node: Any, found: expr.Expr) -> expr.Expr:
        """What cudf-polars made of an expression, as Polars means it; its children are in order already."""
        match found:
            case expr.Cast() if isinstance(node, _NODES.Cast):
                return found if node.options == _WRAPS else casts.cast(found)
            case expr.Cast(children=(expr.TemporalFunction() as part,)):  # cudf-polars gives parts their type
                return found.reconstruct([zones.temporal(part)])
            case expr.BinOp():
                return arithmetic.binary(found)
            case expr.TemporalFunction():
                return zones.temporal(found)
            case expr.UnaryFunction(name="log1p"):
                return arithmetic.log1p(found)
            case expr.UnaryFunction(name="round"):
                return arithmetic.rounded(found)
            case expr.StringFunction() if found.name in patterns.SEARCHES:
                return patterns.search(found)
            case expr.StringFunction(name=expr.StringFunction.Name.ExtractGroups):
                raise NotImplementedError("extract_groups: groups that take no part differ")
            case expr.Literal():
                return zones.constant(_known(found))
        _refuse(found)
        return found


def _known(node: expr.Literal) -> expr.Literal:
    """Raises NotImplementedError for null as a list or a record, of which libcudf makes no scalar."""
    if node.value is None and kind(node).is_nested():
        raise NotImplementedError(f"null as a constant of type {kind(node)}")
    return node


def _refuse(node: expr.Expr) -> None:
    """Raise NotImplementedError for what translates and fails as it runs, or gives another result."""
    match node:
        case expr.UnaryFunction(name="max_horizontal" | "min_horizontal") if kind(node).is_float():
            raise NotImplementedError(f"{node.name} of floats: cuDF has another place for NaN")
        case expr.UnaryFunction(name="shift" | "shift_and_fill") if kind(node).is_nested():
            raise NotImplementedError(f"shift of {kind(node)}")
        case expr.GroupedWindow():
            for aggregation in node.named_aggs:
                _refuse(aggregation.value)
