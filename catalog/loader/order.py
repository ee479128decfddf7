"""What decides which rows come when: batch size, lanes, shuffle, seed, what becomes of the tail. Equal on all ranks."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from headrace.schemas.errors import UsageError

Shuffle = Literal["rows", "blocks", False]
DropLast = Literal[True, False, "pad"]

LANES: Final = 8
"""What the default is at least, where the batch size allows it: so many row groups meet in every batch."""

_MOST: Final = 1 << 63

_NAMED: Final = 4096
"""Ranks that a message goes up to: a state may have any number of lanes."""


@dataclass(frozen=True)
class Order:
    """The order of an epoch, without the epoch.

    Parameters
    ----------
    batch_size
        Rows of a step over all ranks together.
    lanes
        How many streams of rows a step takes from, the same number of rows from each.
    shuffle
        "rows": row groups, and rows in windows. "blocks": row groups. False: none.
    seed
        Of row groups and windows.
    drop_last
        Of rows that make no whole step. True: they are left out. False: a smaller step. "pad": a whole one with rows
        of zeros.

    Raises
    ------
    UsageError
        A value that none of them can be, or lanes that the batch cannot be shared between.
    """

    batch_size: int
    lanes: int
    shuffle: Shuffle = "rows"
    seed: int = 0
    drop_last: DropLast = True

    def __post_init__(self) -> None:
        at_least("batch_size", self.batch_size, 1)
        at_least("lanes", self.lanes, 1)
        at_least("seed", self.seed, 0)
        one_of("shuffle", self.shuffle, get_args(Shuffle))
        one_of("drop_last", self.drop_last, get_args(DropLast))
        if self.batch_size % self.lanes:
            raise UsageError(
                f"a batch of {self.batch_size:,} rows cannot be shared by {self.lanes} lanes",
                hint=f"batch_size={nearest(self.batch_size, self.lanes)}, or lanes that divide it",
            )

    @property
    def lane_rows(self) -> int:
        """Rows that a step takes from a lane."""
        return self.batch_size // self.lanes

    def width(self, rows: int, lanes: int = 1) -> int:
        """Rows that there is room for in a step of some lanes that have so many rows together, or in one at least.

        A short step has no more than there are: its batch may be asked for by a size that nothing has.
        """
        return self.lane_rows * lanes if self.drop_last else max(min(self.lane_rows * lanes, rows), 1)


def default_lanes(batch_size: int, world_size: int) -> int:
    """The least multiple of the ranks that divides the batch and is 8 or more, else the greatest below.

    Raises UsageError if the batch cannot be shared by the ranks.
    """
    at_least("batch_size", batch_size, 1)
    at_least("world_size", world_size, 1)
    if batch_size % world_size:
        raise UsageError(
            f"a batch of {batch_size:,} rows cannot be shared by {world_size} ranks: it is of all ranks together",
            hint=f"batch_size={nearest(batch_size, world_size)}",
        )
    fitting = [world_size * n for n in range(1, 4 * LANES + 1) if batch_size % (world_size * n) == 0]
    enough = [lanes for lanes in fitting if LANES <= lanes <= max(4 * LANES, world_size)]
    return min(enough) if enough else max(lanes for lanes in fitting if lanes < LANES)


def check_world(order: Order, rank: int, world_size: int) -> None:
    """Raise UsageError unless the ranks share the lanes equally and this is one of them."""
    at_least("world_size", world_size, 1)
    if order.lanes % world_size:
        allowed = [n for n in range(1, min(order.lanes, _NAMED) + 1) if order.lanes % n == 0]
        raise UsageError(
            f"{order.lanes} lanes cannot be shared by {world_size} ranks; "
            f"world_size can be {', '.join(map(str, allowed))}{', ...' if order.lanes > _NAMED else ''}",
            hint=f"or lanes={nearest(order.lanes, world_size)} in a run that starts anew",
        )
    number = integer(rank)
    if number is None or not 0 <= number < world_size:
        raise UsageError(f"rank is {rank!r}, and there are {world_size} ranks, from 0")


def at_least(name: str, value: Any, least: int) -> None:
    """Raise UsageError unless a value is a whole number from `least`."""
    number = integer(value)
    if number is None or not least <= number < _MOST:
        raise UsageError(f"{name} is {value!r}; expected a whole number from {least}")


def integer(value: Any) -> int | None:
    """A whole number of any type, such as NumPy's, as Python's own; None for all else, booleans and floats too."""
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def one_of(name: str, value: Any, known: Iterable[Any]) -> None:
    """Raise UsageError unless a value is one of those known, of its type as well: 1 is not True."""
    if not any(value is one or (isinstance(value, str) and value == one) for one in known):
        raise UsageError(f"{name} is {value!r}; expected {' or '.join(map(repr, known))}")


def nearest(value: int, divisor: int) -> str:
    """The multiples of a divisor on both sides of a value: ``65535 or 65538``."""
    below = value // divisor * divisor
    return f"{below} or {below + divisor}" if below else str(divisor)
