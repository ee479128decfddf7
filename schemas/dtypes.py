"""Dtypes as text: one canonical spelling to write, many to read."""

from __future__ import annotations

import re
from typing import Final

import polars as pl

_NAMED: Final[dict[str, pl.DataType]] = {
    "Int8": pl.Int8(),
    "Int16": pl.Int16(),
    "Int32": pl.Int32(),
    "Int64": pl.Int64(),
    "UInt8": pl.UInt8(),
    "UInt16": pl.UInt16(),
    "UInt32": pl.UInt32(),
    "UInt64": pl.UInt64(),
    "Float32": pl.Float32(),
    "Float64": pl.Float64(),
    "Boolean": pl.Boolean(),
    "String": pl.String(),
    "Binary": pl.Binary(),
    "Date": pl.Date(),
    "Time": pl.Time(),
}

# What Arrow, Parquet, Rust (ODCS's own formats) and SQL call them.
_ALIASES: Final = {
    "i8": "Int8", "tinyint": "Int8", "byte": "Int8",
    "i16": "Int16", "smallint": "Int16", "short": "Int16",
    "i32": "Int32", "int": "Int32", "integer": "Int32",
    "i64": "Int64", "bigint": "Int64", "long": "Int64",
    "u8": "UInt8", "u16": "UInt16", "u32": "UInt32", "u64": "UInt64",
    "f32": "Float32", "float": "Float32", "real": "Float32",
    "f64": "Float64", "double": "Float64", "double precision": "Float64",
    "bool": "Boolean",
    "str": "String", "utf8": "String", "text": "String", "varchar": "String", "char": "String",
    "large_string": "String", "large_utf8": "String", "string_view": "String",
    "bytes": "Binary", "bytea": "Binary", "blob": "Binary", "varbinary": "Binary", "large_binary": "Binary",
    "date32": "Date", "time64": "Time", "time32": "Time",
}  # fmt: skip
_SIMPLE: Final = {name.lower(): dtype for name, dtype in _NAMED.items()} | {
    alias: _NAMED[name] for alias, name in _ALIASES.items()
}
_TEXT: Final = re.compile(r"^\s*([A-Za-z][\w ]*?)\s*(?:[\[<(](.*)[\]>)])?\s*$", re.DOTALL)
_UNITS: Final = ("ns", "us", "ms")

ACCEPTED: Final = (
    f"{', '.join(_NAMED)}, Datetime[us], Datetime[us, UTC], Duration[us], Decimal(18, 2), List[Int64], "
    "Array[Float32, 16], Struct[x: Int64]"
)
"""The spellings to name in a message."""


def dtype_name(dtype: pl.DataType) -> str:
    """Give a dtype's canonical text, which `parse_dtype` reads back; a dtype without one gets Polars' own text.

    >>> dtype_name(pl.Datetime("us", "UTC"))
    'Datetime[us, UTC]'
    """
    match dtype:
        case pl.Datetime(time_unit=unit, time_zone=zone):
            return f"Datetime[{unit}]" if zone is None else f"Datetime[{unit}, {zone}]"
        case pl.Duration(time_unit=unit):
            return f"Duration[{unit}]"
        case pl.Decimal(precision=precision, scale=scale):
            return f"Decimal({precision}, {scale})"
        case pl.List(inner=inner):
            return f"List[{dtype_name(instance(inner))}]"
        case pl.Array(inner=inner, size=size):
            return f"Array[{dtype_name(instance(inner))}, {size}]"
        case pl.Struct(fields=fields):
            return f"Struct[{', '.join(f'{field.name}: {dtype_name(instance(field.dtype))}' for field in fields)}]"
    return str(dtype)


def parse_dtype(text: str) -> pl.DataType:
    """Read a dtype's text: canonical, or as Arrow, Parquet, Rust or SQL spell it, in any case.

    >>> parse_dtype("timestamp[us, tz=UTC]") == parse_dtype("Datetime[us, UTC]") == pl.Datetime("us", "UTC")
    True

    Raises
    ------
    ValueError
        The text names no dtype that a contract can have; the message lists those it can.
    """
    match = _TEXT.match(text)
    if match:
        head, inside = match[1].lower(), match[2]
        dtype = _SIMPLE.get(head) if inside is None or head in _LENGTHS else _compound(head, split_inside(inside))
        dtype = dtype if dtype is not None or inside is not None else _bare(head)
        if dtype is not None:
            return dtype
    raise ValueError(f"'{text}' is no type known here; expected one of {ACCEPTED}")


# SQL gives these a length, time64 has a unit: neither says anything about the values that Polars holds.
_LENGTHS: Final = frozenset({"varchar", "char", "varbinary", "time64", "time32"})


def _bare(head: str) -> pl.DataType | None:
    match head:
        case "timestamp" | "datetime" | "timestamp_ntz" | "timestamp without time zone":
            return pl.Datetime("us")
        case "timestamptz" | "timestamp_tz" | "timestamp with time zone":
            return pl.Datetime("us", "UTC")
        case "duration":
            return pl.Duration("us")
    return None


def _compound(head: str, arguments: list[str]) -> pl.DataType | None:
    match head, arguments:
        case (("timestamp" | "datetime"), [unit, *zone]) if unit in _UNITS and len(zone) < 2:
            return pl.Datetime(unit, zone[0].removeprefix("tz=") if zone else None)  # type: ignore[arg-type]
        case "duration", [unit] if unit in _UNITS:
            return pl.Duration(unit)  # type: ignore[arg-type]
        case (("decimal" | "numeric" | "decimal128"), [precision, scale]) if precision.isdigit() and scale.isdigit():
            return pl.Decimal(int(precision), int(scale))
        case (("list" | "array" | "large_list"), [inner]):
            return pl.List(parse_dtype(inner))
        case (("array" | "fixed_size_list"), [inner, size]) if size.isdigit() and int(size) > 0:
            return pl.Array(parse_dtype(inner), int(size))
        case "struct", [_, *_] if all(":" in argument for argument in arguments):
            pairs = [argument.split(":", 1) for argument in arguments]
            return pl.Struct({name.strip(): parse_dtype(kind) for name, kind in pairs})
    return None


def split_inside(inside: str) -> list[str]:
    """Split what stands inside a type's brackets at the commas that no bracket holds.

    >>> split_inside("x: Int64, y: Decimal(18, 2)")
    ['x: Int64', 'y: Decimal(18, 2)']
    """
    parts, depth, begin = [], 0, 0
    for position, character in enumerate(inside):
        depth += (character in "[<(") - (character in "]>)")
        if character == "," and depth == 0:
            parts.append(inside[begin:position].strip())
            begin = position + 1
    parts.append(inside[begin:].strip())
    return parts


def instance(dtype: object) -> pl.DataType:
    """Give a dtype's instance: inside nested dtypes Polars also takes the class."""
    return dtype if isinstance(dtype, pl.DataType) else dtype()  # type: ignore[operator]
