"""From the standard's tables, properties and quality rules to the fields of a contract."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from headrace.schemas.dtypes import dtype_name, parse_dtype
from headrace.schemas.errors import ContractError

if TYPE_CHECKING:
    from open_data_contract_standard.model import DataQuality, SchemaObject, SchemaProperty

ENGINE: Final = "headrace"

_BOUNDS: Final = {
    "minimum": "minimum",
    "maximum": "maximum",
    "exclusiveMinimum": "exclusive_minimum",
    "exclusiveMaximum": "exclusive_maximum",
}
_LENGTHS: Final = {"minLength": "min_length", "maxLength": "max_length", "pattern": "pattern"}
# Options that say how a value is meant or written, and ask for no check.
_TYPING: Final = {"format", "timezone", "defaultTimezone", "dimensions", "elementType"}
_ADVICE: Final = {"distanceMetric", "embeddingModel", "embeddingModelVersion", "normalized"}

_COUNT: Final = re.compile(
    r"""^\s*SELECT\s+COUNT\s*\(\s*\*\s*\)\s+FROM\s+(?:"[^"]*"|\S+)\s+WHERE\s+(.+?)\s*;?\s*$""", re.I | re.DOTALL
)
_COLUMN: Final = re.compile(r"\$?\{(?:column|field|property)\}")


def read_table(table: SchemaObject, where: str) -> dict[str, Any]:
    """Give the fields ``table``, ``columns``, ``rules``, ``primary_key`` and ``extra`` of a contract.

    Raises
    ------
    ContractError
        A property or rule that cannot be read, or a check that would be left out.
    """
    properties = table.properties or []
    if not properties:
        raise ContractError("properties: got none, expected the table's columns", where=f"{where}: {table.name}")
    rules: list[dict[str, Any]] = []
    columns = [_column(item, rules, where) for item in properties]
    for check in table.quality or []:
        place = f"{where}: {table.name}, quality {check.name or check.metric or check.type}"
        found = _quality(check, None, place)
        if found and "sql" not in found:
            raise ContractError("this metric is for columns", where=place, hint="move it to the property it is about")
        rules += [found] if found else []
    keys = sorted(
        (item.primaryKeyPosition if (item.primaryKeyPosition or -1) > 0 else len(properties) + index, _name(item))
        for index, item in enumerate(properties)
        if item.primaryKey
    )
    extra = _custom(table, "extraColumns")
    return {
        "table": table.physicalName or table.name or "table",
        "columns": columns,
        "rules": rules,
        "primary_key": [name for _, name in keys],
    } | ({} if extra is None else {"extra": extra})


def _column(item: SchemaProperty, rules: list[dict[str, Any]], where: str) -> dict[str, Any]:
    name = _name(item)
    place = f"{where}: {name or '(a property without a name)'}"
    if not name:
        raise ContractError("name: got nothing, expected the column's name", where=place)
    column: dict[str, Any] = {
        "name": name,
        "dtype": _dtype(item, place),
        "required": bool(item.required),
        "unique": bool(item.unique),
        "description": item.description or "",
    }
    for option, value in (item.logicalTypeOptions or {}).items():
        field = (_BOUNDS | _LENGTHS).get(option)
        if field:
            column[field] = value
        elif option not in _TYPING | _ADVICE:
            raise ContractError(
                f"logicalTypeOptions.{option}: headrace has no such check",
                where=place,
                hint="take it out, or say it as a rule of the table in SQL",
            )
    if item.enum:
        column["allowed"] = [entry.value for entry in item.enum]
    for check in item.quality or []:
        found = _quality(check, name, f"{place}, quality {check.name or check.metric or check.type}")
        if found and "sql" in found:
            rules.append(found)
            continue
        double = [field for field in found if field in column and field not in ("required", "unique")]
        if double:
            raise ContractError(f"{', '.join(double)}: said twice", where=place)
        column |= found
    for field, key in (("role", "role"), ("allow_non_finite", "allowNonFinite")):
        value = _custom(item, key)
        if value is not None:
            column[field] = value
    return column


def _quality(check: DataQuality, column: str | None, place: str) -> dict[str, Any]:
    """Give the fields of a column, or of an SQL rule; nothing where the check is not for headrace."""
    kind = check.type or "library"
    if kind == "text" or (kind == "custom" and check.engine != ENGINE):
        return {}
    if kind == "custom":
        return _rule(check, check.implementation, column, place)
    if check.mustBe != 0 or isinstance(check.mustBe, bool):
        raise ContractError(
            "headrace checks row by row and cannot check this number",
            where=place,
            hint="say `mustBe: 0`: no row may be bad; a run's `max_bad_fraction` says how many are borne",
        )
    if kind == "sql":
        counted = _COUNT.match(check.query or "")
        if not counted:
            raise ContractError(
                f"query: got {check.query!r}, expected 'SELECT COUNT(*) FROM <table> WHERE NOT (<condition>)'",
                where=place,
            )
        return _rule(check, _positive(counted[1]), column, place)
    arguments = check.arguments or {}
    match check.metric or check.rule:
        case "nullValues":
            return {"required": True}
        case "duplicateValues" if column is not None:
            return {"unique": True}
        case "invalidValues" if set(arguments) & {"validValues", "pattern"}:
            named = {"allowed": arguments.get("validValues"), "pattern": arguments.get("pattern")}
            return {field: value for field, value in named.items() if value is not None}
    raise ContractError(
        f"metric: headrace cannot check {check.metric or check.rule!r} with {arguments or 'no arguments'}",
        where=place,
        hint="it checks nullValues, duplicateValues, and invalidValues with validValues or pattern",
    )


