"""Tables: columns of equal length."""

from __future__ import annotations

from collections.abc import Sequence

from tests.imitation.column import Column


class Table:
    """Columns of equal length; without any it has as many rows as it is told."""

    def __init__(self, columns: Sequence[Column], num_rows: int | None = None) -> None:
        self._columns = tuple(columns)
        for column in self._columns:
            if not isinstance(column, Column):
                raise TypeError(f"a table is made of columns, got {type(column).__name__}")
        sizes = {column.size() for column in self._columns} | ({num_rows} if num_rows is not None else set())
        if len(sizes) > 1:
            raise ValueError(f"columns of a table must be of one length, got {sorted(sizes)}")
        self._rows = sizes.pop() if sizes else 0

    def num_columns(self) -> int:
        return len(self._columns)

    def num_rows(self) -> int:
        return self._rows

    def columns(self) -> tuple[Column, ...]:
        return self._columns
