"""Published shards as one float32 matrix: only the columns and the rows that are asked for, without pandas."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from headrace.schemas.errors import DataError

Floats = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float32]

_NAMED: Final = 12
"""Columns that a message lists before it only counts."""
_MEND: Final = (
    "Clip mends what is infinite or too large; NaN becomes null by a Derive such as CASE WHEN x < 1000 THEN x END, "
    "then FillNull; or leave allowNonFinite out of the contract, and such rows go to quarantine"
)


@dataclass(frozen=True)
class Rows:
    """Rows of a split.

    Parameters
    ----------
    features
        float32, a row of the split by a feature; finite.
    label
        float64, finite.
    available
        Rows of the split; more than there are here if a sample was taken.
    """

    names: tuple[str, ...]
    features: Matrix
    label: Floats
    available: int

    def take(self, names: Sequence[str]) -> Matrix:
        """The columns of these features, in this order; not copied if they are all of them."""
        if tuple(names) == self.names:
            return self.features
        return self.features[:, [self.names.index(name) for name in names]]


def number_columns(path: Path) -> frozenset[str]:
    """Columns of a shard that can be a number: integers, floats, decimals and booleans."""
    return frozenset(
        field.name
        for field in pq.read_schema(path)
        if pa.types.is_integer(field.type)
        or pa.types.is_floating(field.type)
        or pa.types.is_decimal(field.type)
        or pa.types.is_boolean(field.type)
    )


def read_rows(
    split: str, paths: Sequence[Path], features: Sequence[str], label: str, *, max_rows: int, seed: int
) -> Rows:
    """Read features and label of a split, at most `max_rows` rows of it.

    The sample takes one row at random from each of `max_rows` equal runs of the split's rows in published order: it
    depends on the seed and the number of rows, not on how the rows are cut into shards, and keeps their order.

    Raises
    ------
    DataError
        The split has no rows; a column is missing or no number; nulls, NaN or infinities (also values that float32
        cannot hold) in the rows read. The message counts them by column.

    Notes
    -----
    Cost: one pass over the columns asked for; memory for the matrix and one row group.
    """
    files = [pq.ParquetFile(path) for path in paths]
    try:
        available = sum(file.metadata.num_rows for file in files)
        if available == 0:
            raise DataError(
                f"split {split!r} has no rows, and a baseline is trained or scored on every split",
                hint="move the split's bounds, or take the baselines out of the pipeline",
            )
        for path, file in zip(paths, files, strict=True):
            _check_columns(path, file.schema_arrow, (*features, label))
        wanted = _positions(available, max_rows, seed)
        matrix = np.empty((wanted.size, len(features)), dtype=np.float32)
        target = np.empty(wanted.size, dtype=np.float64)
        nulls: dict[str, int] = {}
        start = filled = 0
        for file in files:
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                local = wanted[filled : np.searchsorted(wanted, start + rows)] - start
                if local.size:
                    table = file.read_row_group(group, columns=list(dict.fromkeys([*features, label])))
                    part = slice(filled, filled + local.size)
                    with np.errstate(over="ignore"):  # what overflows becomes infinite, and is refused with its count
                        for index, name in enumerate(features):
                            matrix[part, index] = _numbers(table[name], local, name, nulls)
                    target[part] = _numbers(table[label], local, label, nulls)
                start += rows
                filled += local.size
    finally:
        for file in files:
            file.close()
    _refuse(
        nulls,
        "nulls",
        f"fill them with FillNull, or drop the rows with DropNull; {wanted.size:,} rows were read",
        split,
    )
    bad = {
        name: count
        for index, name in enumerate(features)
        if (count := wanted.size - int(np.isfinite(matrix[:, index]).sum()))
    }
    if count := wanted.size - int(np.isfinite(target).sum()):
        bad[label] = count
    _refuse(bad, "values that are NaN, infinite or too large for float32", _MEND, split)
    return Rows(tuple(features), matrix, target, available)


def _positions(available: int, max_rows: int, seed: int) -> npt.NDArray[np.int64]:
    if available <= max_rows:
        return np.arange(available, dtype=np.int64)
    bounds = np.array([i * available // max_rows for i in range(max_rows + 1)], dtype=np.int64)
    return np.random.default_rng(seed).integers(bounds[:-1], bounds[1:], dtype=np.int64)


def _numbers(column: pa.ChunkedArray, rows: npt.NDArray[np.int64], name: str, nulls: dict[str, int]) -> Any:
    """The values at `rows` as numpy; nulls are counted, for the caller to refuse."""
    if len(rows) != len(column):
        column = column.take(pa.array(rows))
    if column.null_count:
        nulls[name] = nulls.get(name, 0) + column.null_count
        return 0
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    return column.to_numpy()


def _check_columns(path: Path, schema: pa.Schema, names: Collection[str]) -> None:
    if missing := [name for name in names if name not in schema.names]:
        raise DataError(f"{len(missing)} columns are missing: {_listed(missing)}", where=str(path))
    numbers = number_columns(path)
    if other := [f"{name} ({schema.field(name).type})" for name in names if name not in numbers]:
        raise DataError(
            f"baselines take numbers and booleans, got {_listed(other)}",
            hint="encode them (Categorify, TargetEncode, DateParts), or leave them out of the baseline's features",
            where=str(path),
        )


def _refuse(counts: dict[str, int], what: str, hint: str, split: str) -> None:
    if counts:
        named = _listed([f"{name} ({count:,})" for name, count in counts.items()])
        columns = "1 column" if len(counts) == 1 else f"{len(counts)} columns"
        raise DataError(
            f"{sum(counts.values()):,} {what} in {columns} that a baseline reads: {named}",
            hint=hint,
            where=f"split {split!r}",
        )


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
