"""Columns as Hugging Face's card lists them, so that `datasets` knows them before it has opened a file."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from headrace.catalog.arrow_schema import ArrowField
from headrace.catalog.arrow_types import arrow_type

_SAME = (
    *(pa.types.is_integer, pa.types.is_boolean, pa.types.is_timestamp, pa.types.is_time, pa.types.is_duration),
    *(pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary),
)
_NAMED = {
    pa.float16(): "float16",
    pa.float32(): "float32",
    pa.float64(): "float64",
    pa.date32(): "date32",
    pa.date64(): "date64",
}


def features(fields: tuple[ArrowField, ...]) -> list[dict[str, Any]] | None:
    """`dataset_info.features` of a card; None if a column has a type that is not sure to be spelled right.

    A wrong one makes `load_dataset` fail, none makes it look into the first file.
    """
    try:
        return [{"name": field.name, **_feature(arrow_type(field.type))} for field in fields]
    except ValueError:
        return None


def _feature(dtype: pa.DataType) -> dict[str, Any]:
    if pa.types.is_large_list(dtype):
        return {"large_list": _inner(dtype.value_type)}
    if pa.types.is_fixed_size_list(dtype):
        return {"sequence": _inner(dtype.value_type), "length": dtype.list_size}
    if pa.types.is_list(dtype):
        return {"sequence": _inner(dtype.value_type)}
    return {"dtype": _value(dtype)}


def _inner(dtype: pa.DataType) -> str | dict[str, Any]:
    feature = _feature(dtype)
    inner: str | dict[str, Any] = feature.get("dtype", feature)
    return inner


def _value(dtype: pa.DataType) -> str:
    if dtype in _NAMED:
        return _NAMED[dtype]
    if any(same(dtype) for same in _SAME):
        return str(dtype)
    raise ValueError(f"{dtype} is not listed here")
