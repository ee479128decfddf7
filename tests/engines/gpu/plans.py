"""What evaluating a plan of cudf-polars asks of it beyond what its translator checks: found by reading 26.10.

A plan that breaks one of these translates, and fails on the device or mixes columns up there. Which operations and
aggregations there are for which types is asked of pylibcudf, which needs no device for that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pylibcudf as plc
from cudf_polars.dsl import expr, ir
from cudf_polars.dsl.traversal import traversal
from cudf_polars.utils.dtypes import can_cast

from headrace.engines.gpu.dialect.once import Checked, Once


def problems(plan: Any) -> list[str]:
    """What would go wrong, a line each."""
    found = [
        f"{type(node).__name__}: {what}"
        for node in traversal([plan])
        for what in (*of_node(node), *of_expressions(node))
    ]
    return list(dict.fromkeys(found))


def of_node(node: Any) -> Iterator[str]:
    match node:
        case ir.Union():  # columns are put on top of each other by place
            if len({tuple(child.schema.items()) for child in node.children}) > 1:
                yield f"schemas differ: {[dict(child.schema) for child in node.children]}"
        case ir.Join():
            for left, right in zip(node.left_on, node.right_on, strict=True):
                if left.value.dtype.plc_type != right.value.dtype.plc_type:
                    yield f"keys of {left.value.dtype} and {right.value.dtype}"
        case ir.Scan() if node.with_columns is not None:
            index = [node.row_index[0]] if node.row_index else []
            if list(node.schema) != [*index, *node.with_columns]:
                yield f"reads {node.with_columns} as {list(node.schema)}"
        case ir.PythonScan() if node.options[1] is not None:
            if list(node.schema) != list(node.options[1]):
                yield f"asks a source for {node.options[1]}, and takes it for {list(node.schema)}"
        case ir.GroupBy():
            for key in node.keys:
                if plc.traits.is_nested(key.value.dtype.plc_type):
                    yield f"a key of {key.value.dtype}"
            for request in node.agg_requests:
                if isinstance(request.value, expr.Literal) and request.value.value is None:
                    yield f"{request.name}: an aggregation that libcudf lacks became null"


def of_expressions(node: Any) -> Iterator[str]:
    attributes = ("exprs", "columns", "keys", "agg_requests", "left_on", "right_on", "by", "mask", "predicate", "index")
    named = [getattr(node, name, None) for name in attributes]
    flat = [n for value in named for n in (value if isinstance(value, (list, tuple)) else [value])]
    for one in traversal([n.value for n in flat if isinstance(n, expr.NamedExpr)]):
        yield from of_expression(one)


def of_expression(node: Any) -> Iterator[str]:
    kind = node.dtype.plc_type
    match node:
        case Once():
            inner = [node.body, node.holds] if isinstance(node, Checked) else [node.body]
            for one in traversal(inner):
                yield from of_expression(one)
                if isinstance(one, expr.Col) and node.children[int(one.name)].dtype.plc_type != one.dtype.plc_type:
                    yield f"child {one.name} of {type(node).__name__} is read as {one.dtype}"
        case expr.BinOp():
            left, right = (child.dtype.plc_type for child in node.children)
            if not plc.binaryop.is_supported_operation(kind, left, right, node.op):
                yield f"{node.op.name} of {left.id().name} and {right.id().name} to {kind.id().name}"
        case expr.Ternary():
            _, then, otherwise = node.children
            if not then.dtype.plc_type == otherwise.dtype.plc_type == kind:
                yield f"branches of {then.dtype} and {otherwise.dtype} for {node.dtype}"
        case expr.Agg():
            yield from of_aggregation(node)
        case expr.GroupedWindow():
            for aggregation in node.named_aggs:
                yield from of_expression(aggregation.value)
        case expr.Literal():
            if node.value is None and plc.traits.is_nested(kind):
                yield f"null as {node.dtype}"
        case expr.UnaryFunction(name="search_sorted"):
            column, needles = node.children
            if column.dtype.plc_type != needles.dtype.plc_type:
                yield f"search_sorted of {needles.dtype} in {column.dtype}"
        case expr.UnaryFunction(name="fill_null"):
            column, value = node.children
            if column.dtype.plc_type != value.dtype.plc_type and not can_cast(
                value.dtype.plc_type, column.dtype.plc_type
            ):
                yield f"fill_null of {column.dtype} with {value.dtype}"
        case expr.UnaryFunction(name="shift" | "shift_and_fill") if plc.traits.is_nested(kind):
            yield f"shift of {node.dtype}"


def of_aggregation(node: expr.Agg) -> Iterator[str]:
    [child, *_] = node.children
    own = child.dtype.plc_type
    if node.request is not None and not plc.aggregation.is_valid_aggregation(own, node.request):
        yield f"{node.name} of {child.dtype}"
    if node.name in ("min", "max") and own != node.dtype.plc_type:
        yield f"{node.name} of {child.dtype} as {node.dtype}"  # libcudf reduces to the type itself
    if node.name in ("mean", "var", "std") and not plc.traits.is_floating_point(node.dtype.plc_type):
        yield f"{node.name} as {node.dtype}"
