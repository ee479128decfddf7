"""What an operator of NVTabular stands on, and what becomes of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from headrace.pipelines.nvtabular.graph import Node
from headrace.schemas.dtypes import instance
from headrace.schemas.errors import DataError
from headrace.transforms.base import Learner, Transform, to_plain
from headrace.transforms.columns import Columns


@dataclass(frozen=True)
class Step:
    """A step as YAML has it, and what it learned; None where there is only one of the two."""

    declared: dict[str, Any] | None
    fitted: Transform | None


Note = tuple[tuple[str, ...], str, str]


@dataclass
class Carried:
    """What became of one node.

    Parameters
    ----------
    steps
        In order.
    outputs
        The column that holds each output that is not the input of the same name.
    lost
        Outputs that nothing holds.
    notes
        What differs or is left out: columns, why, what to do.
    vocabularies
        Tables to be written beside the pipeline, by name.
    """

    steps: list[Step] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    notes: list[Note] = field(default_factory=list)
    vocabularies: dict[str, pl.DataFrame] = field(default_factory=dict)

    def lose(self, outputs: tuple[str, ...], why: str, instead: str = "") -> None:
        """List outputs that nothing holds."""
        self.lost |= set(outputs)
        self.notes.append((outputs, why, instead))


@dataclass(frozen=True)
class Place:
    """A node with the columns that hold its inputs now, all columns with their types, and the folder of its files.

    `taken` are the names of the vocabularies of earlier nodes.
    """

    node: Node
    columns: Mapping[str, str]
    dtypes: Mapping[str, pl.DataType]
    folder: Path
    taken: frozenset[str] = frozenset()

    @property
    def names(self) -> list[str]:
        return list(self.columns.values())

    @property
    def all(self) -> Columns:
        return Columns(names=tuple(self.names))

    def param(self, name: str, default: Any = None) -> Any:
        return self.node.op_params.get(name, default)

    def element(self, column: str) -> pl.DataType:
        """The dtype of a column, of lists that of their elements."""
        dtype = self.dtypes[column]
        return instance(dtype.inner) if isinstance(dtype, pl.List) else dtype

    def numbers(self, state: str) -> tuple[float, ...]:
        """What was learned for each column; NaN where there was nothing to learn from.

        Raises
        ------
        DataError
            It is not there for a column, or no number.
        """
        learned = self.node.op_state.get(state)
        found = [learned.get(name) if isinstance(learned, dict) else None for name in self.columns]
        for name, value in zip(self.columns, found, strict=True):
            if not isinstance(value, int | float):
                raise self.damaged(f"op_state.{state} has {value!r} for column {name!r}, expected a number")
        return tuple(float(value) for value in found if value is not None)

    def paths(self, state: str) -> dict[str, Path]:
        """The files that it wrote, by the name of the column or the group; raises DataError."""
        separator = str(self.param("name_sep", "_"))
        found = {}
        records = self.node.op_state.get(state) or []
        for record in records if isinstance(records, list) else [records]:
            match record:
                case {"key": list(key), "path": str(path)}:
                    found[separator.join(map(str, key))] = inside(self.folder, path)
                case _:
                    raise self.damaged(f"op_state.{state} has {record!r}, expected a key and a path")
        return found

    def free(self, name: str) -> str:
        """A name that no column has."""
        return name if name not in self.dtypes else free(f"{name}_{self.node.id}", self.dtypes)

    def damaged(self, what: str) -> DataError:
        return DataError(f"graph.json is damaged: {what}", where=f"node {self.node.place} {self.node.operator}")


Carry = Callable[[Place], Carried]


def free(name: str, taken: Any) -> str:
    """The name, with underscores behind it until it is not taken."""
    while name in taken:
        name += "_"
    return name


def lost(place: Place, why: str, instead: str) -> Carried:
    """A node of which nothing is carried over."""
    carried = Carried()
    carried.lose(place.node.outputs, why, instead)
    return carried


def same(declared: Transform | Learner) -> Step:
    """A step that learns nothing."""
    return Step(to_plain(declared), declared.learn(pl.DataFrame()) if isinstance(declared, Learner) else declared)


def inside(folder: Path, relative: str) -> Path:
    """A path in a folder; raises DataError where it leads out of it."""
    path = (folder / relative).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise DataError(f"names a file outside the workflow: {relative}", where=str(folder))
    return path


def whole(values: pl.Series) -> pl.Series | None:
    """Fractions that are whole numbers as Int64, None where one is not."""
    if not values.dtype.is_float():
        return values
    if values.is_nan().any() or not ((values == values.floor()) & (values.abs() < 2.0**53)).all():
        return None
    return values.cast(pl.Int64)


def zero_if_nan(value: float) -> float:
    return 0.0 if math.isnan(value) else value
