"""The table of operators and laws, from trying every example of every operator."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import polars as pl
from tests.transforms.examples import EXAMPLES, FRAMES, SCHEMA, TABLES

from headrace.engines.translation import TranslationEngine
from headrace.testing.check import LAWS
from headrace.testing.subject import Subject, subjects
from headrace.transforms.base import Learner
from headrace.transforms.registry import OPERATORS, operator_from_plain

COLUMNS: Final[Mapping[str, str]] = {
    "values": "its test module has expected values of it: literals, or those of another implementation",
    "nulls": "columns of nulls alone: learned from and applied to",
    "empty": "no rows and one row: learned from and applied to",
    "lists": "list columns: `yes` where an example reads one, and keeps all laws",
    "partitions": "what is learned, and what a row gets, is equal to the byte however the rows are cut",
    "laws": "all other laws of `headrace.testing`: schema, JSON, columns, order, ids, edges of types",
    "translates": "every query of it runs on the GPU engine, by cudf-polars' own translator; kernels by name",
    "on a GPU": "values on a GPU are those on the CPU; `not run` where there was none",
}
"""The columns with what they say."""

_OF_PARTITIONS: Final = ("alone", "merging", "identity", "partitions", "settling")
_OTHERS: Final = [law for law in LAWS if law not in (*_OF_PARTITIONS, "translation", "gpu")]
_TESTS: Final = Path(__file__).parents[1] / "transforms"


class Row(NamedTuple):
    """An operator with its cells, one for each of `COLUMNS`, and the laws it broke."""

    operator: str
    cells: tuple[str, ...]
    broken: tuple[str, ...] = ()


def row(name: str) -> Row:
    """Try all examples of an operator."""
    found = [
        part for fields in EXAMPLES[name] for part in subjects(operator_from_plain({name: fields}), FRAMES, TABLES)
    ]
    broken: list[str] = []
    lists = [part for part in found if any(isinstance(SCHEMA.get(column), pl.List) for column in part.step.reads)]
    kernels = sorted({kernel for part in found for kernel in _kernels(part)})
    cells = {
        "values": "yes" if value_tests(name) else "no",
        "nulls": _cell(_only(found, "all null"), _OTHERS, broken),
        "empty": _cell([*_only(found, "no rows"), *_only(found, "one row")], _OTHERS, broken),
        "partitions": _cell(found, _OF_PARTITIONS, broken),
        "laws": _cell(found, _OTHERS, broken),
        "translates": _cell(found, ["translation"], broken, "not checked"),
        "on a GPU": _cell(found, ["gpu"], broken, "not run"),
    }
    cells["lists"] = ("no" if broken else "yes") if lists else "not taken"
    if cells["translates"] == "yes" and kernels:
        cells["translates"] = f"yes, {', '.join(f'`{kernel}`' for kernel in kernels)}"
    return Row(name, tuple(cells[column] for column in COLUMNS), tuple(broken))


def _only(found: Sequence[Subject], frame: str) -> list[Subject]:
    return [replace(part, frames={frame: FRAMES[frame]}) for part in found]


def _cell(found: Sequence[Subject], laws: Sequence[str], broken: list[str], untried: str = "yes") -> str:
    """`yes` where all laws hold on all of these, `no` where one does not, else that none could be tried."""
    before, tried = len(broken), False
    for law in laws:
        for part in found:
            if LAWS[law].skipped(part):
                continue
            tried = True
            if wrong := LAWS[law].check(part):
                broken.append(f"{part.step!r}\n{law}: {wrong}")
                break
    return "no" if len(broken) > before else "yes" if tried else untried


def _kernels(part: Subject) -> list[str]:
    engine, rows = TranslationEngine(), part.rows.lazy()
    if isinstance(part.step, Learner):
        part.step.measure(rows, engine)
    part.form.apply(rows, engine)
    return engine.kernels


def value_tests(name: str) -> int:
    """How many tests of the modules named after an operator's module speak of it, or of a function there that does."""
    module = OPERATORS[name].__module__.rpartition(".")[2]
    count = 0
    for path in [_TESTS / f"test_{module}.py", *_TESTS.glob(f"test_{module}_*.py")]:
        text = path.read_text() if path.exists() else ""
        functions = {
            n.name: ast.get_source_segment(text, n) or ""
            for n in ast.parse(text).body
            if isinstance(n, ast.FunctionDef)
        }
        speak = {name}
        speak |= {f for f, body in functions.items() if not f.startswith("test_") and _names(body) & speak}
        count += sum(f.startswith("test_") and bool(_names(body) & speak) for f, body in functions.items())
    return count


def _names(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def document(rows: Sequence[Row]) -> str:
    """docs/operators.md."""
    head = f"| operator | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 1)}"
    lines = "\n".join(f"| [{r.operator}](operators/{r.operator}.md) | {' | '.join(r.cells)} |" for r in rows)
    legend = "\n".join(f"- **{column}**: {words}." for column, words in COLUMNS.items())
    return f"""# Operators

What each operator promises, and what was tried. `make conformance` writes this page and those of the operators: it
tries the laws of `headrace.testing` on every example of every operator, on columns of all types with nulls, NaN,
infinities and extremes. To try them on an operator of your own, see [own operators](own-operators.md).

{head}
{lines}

{legend}
"""


def text(rows: Sequence[Row]) -> str:
    """The table for a terminal."""
    table = [("operator", *COLUMNS), *((r.operator, *(cell.replace("`", "") for cell in r.cells)) for r in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in table
    )
