"""What a table must be: columns, what their values may be, keys, and rules across columns."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, time
from decimal import Decimal
from itertools import product
from typing import Annotated, Any, Final, Literal

import polars as pl
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from headrace.schemas.dtypes import ACCEPTED, dtype_name, parse_dtype
from headrace.schemas.errors import ContractError
from headrace.schemas.names import RESERVED_PREFIX
from headrace.schemas.values import literal

Role = Literal["feature", "target", "key", "time", "group", "weight"]

Scalar = bool | int | float | str
"""A value in a contract, as JSON has it; dates and times are ISO 8601 text."""


def _dtype(value: object) -> object:
    if isinstance(value, str):
        return parse_dtype(value)
    return value() if isinstance(value, type) and issubclass(value, pl.DataType) else value


def _json(value: object) -> object:
    if isinstance(value, set | frozenset):
        value = sorted(value, key=str)
    if isinstance(value, list | tuple):
        return tuple(_json(item) for item in value)
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value) if Decimal(repr(float(value))) == value else str(value)
    return value


def _has_text(dtype: pl.DataType) -> bool:
    try:
        return parse_dtype(dtype_name(dtype)) == dtype
    except ValueError:
        return False


Dtype = Annotated[
    InstanceOf[pl.DataType],
    BeforeValidator(_dtype),
    PlainSerializer(dtype_name, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["Int64", "Datetime[us, UTC]"]}),
]
Bound = Annotated[Scalar | None, BeforeValidator(_json)]

_BOUNDS: Final = ("minimum", "maximum", "exclusive_minimum", "exclusive_maximum")


class Frozen(BaseModel):
    """A value: not changed after it is made, and with no field that is not named."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(Frozen):
    """One column: its dtype and what its values may be.

    Nulls pass every check but ``required``. NaN and infinities in a float column are bad unless
    ``allow_non_finite``. ``pattern`` is searched for, not anchored: write ``^...$`` for the whole value. ``unique`` and
    keys say something about the whole table; they are checked by who sees all of it.
    """

    name: str = Field(min_length=1)
    dtype: Dtype
    required: bool = False
    unique: bool = False
    minimum: Bound = None
    maximum: Bound = None
    exclusive_minimum: Bound = None
    exclusive_maximum: Bound = None
    min_length: int | None = Field(default=None, ge=0)
    max_length: int | None = Field(default=None, ge=0)
    pattern: str | None = None
    allowed: Annotated[tuple[Scalar, ...] | None, BeforeValidator(_json)] = None
    allow_non_finite: bool = False
    role: Role | None = None
    description: str = ""

    @model_validator(mode="after")
    def _values_fit_the_dtype(self) -> Column:
        if self.name.startswith(RESERVED_PREFIX):
            raise ContractError(
                f"names that begin with '{RESERVED_PREFIX}' are reserved", where=self.name, hint="rename the column"
            )
        if self.name == "*" or (self.name.startswith("^") and self.name.endswith("$")):
            raise ContractError("Polars reads this name as a pattern", where=self.name, hint="rename the column")
        if not _has_text(self.dtype):
            raise ContractError(f"{self.dtype} is no type of a contract", where=self.name, hint=f"types: {ACCEPTED}")
        if self.allowed is not None and not self.allowed:
            raise ContractError("allowed values: the list is empty, so every row is bad", where=self.name)
        self._check_bounds()
        self.allowed_values()
        if self.dtype != pl.String:
            for field in ("pattern", "min_length", "max_length"):
                if getattr(self, field) is not None:
                    raise ContractError(f"{field} is for String columns, not {dtype_name(self.dtype)}", where=self.name)
        if self.allow_non_finite and not self.dtype.is_float():
            raise ContractError(f"allow_non_finite is for floats, not {dtype_name(self.dtype)}", where=self.name)
        return self

    def _check_bounds(self) -> None:
        given = {field: value for field in _BOUNDS if (value := self.bound(field)) is not None}
        for low, high in product(_BOUNDS[::2], _BOUNDS[1::2]):
            if low not in given or high not in given:
                continue
            meet_outside = given[low] == given[high] and "exclusive" in low + high
            if given[low] > given[high] or meet_outside:
                both = f"{low} {getattr(self, low)} and {high} {getattr(self, high)}"
                raise ContractError(f"{both} leave no value, so every row is bad", where=self.name)
        if self.min_length is not None and self.max_length is not None and self.min_length > self.max_length:
            raise ContractError(
                f"min_length {self.min_length} is above max_length {self.max_length}, so every row is bad",
                where=self.name,
            )

    def bound(self, field: str) -> Any:
        """Give the bound in this field (``minimum``, ``exclusive_maximum``, ...) as a value of the column's dtype.

        Raises
        ------
        ContractError
            The value is none of this dtype, or the dtype has no order that bounds could use.
        """
        value = getattr(self, field)
        if value is None:
            return None
        if self.dtype.is_nested() or self.dtype in (pl.String, pl.Binary, pl.Boolean):
            raise ContractError(
                f"{field} is for numbers, dates and times, not {dtype_name(self.dtype)}", where=self.name
            )
        return self._literal(field, value)

    def allowed_values(self) -> list[Any]:
        """Give the allowed values as values of the column's dtype; an empty list where all are allowed."""
        return [self._literal("allowed", value) for value in self.allowed or ()]

    def _literal(self, field: str, value: Scalar) -> Any:
        try:
            return literal(value, self.dtype)
        except ValueError as error:
            raise ContractError(f"{field}: {error}", where=self.name) from error