def _rule(check: DataQuality, sql: Any, column: str | None, place: str) -> dict[str, Any]:
    name = check.name or check.id
    if not name or not isinstance(sql, str):
        raise ContractError(
            f"got name {name!r} and condition {sql!r}, expected a name, and a condition in SQL as text", where=place
        )
    quoted = f'"{column}"'
    return {
        "name": name,
        "sql": _COLUMN.sub(lambda _: quoted, sql) if column else sql,
        "description": check.description or "",
    }


def _positive(bad: str) -> str:
    """Give the condition that holds for good rows, from the one that counts the bad."""
    inner = re.match(r"^NOT\s*\((.*)\)$", bad, re.I | re.DOTALL)
    if inner:
        depth = 0
        for character in inner[1]:
            depth += (character == "(") - (character == ")")
            if depth < 0:
                break
        else:
            return inner[1].strip()
    return f"NOT ({bad})"


def _dtype(item: SchemaProperty, place: str) -> pl.DataType:
    logical = item.logicalType
    if item.physicalType is not None:
        try:
            dtype = parse_dtype(item.physicalType)
        except ValueError as error:
            raise ContractError(f"physicalType: {error}", where=place) from error
        if logical is not None and not _agree(logical, dtype):
            raise ContractError(
                f"logicalType: got {logical!r}, which physicalType {item.physicalType!r} ({dtype_name(dtype)}) is not",
                where=place,
            )
        return dtype
    if logical is None:
        raise ContractError("got neither physicalType nor logicalType, expected one", where=place)
    options = item.logicalTypeOptions or {}
    text = options.get("format")
    match logical:
        case "integer" | "number" if text is not None:
            try:
                dtype = parse_dtype(str(text))
            except ValueError as error:
                raise ContractError(f"logicalTypeOptions.format: {error}", where=place) from error
            if not _agree(logical, dtype):
                raise ContractError(f"logicalTypeOptions.format: got {text!r}, expected one of {logical}", where=place)
            return dtype
        case "timestamp":
            zone = options.get("defaultTimezone", "UTC") if options.get("timezone") else None
            return pl.Datetime("us", "UTC" if zone == "Etc/UTC" else zone)
        case "array" if item.items is not None:
            return pl.List(_dtype(item.items, f"{place}.items"))
        case "object" if item.properties:
            return pl.Struct({_name(field): _dtype(field, f"{place}.{_name(field)}") for field in item.properties})
        case "vector" if "dimensions" in options:
            return pl.Array(parse_dtype(str(options.get("elementType", "float32"))), int(options["dimensions"]))
    plain = _PLAIN.get(logical)
    if plain is None:
        known = ", ".join((*_PLAIN, "timestamp", "array with items", "object with properties"))
        raise ContractError(f"logicalType: got {logical!r}, expected one of {known}, or a physicalType", where=place)
    return plain


_PLAIN: Final[dict[str, pl.DataType]] = {
    "integer": pl.Int64(),
    "number": pl.Float64(),
    "boolean": pl.Boolean(),
    "string": pl.String(),
    "date": pl.Date(),
    "time": pl.Time(),
}


def logical_type(dtype: pl.DataType) -> str | None:
    """Give the standard's logical type; none for a duration, which it does not have."""
    if dtype.is_integer():
        return "integer"
    if dtype.is_numeric():
        return "number"
    match dtype:
        case pl.Boolean():
            return "boolean"
        case pl.String() | pl.Binary():
            return "string"
        case pl.Date():
            return "date"
        case pl.Time():
            return "time"
        case pl.Datetime():
            return "timestamp"
        case pl.List() | pl.Array():
            return "array"
        case pl.Struct():
            return "object"
    return None


def _agree(logical: str, dtype: pl.DataType) -> bool:
    own = logical_type(dtype)
    # A whole number is a number; a vector is an array; a day written as a moment is still a date.
    return logical == own or (logical, own) in {("number", "integer"), ("vector", "array"), ("date", "timestamp")}


def _custom(item: SchemaObject | SchemaProperty, key: str) -> Any:
    for entry in item.customProperties or []:
        if entry.property == key:
            return entry.value
    return None


def _name(item: SchemaProperty) -> str:
    return item.physicalName or item.name or ""
