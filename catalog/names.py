"""Names that a caller gives: those of columns, as a list, and what is near to one that there is not."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence, Set
from typing import Any

from headrace.schemas.errors import UsageError


def names_of(what: str, given: Any) -> list[str]:
    """The names in a list, a tuple or whatever else gives them in an order.

    >>> names_of("columns", ("id", "x"))
    ['id', 'x']

    Raises
    ------
    UsageError
        It is one name instead of a list, a set, which has no order, or holds what is no name; a name comes twice.
    """
    hint = f"{what}=[{given!r}]" if isinstance(given, str) else f'{what}=["...", ...]'
    if isinstance(given, str | bytes | Set) or not isinstance(given, Iterable):
        raise UsageError(f"{what} is {given!r}; expected a list of names", hint=hint)
    names = list(given)
    if wrong := [name for name in names if not isinstance(name, str)]:
        raise UsageError(f"{what} has {wrong[0]!r}; expected a list of names", hint=hint)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"{what}: {', '.join(map(repr, twice))} more than once")
    return names


def near(name: str, known: Sequence[str]) -> str:
    """`` (did you mean 'x'?)``, or what there is, or nothing."""
    if close := difflib.get_close_matches(name, known, n=3, cutoff=0.5):
        return f"; did you mean {' or '.join(repr(match) for match in close)}?"
    if not known:
        return "; there are none"
    return f"; there are {', '.join(known[:10])}{' ...' if len(known) > 10 else ''}"
