"""Published shards as one float32 matrix: only the columns and the rows that are asked for, without pandas."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from headrace.pipelines.places import HOST, Batch, Matrix, Place
from headrace.schemas.errors import DataError

Floats = npt.NDArray[np.float64]

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
        float32, a row of the split by a feature; finite. A numpy array, or one of the place that read it.
    label
        float64, finite; always in the host's memory, where metrics are worked out.
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


@dataclass(frozen=True)
class Refused:
    """Values that no matrix can hold, counted by column; several parts of a split can be counted one by one."""

    rows: int
    nulls: Mapping[str, int] = field(default_factory=dict)
    not_finite: Mapping[str, int] = field(default_factory=dict)


def read_rows(
    split: str, paths: Sequence[Path], features: Sequence[str], label: str, *, max_rows: int, seed: int
) -> Rows:
    """Read features and label of a split into the host's memory, at most `max_rows` rows of it.

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
    rows, refused = read_part(split, paths, features, label, max_rows=max_rows, seed=seed)
    refuse(split, [refused])
    return rows


def read_part(
    split: str,
    paths: Sequence[Path],
    features: Sequence[str],
    label: str,
    *,
    max_rows: int,
    seed: int,
    part: int = 0,
    parts: int = 1,
    place: Place = HOST,
) -> tuple[Rows, Refused]:
    """One of `parts` runs of the rows that `read_rows` reads, in a place; what cannot be used is counted.

    The parts one after the other are the same rows as all at once.

    Raises
    ------
    DataError
        The split has no rows; a column is missing or no number.

    Notes
    -----
    Cost: one pass over the columns asked for, in the row groups that hold rows of the part; memory for the matrix and
    for what the place reads at once.
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
        wanted = wanted[part * wanted.size // parts : (part + 1) * wanted.size // parts]
        columns = list(dict.fromkeys([*features, label]))
        matrix = place.empty(wanted.size, len(features))
        target = np.empty(wanted.size, dtype=np.float64)
        nulls: dict[str, int] = {}
        for filled, batch in _batches(paths, files, wanted, place.together(len(columns))):
            table = place.read(batch, columns)
            with np.errstate(over="ignore"):  # what overflows becomes infinite, and is refused with its count
                for index, name in enumerate(features):
                    matrix[filled, index] = _counted(place.numbers(table, name, batch), name, nulls)
            target[filled] = place.to_host(_counted(place.numbers(table, label, batch), label, nulls))
    finally:
        for file in files:
            file.close()
    bad = {
        name: count
        for index, name in enumerate(features)
        if (count := wanted.size - int(np.isfinite(matrix[:, index]).sum()))
    }
    if count := wanted.size - int(np.isfinite(target).sum()):
        bad[label] = count
    return Rows(tuple(features), matrix, target, available), Refused(wanted.size, nulls, bad)


def refuse(split: str, found: Sequence[Refused]) -> None:
    """Raise DataError for what the parts of a split hold that cannot be used, counted by column over all of them."""
    rows = sum(part.rows for part in found)
    _refuse(
        _total([part.nulls for part in found]),
        "nulls",
        f"fill them with FillNull, or drop the rows with DropNull; {rows:,} rows were read",
        split,
    )
    _refuse(
        _total([part.not_finite for part in found]),
        "values that are NaN, infinite or too large for float32",
        _MEND,
        split,
    )


def _batches(
    paths: Sequence[Path], files: Sequence[pq.ParquetFile], wanted: npt.NDArray[np.int64], together: int
) -> Iterator[tuple[slice, Batch]]:
    """Runs of row groups that hold wanted rows, and where their rows go in the matrix."""
    start = filled = 0
    for path, file in zip(paths, files, strict=True):
        for groups, rows in _runs(file, together):
            local = wanted[filled : np.searchsorted(wanted, start + rows)] - start
            if local.size:
                part = slice(filled, filled + local.size)
                yield part, Batch(path, file, groups, None if local.size == rows else local)
            start += rows
            filled += local.size


def _runs(file: pq.ParquetFile, together: int) -> Iterator[tuple[tuple[int, ...], int]]:
    """Row groups one after the other up to `together` rows, and their rows; at least one group each."""
    groups: list[int] = []
    held = 0
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if groups and held + rows > together:
            yield tuple(groups), held
            groups, held = [], 0
        groups.append(group)
        held += rows
    if groups:
        yield tuple(groups), held


def _positions(available: int, max_rows: int, seed: int) -> npt.NDArray[np.int64]:
    if available <= max_rows:
        return np.arange(available, dtype=np.int64)
    bounds = np.array([i * available // max_rows for i in range(max_rows + 1)], dtype=np.int64)
    return np.random.default_rng(seed).integers(bounds[:-1], bounds[1:], dtype=np.int64)


def _counted(found: tuple[Any, int], name: str, nulls: dict[str, int]) -> Any:
    """The values; nulls are counted, for the caller to refuse."""
    values, count = found
    if count:
        nulls[name] = nulls.get(name, 0) + count
    return values


def _total(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    names = dict.fromkeys(name for part in counts for name in part)
    return {name: sum(part.get(name, 0) for part in counts) for name in names}


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
