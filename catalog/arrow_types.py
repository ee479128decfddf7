"""Arrow types from their spelling, which is all that a manifest keeps of them."""

from __future__ import annotations

import re
from typing import Final

import pyarrow as pa

from headrace.schemas.dtypes import split_inside

_LIST: Final = re.compile(r"(list|large_list)<(.+)>", re.DOTALL)
_FIXED: Final = re.compile(r"fixed_size_list<(.+)>\[(\d+)\]", re.DOTALL)
_STRUCT: Final = re.compile(r"struct<(.*)>", re.DOTALL)
_DICTIONARY: Final = re.compile(r"dictionary<values=(.+), indices=(\w+), ordered=([01])>", re.DOTALL)
_TIMESTAMP: Final = re.compile(r"timestamp\[(s|ms|us|ns)(?:, tz=(.+))?\]")
_DECIMAL: Final = re.compile(r"decimal(32|64|128|256)\((\d+), (-?\d+)\)")
_BINARY: Final = re.compile(r"fixed_size_binary\[(\d+)\]")
_FIELD: Final = re.compile(r"(.*?): (.+?)( not null)?", re.DOTALL)
# Spellings that Arrow writes and does not read back by that name.
_NAMED: Final = {"date32[day]": pa.date32(), "date64[ms]": pa.date64(), "halffloat": pa.float16()}


def arrow_type(spelled: str) -> pa.DataType:
    """The type that Arrow spells so.

    >>> arrow_type("fixed_size_list<element: float not null>[16]").list_size
    16

    Raises
    ------
    ValueError
        No type is spelled so; among them are records whose field names hold what spellings are made of.
    """
    if spelled in _NAMED:
        return _NAMED[spelled]
    if found := _LIST.fullmatch(spelled):
        return (pa.list_ if found[1] == "list" else pa.large_list)(_field(found[2]))
    if found := _FIXED.fullmatch(spelled):
        return pa.list_(_field(found[1]), int(found[2]))
    if found := _STRUCT.fullmatch(spelled):
        return pa.struct([_field(part) for part in split_inside(found[1]) if part])
    if found := _DICTIONARY.fullmatch(spelled):
        return pa.dictionary(arrow_type(found[2]), arrow_type(found[1]), found[3] == "1")
    if found := _TIMESTAMP.fullmatch(spelled):
        return pa.timestamp(found[1], found[2])
    if found := _DECIMAL.fullmatch(spelled):
        return getattr(pa, f"decimal{found[1]}")(int(found[2]), int(found[3]))
    if found := _BINARY.fullmatch(spelled):
        return pa.binary(int(found[1]))
    return pa.type_for_alias(spelled)


def _field(spelled: str) -> pa.Field:
    found = _FIELD.fullmatch(spelled)
    if found is None:
        raise ValueError(f"no field of an Arrow type: {spelled}")
    return pa.field(found[1], arrow_type(found[2]), found[3] is None)
