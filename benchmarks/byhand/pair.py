"""One operator beside what a person would write for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

Apply = Callable[[pl.LazyFrame, Any], pl.LazyFrame]
Fit = Callable[[pl.LazyFrame], Any]
Agrees = Callable[[pl.DataFrame, pl.DataFrame], bool]


def near(tolerance: float) -> Agrees:
    """Floats within a tolerance, relative above 1 and absolute below; all else equal."""

    def agrees(ours: pl.DataFrame, theirs: pl.DataFrame) -> bool:
        if ours.schema != theirs.schema or ours.height != theirs.height:
            return False
        for name, dtype in ours.schema.items():
            a, b = ours[name], theirs[name]
            if not dtype.is_float() or not tolerance:
                if not a.equals(b, null_equal=True):
                    return False
                continue
            if not a.is_null().equals(b.is_null()):
                return False
            a, b = a.cast(pl.Float64).drop_nulls(), b.cast(pl.Float64).drop_nulls()
            if ((a - b).abs() > b.abs().clip(1.0, None) * tolerance).any():
                return False
        return True

    return agrees


def but_for(share: float, tolerance: float = 0.0) -> Agrees:
    """Numbers of which at most this share differs by more than a tolerance; null in the same rows."""

    def agrees(ours: pl.DataFrame, theirs: pl.DataFrame) -> bool:
        for name in theirs.columns:
            a, b = ours[name].cast(pl.Float64), theirs[name].cast(pl.Float64)
            different = ((a - b).abs() > tolerance).fill_null(False) | (a.is_null() != b.is_null())
            if different.sum() > share * max(len(a), 1) + 1:
                return False
        return ours.schema == theirs.schema

    return agrees


def same_groups(ours: pl.DataFrame, theirs: pl.DataFrame) -> bool:
    """Ids that are other numbers but tell the same rows apart, in each column."""
    for name in theirs.columns:
        both = pl.DataFrame({"a": ours[name], "b": theirs[name]})
        if not both["a"].n_unique() == both["b"].n_unique() == both.n_unique():
            return False
    return ours.schema == theirs.schema


EQUAL = near(0.0)


@dataclass(frozen=True)
class Pair:
    """One operator, and its result by hand.

    Parameters
    ----------
    operator
        Its name in the registry.
    fields
        Its fields.
    apply
        The rows by hand, in the order of the operator's; what `fit` gave is the second argument.
    fit
        For learners: what is learned, by hand. None: nothing is.
    of
        What tells this pair from others of the same operator.
    results
        The columns that are compared; by default those that the step writes, or all where it writes none.
    columns
        The columns of the rows beside those that fields name.
    agrees
        Whether both results are the same, as far as their definitions are.
    note
        What the two do differently.
    trained
        Whether rows are applied as training rows: with a column `__split` of 0.
    """

    operator: str
    fields: Mapping[str, Any]
    apply: Apply
    fit: Fit | None = None
    of: str = ""
    results: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    agrees: Agrees = EQUAL
    note: str = ""
    trained: bool = False
    tables: Mapping[str, Callable[[], pl.DataFrame]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.operator} ({self.of})" if self.of else self.operator
