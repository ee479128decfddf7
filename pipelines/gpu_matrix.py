"""Published shards as a matrix in a GPU's memory: cuDF decodes them there, and nothing but labels comes to the host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from headrace.pipelines.matrix import Rows
from headrace.pipelines.places import Batch

_READ_BYTES: Final = 512 << 20
_VALUE_BYTES: Final = 8


@dataclass(frozen=True)
class DevicePlace:
    """The memory of this process's GPU. Matrices are column-major, as cuML's solvers want them.

    Parameters
    ----------
    xp
        The module of arrays: `cupy`.
    read_parquet
        `cudf.read_parquet`.

    Notes
    -----
    Memory: the matrix, and row groups of 512 MiB of decoded columns at once, twice where a sample is taken of them.
    """

    xp: Any
    read_parquet: Callable[..., Any]

    def empty(self, rows: int, columns: int) -> Any:
        return self.xp.empty((rows, columns), dtype="float32", order="F")

    def together(self, columns: int) -> int:
        return _READ_BYTES // (columns * _VALUE_BYTES)

    def read(self, batch: Batch, columns: Sequence[str]) -> Any:
        table = self.read_parquet(str(batch.path), columns=list(columns), row_groups=[list(batch.groups)])
        return table if batch.rows is None else table.take(self.xp.asarray(batch.rows))

    def numbers(self, table: Any, name: str, batch: Batch) -> tuple[Any, int]:
        column = table[name]
        if column.null_count:
            return 0, int(column.null_count)
        if pa.types.is_decimal(batch.file.schema_arrow.field(name).type):
            column = column.astype("float64")
        return column.values, 0

    def to_host(self, values: Any) -> Any:
        return self.xp.asnumpy(values) if hasattr(self.xp, "asnumpy") else values

    def take(self, rows: Rows, names: Sequence[str]) -> Any:
        """The columns of these features, in this order, column-major; not copied if they are all of them."""
        if tuple(names) == rows.names:
            return rows.features
        chosen = self.empty(rows.label.size, len(names))
        for index, name in enumerate(names):
            chosen[:, index] = rows.features[:, rows.names.index(name)]
        return chosen
