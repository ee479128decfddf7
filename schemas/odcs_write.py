"""From a contract to the standard's table, properties and quality rules."""

from __future__ import annotations

from typing import Any

import polars as pl

from headrace.schemas.contract import Column, Contract
from headrace.schemas.dtypes import dtype_name, instance
from headrace.schemas.odcs_read import logical_type


def write_table(contract: Contract) -> dict[str, Any]:
    """Give one schema object of the standard; what says no more than the default is left out."""
    return _filled(
        name=contract.table,
        logicalType="object",
        physicalType="table",
        properties=[_property(column, contract) for column in contract.columns],
        quality=[
            _filled(
                name=rule.name,
                description=rule.description,
                type="sql",
                # The form that every reader of the standard can run; nulls are not counted, and so are good.
                query=f'SELECT COUNT(*) FROM "{contract.table}" WHERE NOT ({rule.sql})',
                mustBe=0,
            )
            for rule in contract.rules
        ],
        customProperties=_custom(extraColumns=contract.extra if contract.extra != "refuse" else None),
    )


def _property(column: Column, contract: Contract) -> dict[str, Any]:
    key = column.name in contract.primary_key
    allowed = {"validValues": list(column.allowed or ())}
    return _filled(
        name=column.name,
        description=column.description,
        primaryKey=key or None,
        primaryKeyPosition=contract.primary_key.index(column.name) + 1 if key else None,
        required=column.required or None,
        unique=column.unique or None,
        **_type(column.dtype, column),
        quality=[{"type": "library", "metric": "invalidValues", "arguments": allowed, "mustBe": 0}]
        if column.allowed
        else None,
        customProperties=_custom(role=column.role, allowNonFinite=column.allow_non_finite or None),
    )


def _type(dtype: pl.DataType, column: Column | None = None) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if column is not None:
        options = {
            "minimum": column.minimum,
            "maximum": column.maximum,
            "exclusiveMinimum": column.exclusive_minimum,
            "exclusiveMaximum": column.exclusive_maximum,
            "minLength": column.min_length,
            "maxLength": column.max_length,
            "pattern": column.pattern,
        }
    nested: dict[str, Any] = {}
    match dtype:
        case pl.Datetime(time_zone=str(zone)):
            options |= {"timezone": True, "defaultTimezone": zone}
        case pl.List(inner=inner) | pl.Array(inner=inner):
            nested = {"items": _type(instance(inner))}
        case pl.Struct(fields=fields):
            nested = {"properties": [{"name": field.name} | _type(instance(field.dtype)) for field in fields]}
    return _filled(
        logicalType=logical_type(dtype),
        physicalType=dtype_name(dtype),
        logicalTypeOptions=_filled(**options),
        **nested,
    )


def _custom(**values: Any) -> list[dict[str, Any]]:
    return [{"property": name, "value": value} for name, value in values.items() if value is not None]


def _filled(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None and value not in ("", [], {})}
