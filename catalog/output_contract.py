"""The contract of what is published, for its readers: ODCS 3.1, beside `contract.odcs.yaml`, which is the input's.

It says what is true of this version: types, which columns have no nulls, ids below their cardinality, and the smallest
and largest value of numbers, dates and times over all splits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

import polars as pl
import pyarrow as pa
import yaml

from headrace.catalog.arrow_schema import ArrowField
from headrace.catalog.arrow_types import arrow_type
from headrace.catalog.manifest import Column, Manifest, Statistics
from headrace.catalog.words import about
from headrace.schemas.contract import Column as Promise
from headrace.schemas.contract import Contract
from headrace.schemas.errors import ContractError
from headrace.schemas.odcs import API_VERSION
from headrace.schemas.odcs_write import write_table

OUTPUT_CONTRACT: Final = "output.odcs.yaml"
_ROLES: Final = {"label": "target"}


def output_contract(manifest: Manifest) -> Contract | None:
    """What every row of a build keeps; None if there is no column that a contract can describe.

    A column that it cannot describe (a type or a name that contracts do not have) is left out, and files may have
    columns that are not named then. Of a float column that holds infinities no range is said; of ids in lists neither,
    their cardinality is in the description.
    """
    described = {column.name: column for column in manifest.columns}
    splits = [name for name, split in manifest.splits.items() if split.rows]
    promises = [
        promise
        for field in manifest.arrow_schema
        if (promise := _promise(field, described.get(field.name), splits)) is not None
    ]
    if not promises:
        return None
    return Contract(
        name=manifest.dataset,
        table=manifest.dataset,
        columns=tuple(promises),
        extra="refuse" if len(promises) == len(manifest.arrow_schema) else "ignore",
        description=about(manifest),
    )


def dump_output_contract(manifest: Manifest) -> bytes | None:
    """`output.odcs.yaml`, which any reader of the standard reads; None where `output_contract` is None.

    Beside the contract it names each split as a server: where its files lie, relative to the contract. Written without
    the library of the standard, which publishing does not need.
    """
    contract = output_contract(manifest)
    if contract is None:
        return None
    document = {
        "version": contract.version,
        "kind": "DataContract",
        "apiVersion": API_VERSION,
        "id": contract.name,
        "name": contract.name,
        "status": "active",
        "description": {"purpose": contract.description},
        "servers": _servers(manifest),
        "schema": [write_table(contract)],
        "customProperties": [
            {"property": "build", "value": manifest.build},
            {"property": "rows", "value": manifest.rows},
        ],
    }
    filled = {key: value for key, value in document.items() if value != []}
    return yaml.safe_dump(filled, sort_keys=False, allow_unicode=True, width=120).encode()


def _servers(manifest: Manifest) -> list[dict[str, str]]:
    return [
        {
            "server": name,
            "type": "local",
            "description": f"{split.rows:,} rows: {split.rule}",
            "path": f"{name}/*.parquet",
            "format": "parquet",
        }
        for name, split in manifest.splits.items()
        if split.files and all(manifest.place(file) == f"{name}/{file.path.rpartition('/')[2]}" for file in split.files)
    ]


def _promise(field: ArrowField, column: Column | None, splits: Collection[str]) -> Promise | None:
    """What is promised of a column: with its range, without where that cannot be said, or nothing."""
    try:
        dtype = _dtype(field)
    except (ValueError, pl.exceptions.PolarsError):
        return None
    said = {
        "name": field.name,
        "dtype": dtype,
        "required": not field.nullable,
        "role": _ROLES.get(column.role, column.role) if column else None,
        "description": "; ".join(_words(column)) if column else "",
    }
    values = [column.statistics[name] for name in splits if name in column.statistics] if column else []
    known = column is not None and len(values) == len(splits)
    if dtype.is_float():
        said["allow_non_finite"] = not known or any(found.nans or found.infinities for found in values)
    bounds = _range(dtype, column.cardinality, values) if column is not None and known else {}
    for more in (bounds, {}):
        try:
            return Promise(**(said | more))
        except (ContractError, ValueError):
            continue
    return None


def _dtype(field: ArrowField) -> pl.DataType:
    dtype = pl.Schema(pa.schema([pa.field("x", arrow_type(field.type))]))["x"]
    # Categories are published as their values.
    return pl.String() if isinstance(dtype, pl.Categorical | pl.Enum) else dtype


def _words(column: Column) -> Iterator[str]:
    yield column.kind + (f", from {column.source}" if column.source else "")
    if column.cardinality is not None:
        yield f"ids below {column.cardinality}"
    special = (("padding", column.pad_id), ("null", column.null_id))
    yield from (f"{value} stands for {name}" for name, value in special if value is not None)
    if len(column.oov_ids) == 1:
        yield f"{column.oov_ids[0]} stands for values that are not in the vocabulary"
    elif column.oov_ids:
        yield f"{column.oov_ids[0]} to {column.oov_ids[-1]} stand for values that are not in the vocabulary"


def _range(dtype: pl.DataType, cardinality: int | None, values: Sequence[Statistics]) -> dict[str, Any]:
    if cardinality is not None and dtype.is_integer():
        return {"minimum": 0, "maximum": cardinality - 1}
    # Of the others the extremes are none, or not exact as the manifest spells them.
    moments = isinstance(dtype, pl.Datetime) and dtype.time_unit != "ns"
    if not (dtype.is_integer() or dtype.is_float() or dtype == pl.Date or moments):
        return {}
    some = [found for found in values if found.count > found.nulls + found.nans]
    lowest: list[Any] = [found.min for found in some]
    highest: list[Any] = [found.max for found in some]
    if not some or None in lowest or None in highest or any(found.infinities for found in values):
        return {}
    return {"minimum": min(lowest), "maximum": max(highest)}
