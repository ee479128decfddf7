"""Where a matrix is made: what reads row groups of a shard, and what its columns become."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

Matrix = npt.NDArray[np.float32]


class Batch(NamedTuple):
    """Row groups of a shard that are read at once, and which of their rows are wanted; None for all of them."""

    path: Path
    file: pq.ParquetFile
    groups: tuple[int, ...]
    rows: npt.NDArray[np.int64] | None


class Place(Protocol):
    """Where a matrix is made: in the host's memory, or on a GPU (`headrace.pipelines.gpu_matrix`)."""

    def empty(self, rows: int, columns: int) -> Any:
        """A float32 matrix of this place."""
        ...

    def together(self, columns: int) -> int:
        """How many rows may be read at once; a row group is never cut."""
        ...

    def read(self, batch: Batch, columns: Sequence[str]) -> Any:
        """The columns of a batch, as this place holds them."""
        ...

    def numbers(self, table: Any, name: str, batch: Batch) -> tuple[Any, int]:
        """The wanted values of a column as an array of this place, and how many of them are null; 0 if any is."""
        ...

    def to_host(self, values: Any) -> Any:
        """An array of this place as numpy."""
        ...


class HostPlace:
    """The host's memory, a row group at a time."""

    def empty(self, rows: int, columns: int) -> Matrix:
        return np.empty((rows, columns), dtype=np.float32)

    def together(self, columns: int) -> int:
        return 1

    def read(self, batch: Batch, columns: Sequence[str]) -> pa.Table:
        (group,) = batch.groups
        return batch.file.read_row_group(group, columns=list(columns))

    def numbers(self, table: pa.Table, name: str, batch: Batch) -> tuple[Any, int]:
        column = table[name]
        if batch.rows is not None:
            column = column.take(pa.array(batch.rows))
        if column.null_count:
            return 0, column.null_count
        if pa.types.is_decimal(column.type):
            column = column.cast(pa.float64())
        return column.to_numpy(), 0

    def to_host(self, values: Any) -> Any:
        return values


HOST: Final = HostPlace()
