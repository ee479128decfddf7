"""Regular expressions: what means the same to libcudf as to Polars, written as libcudf wants it.

Both engines search for the leftmost match and prefer the first alternative and the longest repetition. They differ in
`\\d`, `\\w`, `\\s` and `\\b` (other tables of Unicode), in flags, in `$` (before a last line end, too) and in groups
that take no part in a match. libcudf checks no pattern fully: what it does with others is undefined.

Sources: https://docs.rs/regex/latest/regex/#syntax and https://docs.rapids.ai/api/libcudf/stable/md_regex.
"""

from __future__ import annotations

import re
from typing import Final

from cudf_polars.containers import DataType
from cudf_polars.dsl import expr

_NAMES: Final = expr.StringFunction.Name
SEARCHES: Final = (_NAMES.Contains, _NAMES.CountMatches, _NAMES.Extract, _NAMES.Find)
"""Functions whose second argument may be a pattern."""

_CHARACTER: Final = r"(?:[^\\\[\]^$.|?*+(){}-]|\\[\\\[\]^$.|?*+(){}-])"
_TOKEN: Final = re.compile(
    rf"""(?P<open>\((?:\?:)?) | (?P<close>\)) | (?P<either>\|)
    | (?P<class>\[\^?(?:{_CHARACTER}-{_CHARACTER}|{_CHARACTER})+\])
    | (?P<repeat>(?:[*+?]|\{{\d{{1,3}}(?:,(?:\d{{1,3}})?)?\}})\??)
    | (?P<any>\.) | (?P<start>\^) | (?P<end>\$)
    | (?P<one>{_CHARACTER}|-)""",
    re.VERBOSE | re.DOTALL,
)


def search(found: expr.StringFunction) -> expr.Expr:
    """A search as libcudf runs it with the same result; raises NotImplementedError for other patterns."""
    if found.name is not _NAMES.Extract and found.options[0]:  # a text, not a pattern
        return found
    column, pattern, *rest = found.children
    if not isinstance(pattern, expr.Literal) or not isinstance(pattern.value, str):
        raise NotImplementedError("a pattern that is no constant")
    written = expr.Literal(DataType(pattern.dtype.polars_type), as_libcudf(pattern.value))
    return expr.StringFunction(found.dtype, found.name, found.options, column, written, *rest)


def as_libcudf(pattern: str) -> str:
    """The pattern for libcudf; raises NotImplementedError where it might mean something else."""
    tokens = _tokens(pattern)
    kinds = [kind for kind, _ in tokens]
    depth, before = 0, ""
    for place, (kind, text) in enumerate(tokens):
        match kind:
            case "open":
                depth += 1
            case "close":
                depth -= 1
            case "repeat" if before not in ("class", "any", "one"):
                raise _other(pattern, f"{text!r} after {'nothing' if not before else 'a group or an anchor'}")
            case "start" if place > 0:
                raise _other(pattern, "'^' after the beginning")
            case "end" if place < len(tokens) - 1:
                raise _other(pattern, "'$' before the end")
        if not 0 <= depth <= 1:
            raise _other(pattern, "groups within groups")
        if kind in ("close", "either") and before in ("", "open", "either", "start"):
            raise _other(pattern, "an empty alternative or group")
        if kind == "end" and before in ("", "open", "either", "start"):
            raise _other(pattern, "nothing before '$'")
        if kind == "either" and depth == 0 and ("open" in kinds or "start" in kinds or "end" in kinds):
            raise _other(pattern, "'|' beside groups or anchors")
        before = kind
    if depth or not tokens or before in ("either", "start"):
        raise _other(pattern, "a pattern without an end" if tokens else "nothing")
    return "".join(r"\Z" if kind == "end" else text for kind, text in tokens)


def _tokens(pattern: str) -> list[tuple[str, str]]:
    tokens, place = [], 0
    while place < len(pattern):
        token = _TOKEN.match(pattern, place)
        if token is None:
            raise _other(pattern, f"{pattern[place : place + 3]!r}")
        assert token.lastgroup is not None
        tokens.append((token.lastgroup, token.group()))
        place = token.end()
    return tokens


def _other(pattern: str, what: str) -> NotImplementedError:
    return NotImplementedError(f"the pattern {pattern!r}: libcudf may read {what} in another way")
