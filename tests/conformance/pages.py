"""A page for each operator, from its docstring, its fields and the table of twins."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Final, Literal, NamedTuple, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from headrace.transforms.base import Join, Learner, Operator, Window
from headrace.transforms.columns import Columns
from headrace.transforms.registry import OPERATORS
from headrace.transforms.twins import LIBRARIES, TWINS, Twins

_SECTION: Final = re.compile(r"^(\w+)\n-+\n", re.MULTILINE)
_FIELD: Final = re.compile(r"^(\w[\w, ]*)\n((?:    .*\n?|\n)+)", re.MULTILINE)
_LONG: Final = 30


class Docstring(NamedTuple):
    """A docstring in its parts."""

    effect: str
    sections: Mapping[str, str]
    fields: Mapping[str, str]


def docstring(kind: type[Operator]) -> Docstring:
    """The parts of an operator's docstring."""
    head, *rest = _SECTION.split(inspect.getdoc(kind) or "")
    sections = dict(zip(rest[::2], (text.strip("\n") for text in rest[1::2]), strict=True))
    fields = {
        name: " ".join(text.split())
        for names, text in _FIELD.findall(sections.get("Parameters", "") + "\n")
        for name in names.split(", ")
    }
    return Docstring(head.strip(), sections, fields)


def pages() -> dict[str, str]:
    """The text of each page by its operator's name."""
    return {name: page(kind) for name, kind in OPERATORS.items()}


def page(kind: type[Operator]) -> str:
    """An operator's page: what it does, its fields, errors, nulls and cost, an example, its twins."""
    name, doc = kind.__name__, docstring(kind)
    rows = "\n".join(_row(field, info, doc.fields.get(field, "")) for field, info in kind.model_fields.items())
    parts = [
        f"# {name}\n\n{doc.effect}\n\n{_kind(kind)} [All operators](../operators.md)",
        f"## Fields\n\n| field | type | default | meaning |\n|---|---|---|---|\n{rows}",
    ]
    if "Raises" in doc.sections:
        errors = _FIELD.findall(doc.sections["Raises"] + "\n")
        parts.append("## Errors\n\n" + "\n".join(f"- {error}: {' '.join(text.split())}" for error, text in errors))
    if "Notes" in doc.sections:
        parts.append(f"## Nulls, cost, sources\n\n{doc.sections['Notes']}")
    if "Examples" in doc.sections:
        module = kind.__module__
        code = f">>> import polars as pl\n>>> from {module} import {name}\n{doc.sections['Examples']}"
        parts.append(f"## Example\n\n```python\n{code}\n```")
    parts.append(f"## Elsewhere\n\n{_elsewhere(TWINS.get(name, Twins()))}")
    return "\n\n".join(parts) + "\n"


def _kind(kind: type[Operator]) -> str:
    if issubclass(kind, Learner):
        return "Learns from the training rows, then computes each row alone."
    if issubclass(kind, Window):
        return "Computes a row from the other rows of its entity, which are brought together first."
    if issubclass(kind, Join):
        return "Computes a row from a table of the source."
    return "Computes each row alone."


def _row(name: str, info: FieldInfo, meaning: str) -> str:
    if info.is_required():
        default = "required"
    else:
        text = repr(info.get_default(call_default_factory=True))
        default = f"`{text}`" if len(text) <= _LONG else "see right"
    cells = (f"`{name}`", type_words(info.annotation), default, meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def type_words(annotation: Any) -> str:
    """A field's type in words, as one would write the value in YAML."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation is Columns:
        return "columns"
    if annotation is None or annotation is type(None):
        return "none"
    if origin is Annotated:
        return type_words(inner[0])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(type_words(part) for part in inner if part is not type(None)))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"{type_words(inner[0])} to {type_words(inner[1])}"
    if isinstance(origin, type) and issubclass(origin, Collection):
        parts = dict.fromkeys(type_words(part) for part in inner if part is not Ellipsis)
        return f"list of {' and '.join(parts)}"
    plain = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "any"}
    return plain.get(annotation) or getattr(annotation, "__name__", str(annotation))


def _elsewhere(twins: Twins) -> str:
    found = [
        f"- {library}: {', '.join(f'`{name}`' for name in getattr(twins, field)) or 'none'}"
        for field, library in LIBRARIES.items()
    ]
    return "\n".join(found)
