"""A first contract from files that are there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow.parquet as pq

from headrace.schemas.checks import loses_nothing
from headrace.schemas.contract import Column, Contract
from headrace.schemas.dtypes import dtype_name, parse_dtype
from headrace.schemas.errors import DataError
from headrace.schemas.footers import Footer, find_files, open_metadata, read_footer

LISTED: Final = 20
"""A text column with at most so many values in the sample gets them named in its description."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What all row groups of all files say about one column; None where one of them does not say."""

    nulls: int | None
    low: Any
    high: Any


def infer_contract(
    files: str | Path | Sequence[str | Path], sample_rows: int = 10_000, name: str = "dataset"
) -> Contract:
    """Draft a contract that the given files keep, to be tightened by hand.

    A column is ``required`` where the footers count no null, gets ``minimum: 0`` where they show no negative number,
    and ``allow_non_finite`` where a float column holds NaN or an infinity. No other bound and no list of allowed values
    is asserted: what was seen so far (the range, the few values of a text column) stands in the column's description.
    Files may differ in the width of a column's dtype; the widest is taken if it loses nothing.

    Parameters
    ----------
    files
        A file, folder or pattern, as `find_files` takes it, or several.
    sample_rows
        How many rows, over all files, to look at for the values of text columns.
    name
        The contract's name.

    Raises
    ------
    DataError
        A file that cannot be read; files whose columns do not agree; a dtype that a contract cannot state. All
        findings are listed.

    Notes
    -----
    Cost: the footers, the sample, and one pass over the float columns, because footers do not count NaN.
    """
    given = [files] if isinstance(files, str | Path) else list(files)
    paths = [path for item in given for path in find_files(item)]
    if not paths:
        raise DataError("no file to infer a contract from", hint="name files, a folder or a pattern")
    footers = [read_footer(path) for path in paths]
    dtypes = _agreed(footers)
    seen = _seen(footers, dtypes)
    wild = _non_finite(footers, dtypes)
    values = _values(footers, dtypes, sample_rows)
    columns = tuple(
        _column(column, dtype, seen[column], column in wild, values.get(column)) for column, dtype in dtypes.items()
    )
    return Contract(
        name=name, table=name, columns=columns, description=f"Drafted from {len(paths)} files; to be reviewed."
    )


def _column(name: str, dtype: pl.DataType, seen: _Seen, wild: bool, values: list[str] | None) -> Column:
    notes = []
    if dtype == pl.Null:
        notes.append("every value is null: set the type")
        dtype = pl.String()
    if seen.low is not None:
        notes.append(f"seen: {seen.low} to {seen.high}")
    if values:
        notes.append(f"seen in a sample: {', '.join(values)}")
    counts = dtype.is_signed_integer() or dtype.is_float()
    return Column(
        name=name,
        dtype=dtype,
        required=seen.nulls == 0,
        # The one bound that the next file is likely to keep too. Zero is a bound whatever the dtype's width.
        minimum=0 if counts and seen.low is not None and seen.low >= 0 else None,
        allow_non_finite=wild,
        description="; ".join(notes),
    )


def _agreed(footers: list[Footer]) -> dict[str, pl.DataType]:
    """Give each column's dtype, as wide as any file has it, in the first file's order."""
    names = list(dict.fromkeys(name for footer in footers for name in footer.schema))
    findings, agreed = [], {}
    for name in names:
        absent = [footer for footer in footers if name not in footer.schema]
        if absent:
            findings.append(f"{name}: missing in {_listed(absent)}")
            continue
        kinds = {_plain(footer.schema[name]): footer for footer in footers}
        widest = [to for to in kinds if all(loses_nothing(kind, to) for kind in kinds)]
        if not widest:
            listed = ", ".join(f"{dtype_name(kind)} in {footer.path.name}" for kind, footer in kinds.items())
            findings.append(f"{name}: got {listed}, expected one type")
        elif not _stateable(widest[0]):
            findings.append(f"{name}: got {widest[0]}, which a contract cannot state")
        else:
            agreed[name] = widest[0]
    if findings:
        raise DataError(
            "\n  ".join([f"no contract fits these files ({len(footers)}); findings: {len(findings)}", *findings]),
            hint="infer from the files that agree, then check the others against the contract",
        )
    return agreed


