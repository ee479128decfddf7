"""Rows on the device: columns of libcudf under the names and types that Polars knows them by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import pylibcudf as plc
from rmm.pylibrmm.stream import Stream


@dataclass(frozen=True)
class DeviceFrame:
    """Columns of equal length on the device.

    Parameters
    ----------
    table
        The columns.
    schema
        Their names and Polars dtypes, in the order of the columns.
    stream
        The CUDA stream that they are ready on, and that everything computed from them runs on.
    """

    table: plc.Table
    schema: pl.Schema
    stream: Stream

    @property
    def height(self) -> int:
        return self.table.num_rows()

    def column(self, name: str) -> plc.Column:
        return self.table.columns()[self.schema.names().index(name)]

    def with_column(self, name: str, column: plc.Column, dtype: pl.DataType) -> DeviceFrame:
        """With one column more, or another in its place."""
        columns = dict(zip(self.schema.names(), self.table.columns(), strict=True)) | {name: column}
        schema = pl.Schema({**self.schema, name: dtype})
        return DeviceFrame(plc.Table([columns[n] for n in schema]), schema, self.stream)

    def select(self, names: Sequence[str]) -> DeviceFrame:
        """These columns in this order; nothing is copied."""
        if list(names) == self.schema.names():
            return self
        columns = dict(zip(self.schema.names(), self.table.columns(), strict=True))
        table = plc.Table([columns[name] for name in names], num_rows=self.height)
        return DeviceFrame(table, pl.Schema({name: self.schema[name] for name in names}), self.stream)

    def drop(self, names: Sequence[str]) -> DeviceFrame:
        """Without these columns, whether they are there or not."""
        return self.select([name for name in self.schema if name not in names])

    def slice(self, first: int, rows: int) -> DeviceFrame:
        """A run of rows; values are not copied."""
        [table] = plc.copying.slice(self.table, [first, first + rows], stream=self.stream)
        return DeviceFrame(table, self.schema, self.stream)

    def gather(self, rows: plc.Column, bounds: plc.copying.OutOfBoundsPolicy) -> DeviceFrame:
        """The rows at these positions; with NULLIFY, nulls for positions outside the frame."""
        return DeviceFrame(plc.copying.gather(self.table, rows, bounds, stream=self.stream), self.schema, self.stream)
