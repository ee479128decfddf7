"""Whether rows are the same, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from polars.testing import assert_frame_equal, assert_series_equal


def same_values(one: pl.Series, other: pl.Series) -> bool:
    """Equal in type and in every value; null is null and NaN is NaN."""
    try:
        assert_series_equal(one, other, check_names=False, check_exact=True)
    except AssertionError:
        return False
    return True


def same_rows(one: pl.DataFrame, other: pl.DataFrame, ordered: bool = True) -> bool:
    """Equal in columns, types and every value; the order of rows counts where they are `ordered`."""
    try:
        assert_frame_equal(one, other, check_exact=True, check_row_order=ordered)
    except AssertionError:
        return False
    except (TypeError, pl.exceptions.PolarsError):  # rows of nested columns cannot be sorted
        return one.schema == other.schema and sorted(map(repr, one.rows())) == sorted(map(repr, other.rows()))
    return True


def differing(got: Any, expected: Any) -> str:
    """What a mapping, such as a schema, has otherwise than another."""
    parts = [f"{name!r}: {value}" for name, value in got.items() if expected.get(name) != value]
    missing = [repr(name) for name in expected if name not in got]
    order = "the same columns in another order" if not parts and not missing else ""
    return ", ".join(filter(None, [*parts, f"no {', '.join(missing)}" if missing else "", order]))


def first_difference(one: pl.Series, other: pl.Series) -> int:
    """The first place in which two series of equal length differ; 0 where their types do."""
    if one.dtype != other.dtype:
        return 0
    return next((n for n in range(len(one)) if not same_values(one.slice(n, 1), other.slice(n, 1))), 0)


def first_line(problem: BaseException) -> str:
    """An error's message without what comes after its first line."""
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0]


def same_but_for_last_digits(expected: pl.DataFrame, got: pl.DataFrame, rel_tol: float | None = None) -> str:
    """Where another engine's rows differ by more than engines may; empty where they do not.

    All but floats to the bit; floats to one unit in the last place of a Float32, or relative to `rel_tol`.
    """
    if list(got.schema.items()) != list(expected.schema.items()):
        return f"columns {differing(got.schema, expected.schema)}, expected {differing(expected.schema, got.schema)}"
    if got.height != expected.height:
        return f"{got.height} rows, expected {expected.height}"
    for name in expected.columns:
        one, two = expected[name], got[name]
        if _is_list_of_floats(one) and one.list.len().equals(two.list.len()):
            one, two = one.explode(empty_as_null=False), two.explode(empty_as_null=False)
        if one.dtype.is_float() and (rel_tol is not None or one.is_null().equals(two.is_null())):
            far = _far(one, two, rel_tol)
        else:
            far = [] if same_values(one, two) else [first_difference(one, two)]
        if far:
            return f"{name!r} is {two[far[0]]!r} in row {far[0]}, expected {one[far[0]]!r}"
    return ""


def _is_list_of_floats(series: pl.Series) -> bool:
    return isinstance(series.dtype, pl.List) and series.dtype.inner.is_float()


def _far(one: pl.Series, two: pl.Series, rel_tol: float | None) -> list[int]:
    """The places in which two series of floats differ by more than they may."""
    if rel_tol is not None:
        try:
            assert_series_equal(one, two, rel_tol=rel_tol, abs_tol=1e-300)
        except AssertionError:
            return [first_difference(one, two)]
        return []
    a, b = (s.fill_null(0.0).cast(pl.Float32).to_numpy() for s in (one, two))
    finite = np.isfinite(a) & np.isfinite(b)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore"):
        near = np.abs(a - b) <= np.spacing(np.maximum(np.abs(a), np.abs(b)))
    return [int(n) for n in np.flatnonzero(~(same | (finite & near)))]
