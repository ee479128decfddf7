"""A file's footer against a contract, before any row is read: casts that lose nothing, or every finding."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import polars as pl

from headrace.schemas.contract import Column, Contract
from headrace.schemas.dtypes import dtype_name, instance
from headrace.schemas.errors import DataError
from headrace.schemas.footers import Footer


@dataclass(frozen=True, slots=True)
class Cast:
    """A column that a file holds in a narrower dtype than the contract's."""

    name: str
    got: pl.DataType
    expected: pl.DataType


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a file: a column ``missing``, ``extra``, or of another ``type``."""

    kind: Literal["missing", "extra", "type"]
    column: str
    got: str
    expected: str

    def __str__(self) -> str:
        match self.kind:
            case "missing":
                return f"{self.column}: missing, expected {self.expected}"
            case "extra":
                return f"{self.column}: not in the contract, got {self.got}"
        return f"{self.column}: got {self.got}, expected {self.expected}"


@dataclass(frozen=True, slots=True)
class FileProblem:
    """A file that does not keep the contract, with all findings, in the contract's order, extra columns last."""

    path: Path
    findings: tuple[Finding, ...]

    @property
    def message(self) -> str:
        """How many findings, and a line for each."""
        count = len(self.findings)
        lines = [str(finding) for finding in self.findings]
        head = f"the file's columns are not the contract's: {count} finding{'s' if count > 1 else ''}"
        return "\n  ".join([head, *lines])

    def error(self) -> DataError:
        """Give the error to raise where a file that is wrong ends the run."""
        kinds = {finding.kind for finding in self.findings}
        hints = [hint for kind, hint in _HINTS.items() if kind in kinds]
        return DataError(self.message, where=str(self.path), hint="; ".join(hints))


_HINTS: Final = {
    "missing": "a column that only some files have can be added to the others as nulls",
    "extra": "name the column in the contract, or set its custom property extraColumns to 'ignore'",
    "type": "only casts that lose nothing are made: write the file anew, or change physicalType in the contract",
}


def check_file(contract: Contract, footer: Footer) -> tuple[Cast, ...] | FileProblem:
    """Check a file's columns by name and dtype; their order does not matter.

    Returns
    -------
    tuple of Cast, or FileProblem
        The casts to make, in the contract's order; or all that is wrong. Nothing is raised, because a run may choose to
        quarantine the file: see `FileProblem.error`.
    """
    findings: list[Finding] = []
    casts: list[Cast] = []
    for column in contract.columns:
        got = footer.schema.get(column.name)
        if got is None:
            findings.append(Finding("missing", column.name, "", dtype_name(column.dtype)))
        elif got == pl.Null and footer.rows > 0 and contract.required(column.name):
            findings.append(Finding("type", column.name, "nulls only", f"{dtype_name(column.dtype)}, required"))
        elif got == column.dtype:
            continue
        elif loses_nothing(got, column.dtype):
            casts.append(Cast(column.name, got, column.dtype))
        else:
            findings.append(Finding("type", column.name, _described(got, column), dtype_name(column.dtype)))
    if contract.extra == "refuse":
        known = set(contract.names)
        findings += [
            Finding("extra", name, dtype_name(dtype), "") for name, dtype in footer.schema.items() if name not in known
        ]
    return FileProblem(footer.path, tuple(findings)) if findings else tuple(casts)


def cast_expressions(casts: tuple[Cast, ...]) -> list[pl.Expr]:
    """Give an expression for each cast, under the column's own name, for ``with_columns``."""
    return [pl.col(cast.name).cast(cast.expected) for cast in casts]


def conform(frame: pl.LazyFrame, contract: Contract, casts: tuple[Cast, ...]) -> pl.LazyFrame:
    """Give a checked file's frame the contract's columns, in its order and dtypes."""
    expressions = {cast.name: expression for cast, expression in zip(casts, cast_expressions(casts), strict=True)}
    return frame.select(expressions.get(name, pl.col(name)) for name in contract.names)


def loses_nothing(got: pl.DataType, expected: pl.DataType) -> bool:
    """Say whether every value of one dtype is a value of the other, and the same value.

    Integers to larger ones, and to floats that hold them exactly; floats and decimals to wider ones; milliseconds to
    microseconds in one time zone; categories to their text; nulls to anything; lists and arrays by their elements.
    Not: to nanoseconds, which end in 2262; a date to a moment; a moment to another zone.

    >>> loses_nothing(pl.Int32(), pl.Float64()), loses_nothing(pl.Int64(), pl.Float64())
    (True, False)
    """
    if got == expected or got == pl.Null:
        return True
    if got.is_integer():
        if expected.is_integer():
            return _integer_fits(got, expected)
        exact = 24 if expected == pl.Float32 else 53 if expected == pl.Float64 else 0
        return _bits(got) - got.is_signed_integer() <= exact
    if str(got) == "Float16":  # by name: older versions of Polars have no such type
        return expected in (pl.Float32, pl.Float64)
    match got, expected:
        case (pl.Float32(), pl.Float64()):
            return True
        case (pl.Categorical() | pl.Enum(), pl.String()):
            return True
        case (pl.Datetime(time_unit="ms" | "us" as unit), pl.Datetime(time_unit="us" | "ms" as to)):
            return _zone(got) == _zone(expected) and (unit == to or to == "us")
        case (pl.Decimal(), pl.Decimal()):
            digits = expected.precision - expected.scale - (got.precision - got.scale)
            return expected.scale >= got.scale and digits >= 0
        case (pl.List(), pl.List()):
            return loses_nothing(instance(got.inner), instance(expected.inner))
        case (pl.Array(), pl.Array()):
            return got.shape == expected.shape and loses_nothing(instance(got.inner), instance(expected.inner))
    return False


def _integer_fits(got: pl.DataType, expected: pl.DataType) -> bool:
    if got.is_signed_integer():
        return expected.is_signed_integer() and _bits(got) <= _bits(expected)
    return _bits(got) < _bits(expected) or (expected.is_unsigned_integer() and _bits(got) == _bits(expected))


def _bits(dtype: pl.DataType) -> int:
    return int(str(dtype).removeprefix("U").removeprefix("Int"))


def _zone(dtype: pl.DataType) -> str | None:
    zone = getattr(dtype, "time_zone", None)
    return "UTC" if zone in ("Etc/UTC", "Z", "+00:00", "Zulu", "Etc/UCT", "UCT") else zone


def _described(got: pl.DataType, column: Column) -> str:
    """Give the dtype's name and, where the name alone may not say it, what is wrong with it."""
    name = dtype_name(got)
    if got.is_nested() and not column.dtype.is_nested():
        return f"{name}, {'a record' if isinstance(got, pl.Struct) else 'a list'} in every row"
    if isinstance(got, pl.Datetime) and isinstance(column.dtype, pl.Datetime) and _zone(got) != _zone(column.dtype):
        return f"{name}, {'no time zone' if got.time_zone is None else 'another time zone'}"
    return name