class SqlRule(Frozen):
    """A named boolean SQL expression over one row's columns; a row is bad where it is false, not where it is null."""

    name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_\-]*$")
    sql: str = Field(min_length=1)
    description: str = ""


class Contract(Frozen):
    """One table's contract. Pydantic alone reads and writes it as JSON, `headrace.schemas.odcs` as standard YAML.

    ``extra`` says what a column means that a file has and the contract has not: ``refuse`` (a finding) or ``ignore``
    (it is not read).
    """

    name: str = Field(min_length=1)
    version: str = "1.0.0"
    table: str = Field(default="data", pattern=r'^[^"]+$')
    columns: tuple[Column, ...] = Field(min_length=1)
    rules: tuple[SqlRule, ...] = ()
    primary_key: tuple[str, ...] = ()
    extra: Literal["refuse", "ignore"] = "refuse"
    description: str = ""

    @model_validator(mode="after")
    def _names_agree(self) -> Contract:
        for kind, names in (
            ("column", self.names),
            ("rule", [rule.name for rule in self.rules]),
            ("primary key column", list(self.primary_key)),
        ):
            double = [name for name, count in Counter(names).items() if count > 1]
            if double:
                raise ContractError(f"{kind} named more than once: {', '.join(double)}", where=self.name)
        unknown = [name for name in self.primary_key if name not in self.names]
        if unknown:
            raise ContractError(
                f"primary key: no column {', '.join(unknown)}",
                where=self.name,
                hint=f"columns: {', '.join(self.names)}",
            )
        return self

    @property
    def names(self) -> list[str]:
        """The columns' names, in order."""
        return [column.name for column in self.columns]

    @property
    def dtypes(self) -> dict[str, pl.DataType]:
        """The columns' dtypes, in order: what a frame has once its file is checked and cast."""
        return {column.name: column.dtype for column in self.columns}

    def column(self, name: str) -> Column:
        """Give one column.

        Raises
        ------
        ContractError
            There is no such column.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise ContractError(f"no column '{name}'", where=self.name, hint=f"columns: {', '.join(self.names)}")

    def with_role(self, role: Role) -> tuple[str, ...]:
        """Give the names of the columns that have this role, in order."""
        return tuple(column.name for column in self.columns if column.role == role)

    def required(self, name: str) -> bool:
        """Say whether a column may hold no null: it is required, or part of the primary key."""
        return self.column(name).required or name in self.primary_key

    def unique_keys(self) -> tuple[tuple[str, ...], ...]:
        """Give every set of columns whose values no two rows may share; the primary key first.

        Rows with a null in a key are not compared, as in SQL.
        """
        keys = [self.primary_key] if self.primary_key else []
        keys += [(column.name,) for column in self.columns if column.unique and (column.name,) not in keys]
        return tuple(keys)