def _plain(dtype: pl.DataType) -> pl.DataType:
    if str(dtype) == "Float16":
        return pl.Float32()
    return pl.String() if isinstance(dtype, pl.Categorical | pl.Enum) else dtype


def _stateable(dtype: pl.DataType) -> bool:
    try:
        return dtype == pl.Null or parse_dtype(dtype_name(dtype)) == dtype
    except ValueError:
        return False


def _listed(footers: Sequence[Footer]) -> str:
    names = [footer.path.name for footer in footers[:3]]
    return ", ".join(names) + (f" and {len(footers) - 3} more" if len(footers) > 3 else "")


def _seen(footers: list[Footer], dtypes: dict[str, pl.DataType]) -> dict[str, _Seen]:
    nulls: dict[str, int | None] = dict.fromkeys(dtypes, 0)
    bounds: dict[str, list[Any] | None] = {name: [] for name, dtype in dtypes.items() if _bounded(dtype)}
    for footer in footers:
        for name, statistics, rows in _chunks(open_metadata(footer.path), dtypes):
            count = statistics.null_count if statistics and statistics.has_null_count else None
            total = nulls[name]
            nulls[name] = None if count is None or total is None else total + count
            if (held := bounds.get(name)) is None or count == rows:
                continue
            ends = [statistics.min, statistics.max] if statistics and statistics.has_min_max else [None]
            # Half floats come as bytes, and a careless writer leaves NaN: neither says anything.
            told = all(isinstance(end, int | float | date) and end == end for end in ends)
            bounds[name] = held + ends if told else None
    rows = sum(footer.rows for footer in footers)
    seen = {}
    for name in dtypes:
        held = bounds.get(name)
        low, high = (min(held), max(held)) if held else (None, None)
        seen[name] = _Seen(nulls[name] if rows else None, low, high)
    return seen


def _bounded(dtype: pl.DataType) -> bool:
    return dtype.is_integer() or dtype.is_float() or isinstance(dtype, pl.Date)


def _chunks(metadata: pq.FileMetaData, dtypes: dict[str, pl.DataType]) -> Iterable[tuple[str, Any, int]]:
    """Give each flat column chunk's name, statistics and rows. A nested column's leaf says nothing of its rows."""
    flat = {name for name, dtype in dtypes.items() if not dtype.is_nested()}
    leaves = [metadata.schema.column(leaf) for leaf in range(metadata.num_columns)]
    for group in (metadata.row_group(index) for index in range(metadata.num_row_groups)):
        told = set()
        for leaf, column in enumerate(leaves):
            if column.path in flat and column.max_repetition_level == 0:
                told.add(column.path)
                yield column.path, group.column(leaf).statistics, group.num_rows
        for name in dtypes.keys() - told:
            yield name, None, group.num_rows


def _non_finite(footers: list[Footer], dtypes: dict[str, pl.DataType]) -> set[str]:
    floats = [name for name, dtype in dtypes.items() if dtype.is_float()]
    found: set[str] = set()
    for footer in footers:
        columns = [name for name in floats if name not in found and footer.schema[name].is_float()]
        if not columns:
            continue
        wild = pl.scan_parquet(footer.path, glob=False).select((~pl.col(columns).is_finite()).any())
        found |= {name for name, value in wild.collect(engine="streaming").row(0, named=True).items() if value}
    return found


def _values(footers: list[Footer], dtypes: dict[str, pl.DataType], sample_rows: int) -> dict[str, list[str]]:
    """Give the values of the text columns that have few, from the first rows of every file."""
    texts = [name for name, dtype in dtypes.items() if dtype == pl.String]
    each = max(1, sample_rows // len(footers))
    if not texts or sample_rows < 1:
        return {}
    frames = [
        pl.scan_parquet(footer.path, glob=False).head(each).select(pl.col(texts).cast(pl.String)).collect()
        for footer in footers[:sample_rows]
    ]
    sample = pl.concat(frames)
    distinct = {name: sample.get_column(name).drop_nulls().unique().sort().to_list() for name in texts}
    # Few for the rows that were looked at: twenty values in thirty rows say nothing.
    few = min(LISTED, sample.height // 5)
    return {
        name: values
        for name, values in distinct.items()
        if len(values) <= few and max(map(len, values), default=0) < 40
    }
