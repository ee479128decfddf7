"""How a step names the columns it works on: by name, by kind, by pattern or by a Polars selector."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, Final

import polars as pl
import polars.selectors as cs
from pydantic import BaseModel, ConfigDict, field_validator, model_serializer, model_validator

from headrace.schemas.errors import PipelineError
from headrace.schemas.nodes import holds_bytes

KINDS: Final[dict[str, Callable[[], cs.Selector]]] = {
    "all": cs.all,
    "boolean": cs.boolean,
    "float": cs.float,
    "integer": cs.integer,
    "numeric": cs.numeric,
    "string": cs.string,
    "temporal": cs.temporal,
}


class Columns(BaseModel):
    """Columns by name, or a selector that the pipeline expands when it knows the schema.

    Written as a list of names, one name, a kind (`numeric`, `string`, `float`, `integer`, `boolean`, `temporal`,
    `all`), a pattern (`^delay_.*$`), or in Python a `polars.selectors` selector. Kinds and patterns are tried before
    names; a column that is called like a kind is given in a list.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    names: tuple[str, ...] = ()
    selector: str = ""

    @model_validator(mode="before")
    @classmethod
    def _from_short_forms(cls, value: Any) -> Any:
        match value:
            case str() if value in KINDS or value.startswith(("^", "{")):
                return {"selector": value}
            case str():
                return {"names": (value,)}
            case cs.Selector():
                return {"selector": value.meta.serialize(format="json")}
            case list() | tuple():
                return {"names": tuple(value)}
            case _:
                return value

    @field_validator("names")
    @classmethod
    def _names_differ(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) != len(names):
            twice = sorted({n for n in names if names.count(n) > 1})
            raise ValueError(f"columns named twice: {', '.join(twice)}")
        return names

    @model_serializer
    def _to_short_form(self) -> Any:
        return list(self.names) if not self.selector else self.selector

    def expand(self, schema: pl.Schema, reserved: Iterable[str] = ()) -> Columns:
        """The same columns by name: those a selector matches in `schema`, less the reserved ones, in schema order.

        Raises
        ------
        PipelineError
            A selector that matches nothing, or that cannot be read.
        """
        if not self.selector:
            return self
        kept = set(reserved)
        try:
            matched = cs.expand_selector(schema, _selector(self.selector))
        except pl.exceptions.PolarsError as problem:
            raise PipelineError(f"the selector {self.selector!r} does not work here: {problem}") from None
        names = tuple(n for n in matched if n not in kept and not n.startswith("__"))
        if not names:
            here = [n for n in schema.names() if not n.startswith("__")]
            apart = [n for n in matched if n in kept and n in here]
            raise PipelineError(
                f"the selector {self.selector!r} matches no column (target, key and split columns never match)",
                hint=f"to change {apart[0]!r}, name it" if apart else f"the columns here are {', '.join(here)}",
            )
        return Columns(names=names)

    def __iter__(self) -> Any:  # tuple-like on purpose; pydantic's iteration over fields is not needed here
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def _selector(text: str) -> cs.Selector:
    """Read what `Columns` keeps of a selector. Only a selector: any other expression could hold a pickled function."""
    if text in KINDS:
        return KINDS[text]()
    if text.startswith("^"):
        return cs.matches(text)
    try:
        tree = json.loads(text)
    except ValueError:
        tree = None
    if not isinstance(tree, dict) or list(tree) != ["Selector"] or holds_bytes(tree):
        raise PipelineError(
            f"{text[:60]!r} is no selector",
            hint=f"a list of names, one of {', '.join(KINDS)}, or a pattern such as '^delay_.*$'",
        )
    return pl.Expr.deserialize(json.dumps(tree).encode(), format="json").meta.as_selector()
