"""A contract as named boolean expressions: one pass splits rows in good and bad."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from headrace.schemas.contract import Column, Contract, SqlRule
from headrace.schemas.dtypes import dtype_name
from headrace.schemas.errors import ContractError, DataError
from headrace.schemas.nodes import by_row

OK: Final = "__ok"
"""Boolean, never null: whether a row passes every rule."""

REASONS: Final = "reasons"
"""List[String], the names of the rules a bad row fails, in the contract's order; never empty."""

FILE: Final = "source_file"
FILE_ROW: Final = "source_row"
"""Where a quarantined row came from."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One check of one row.

    ``name`` is ``<column>:<kind>``, or an SQL rule's own name, and then ``column`` is empty. ``check`` is a Boolean
    expression, null where a null leaves it open; such rows are good.
    """

    name: str
    column: str
    check: pl.Expr

    @property
    def expr(self) -> pl.Expr:
        """Boolean, never null: true where the row is good."""
        return self.check.fill_null(True).alias(self.name)


def compile_rules(contract: Contract) -> tuple[Rule, ...]:
    """Compile a contract's row rules, in the order of its columns, then its SQL rules.

    The kinds are ``required``, ``finite`` (no NaN, no infinity), ``range``, ``allowed``, ``length`` (in characters) and
    ``pattern``. NaN fails ``finite`` alone, not ``range``. Uniqueness is no rule of a row: see `Contract.unique_keys`.

    Raises
    ------
    ContractError
        A pattern or an SQL rule that does not compile, names an unknown column, is no Boolean, or looks at more than
        one row.
    """
    taken = [name for name in contract.names if name in (REASONS, FILE, FILE_ROW)]
    if taken:
        raise ContractError(
            f"a column may not be named '{taken[0]}': quarantined rows carry {REASONS}, {FILE} and {FILE_ROW}",
            where=contract.name,
            hint="rename the column",
        )
    rules = [
        Rule(f"{column.name}:{kind}", column.name, check)
        for column in contract.columns
        for kind, check in _column_checks(column, required=contract.required(column.name))
    ]
    return (*rules, *(Rule(rule.name, "", _sql(rule, contract)) for rule in contract.rules))


def good_mask(rules: Sequence[Rule]) -> pl.Expr:
    """Give one Boolean expression, never null: true where a row passes all rules.

    Cost: about 1 ns a value and rule; three-valued AND, so that nulls are settled once and not in every rule.
    """
    if not rules:
        return pl.lit(True)
    return _conjunction([rule.check for rule in rules]).fill_null(True)


def flag(frame: pl.LazyFrame, rules: Sequence[Rule]) -> pl.LazyFrame:
    """Add ``__ok``, the rows' verdict, to a lazy frame."""
    return frame.with_columns(good_mask(rules).alias(OK))


@contextmanager
def evaluated() -> Iterator[None]:
    """Around what runs the rules: says what went wrong when an SQL rule fails on the data.

    Raises
    ------
    DataError
        Such as for a cast of text that is no number.
    """
    try:
        yield
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"the contract's rules cannot be evaluated on these rows: {_first_line(error)}",
            hint="in SQL rules use TRY_CAST, which gives null, instead of CAST",
        ) from error


def with_reasons(frame: pl.DataFrame, verdicts: pl.DataFrame) -> pl.DataFrame:
    """Add ``reasons``: List[String], the rules that each row fails, in the rules' order; on the CPU.

    Cost: by the number of failures. (A list of as many texts as there are rules, most of them null and dropped again,
    takes twenty times as long.)

    Parameters
    ----------
    verdicts
        For each row what `Rule.expr` says, a column per rule.
    """
    failures = [
        pl.DataFrame({"row": rows, REASONS: pl.repeat(verdict.name, rows.len(), dtype=pl.String, eager=True)})
        for verdict in verdicts
        if (rows := (~verdict).arg_true()).len()
    ]
    if not failures:
        return frame.with_columns(pl.Series(REASONS, [[]] * frame.height, dtype=pl.List(pl.String)))
    # Grouping keeps the order inside a group, which is that of the rules.
    by_row = pl.concat(failures).group_by("row", maintain_order=True).agg(REASONS)
    every_row = pl.DataFrame({"row": pl.int_range(frame.height, eager=True).cast(by_row.schema["row"])})
    listed = every_row.join(by_row, on="row", how="left", maintain_order="left").get_column(REASONS)
    return frame.with_columns(listed.fill_null(pl.Series([[]], dtype=pl.List(pl.String))))


