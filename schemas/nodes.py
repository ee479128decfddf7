"""What can be said of a Polars expression before it is run: what its JSON holds, and whether it keeps to one row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import polars as pl

_BYTES: Final = 8
"""Polars writes the four seeds of a hash as numbers; no byte string that could be a program is so short."""


def node_names(tree: Any) -> Iterator[str]:
    """The names of all nodes, and of their fields; not the user's own words in columns and texts."""
    if isinstance(tree, dict):
        for name, inner in tree.items():
            yield name
            if not (name in ("Column", "String") and isinstance(inner, str)):
                yield from node_names(inner)
    elif isinstance(tree, list):
        for inner in tree:
            yield from node_names(inner)
    elif isinstance(tree, str):
        yield tree  # a node without fields is its name alone


def holds_bytes(tree: Any) -> bool:
    """Whether there are raw bytes outside a constant: that is how Polars writes a pickled Python function.

    It unpickles them as soon as it reads them, in several kinds of node, so that this must be asked of the text.
    """
    if isinstance(tree, dict):
        return any(name != "Literal" and holds_bytes(inner) for name, inner in tree.items())
    if isinstance(tree, list):
        numbers = sum(isinstance(inner, int) for inner in tree)
        return numbers > _BYTES or any(holds_bytes(inner) for inner in tree)
    return False


def by_row(expr: pl.Expr, schema: pl.Schema) -> bool:
    """Whether each result depends on the columns of its own row alone, and so not on how rows were cut into parts.

    Polars moves a slice below an expression exactly where that is so. Raises Polars' errors where the expression does
    not fit the schema.
    """
    plan = pl.LazyFrame(schema=schema).with_columns(expr.alias("__result")).slice(1, 1).explain()
    return plan.lstrip().startswith("WITH_COLUMNS")