def count_reasons(bad: pl.DataFrame) -> dict[str, int]:
    """Count the rows that fail each rule, most first; a row with two reasons counts under both."""
    # Not Series.explode: what it makes of an empty list changes between versions of Polars.
    names = pl.Series(REASONS, bad.get_column(REASONS).to_arrow().flatten(), dtype=pl.String)
    return dict(names.value_counts().sort(["count", REASONS], descending=[True, False]).iter_rows())


def _column_checks(column: Column, *, required: bool) -> Iterator[tuple[str, pl.Expr]]:
    values = pl.col(column.name)
    if required:
        yield "required", values.is_not_null()
    if column.dtype.is_float() and not column.allow_non_finite:
        yield "finite", values.is_finite()
    bounds = list(_bound_checks(column, values))
    if bounds:
        # How NaN compares differs by engine: it is taken out of the question.
        yield "range", _conjunction(bounds) | values.is_nan() if column.dtype.is_float() else _conjunction(bounds)
    allowed = column.allowed_values()
    if allowed:
        yield "allowed", values.is_in(pl.Series(allowed, dtype=column.dtype).implode())
    lengths = [values.str.len_chars() >= pl.lit(column.min_length, dtype=pl.UInt32)] if column.min_length else []
    if column.max_length is not None:
        lengths.append(values.str.len_chars() <= pl.lit(column.max_length, dtype=pl.UInt32))
    if lengths:
        yield "length", _conjunction(lengths)
    if column.pattern is not None:
        yield "pattern", _pattern(column, values)


def _bound_checks(column: Column, values: pl.Expr) -> Iterator[pl.Expr]:
    def value(field: str) -> Any:
        bound = column.bound(field)
        return None if bound is None else pl.lit(bound, dtype=column.dtype)

    if (low := value("minimum")) is not None:
        yield values >= low
    if (low := value("exclusive_minimum")) is not None:
        yield values > low
    if (high := value("maximum")) is not None:
        yield values <= high
    if (high := value("exclusive_maximum")) is not None:
        yield values < high


def _pattern(column: Column, values: pl.Expr) -> pl.Expr:
    assert column.pattern is not None
    try:
        pl.select(pl.lit("").str.contains(column.pattern))
    except pl.exceptions.PolarsError as error:
        reason = str(error).split("\n\nThis error occurred")[0].strip().splitlines()[-1].removeprefix("error: ")
        raise ContractError(
            f"pattern {column.pattern!r}: {reason}",
            where=column.name,
            hint="patterns are Rust regular expressions: no look-around, no back-references",
        ) from error
    return values.str.contains(column.pattern)


def _sql(rule: SqlRule, contract: Contract) -> pl.Expr:
    where = f"{contract.name}, rule {rule.name}"
    try:
        check = pl.sql_expr(rule.sql)
        unknown = sorted(set(check.meta.root_names()) - set(contract.names))
        if unknown:
            raise ContractError(
                f"no column {', '.join(unknown)} in {rule.sql!r}",
                where=where,
                hint=f"columns: {', '.join(contract.names)}; text stands in single quotes",
            )
        if not check.meta.root_names() or not by_row(check, pl.Schema(contract.dtypes)):
            raise ContractError(
                f"{rule.sql!r} does not speak of one row's columns",
                where=where,
                hint="compare columns of one row; aggregates, windows and constants cannot be checked row by row",
            )
        empty = pl.LazyFrame(schema=contract.dtypes).select(check.alias("rule"))
        dtype = empty.collect_schema()["rule"]
    except pl.exceptions.PolarsError as error:
        raise ContractError(f"{rule.sql!r} is no valid SQL here: {_first_line(error)}", where=where) from error
    if dtype != pl.Boolean:
        raise ContractError(f"{rule.sql!r}: got {dtype_name(dtype)}, expected a Boolean", where=where)
    return check


def _conjunction(checks: Sequence[pl.Expr]) -> pl.Expr:
    """AND them pairwise: a chain of hundreds would be as deep as it is long."""
    if len(checks) == 1:
        return checks[0]
    middle = len(checks) // 2
    return _conjunction(checks[:middle]) & _conjunction(checks[middle:])


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
