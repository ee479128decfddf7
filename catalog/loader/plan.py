"""Which rows a rank gets at which step: a pure function of the manifest's row groups, an order and an epoch.

Shuffled, the row groups are permuted and laid on a line of N rows, which is cut into L lanes of equal length but for
one row. Step t takes rows [t * b, (t + 1) * b) of every lane; rank r owns the lanes l with l mod W = r. So a step has
the same rows for every W that divides L, every rank has the same number of steps, and a step is found without those
before it.

Unshuffled, step t takes rows [t * B, (t + 1) * B) of the published order, and lane l the l-th of its L equal parts.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Final, Protocol

import numpy as np

from headrace.catalog.loader.order import Order, check_world
from headrace.catalog.loader.permutation import GROUPS, WINDOW, Rows, permutation

WINDOW_ROWS: Final = 32_768
"""Rows that are permuted among themselves: what is gathered from then fits into the cache next to the processor."""

Picked = slice | Rows
"""Rows of a row group, in the order in which they are wanted."""


@dataclass(frozen=True)
class Task:
    """Rows of one row group that follow one another in a slot.

    Parameters
    ----------
    group
        The row group, counted through the split.
    slot
        Which of the rank's slots they are for.
    start, rows
        The slot's positions that the row group fills: [start, start + rows).
    first
        Of the row group's rows in that part, if they follow one another there as well; else 0.
    begin
        The position from which they are wanted, at least `start`: later where an epoch is resumed.
    """

    group: int
    slot: int
    start: int
    rows: int
    first: int
    begin: int


class Share(Protocol):
    """What one rank reads: at step t, positions [t * width, (t + 1) * width) of each of its slots."""

    slots: int
    width: int
    steps: int

    def valid(self, step: int) -> tuple[int, ...]:
        """How many rows each slot has at a step; fewer than `width` in the last one only."""

    def tasks(self, step: int) -> list[Task]:
        """What is read from a step on, in the order in which it is needed."""

    def picked(self, task: Task) -> Picked:
        """Which rows of the row group are wanted, from the slot's position `task.begin` on."""


@dataclass(frozen=True)
class Plan:
    """An epoch of a split.

    Parameters
    ----------
    groups
        Rows of the row groups, file after file.
    """

    groups: tuple[int, ...]
    order: Order
    epoch: int = 0

    @cached_property
    def rows(self) -> int:
        return sum(self.groups)

    @property
    def steps(self) -> int:
        """Of every rank."""
        size = self.order.batch_size
        return self.rows // size if self.order.drop_last is True else -(-self.rows // size)

    def share(self, rank: int, world_size: int) -> Share:
        """What a rank reads. Raises UsageError if the ranks cannot share the lanes."""
        check_world(self.order, rank, world_size)
        return (Laned if self.order.shuffle else Sliced)(self, rank, world_size)

    def lane(self, lane: int) -> tuple[int, int]:
        """The part of the line that a lane is, without what is dropped."""
        start, stop = (self.rows * n // self.order.lanes for n in (lane, lane + 1))
        return start, start + self.steps * self.order.lane_rows if self.order.drop_last is True else stop

    @cached_property
    def line(self) -> tuple[list[int], list[int]]:
        """The row groups in this epoch's order, and where on the line each begins; one more for the end."""
        groups = list(range(len(self.groups)))
        if self.order.shuffle:
            drawn = permutation(len(groups), seed=self.order.seed, epoch=self.epoch, stream=GROUPS)
            groups = drawn.tolist()
        return groups, [0, *accumulate(self.groups[group] for group in groups)]


class Laned:
    """A rank's lanes, each of them a slot."""

    def __init__(self, plan: Plan, rank: int, world_size: int) -> None:
        self._plan = plan
        self._lanes = range(rank, plan.order.lanes, world_size)
        self.slots = len(self._lanes)
        self._lengths = [stop - start for start, stop in map(plan.lane, self._lanes)]
        self.width = plan.order.width(max(self._lengths))
        self.steps = plan.steps

    def valid(self, step: int) -> tuple[int, ...]:
        return tuple(min(max(rows - step * self.width, 0), self.width) for rows in self._lengths)

    def tasks(self, step: int) -> list[Task]:
        found = [task for slot in range(self.slots) for task in self._of_slot(slot, step * self.width)]
        return sorted(found, key=lambda task: (task.begin // self.width, task.slot, task.begin))

    def _of_slot(self, slot: int, begin: int) -> Iterator[Task]:
        groups, starts = self._plan.line
        start, stop = self._plan.lane(self._lanes[slot])
        place = start + begin
        while place < stop:
            at = bisect_right(starts, place) - 1
            first, last = max(starts[at], start), min(starts[at + 1], stop)
            yield Task(groups[at], slot, first - start, last - first, first - starts[at], place - start)
            place = last

    def picked(self, task: Task) -> Picked:
        if self._plan.order.shuffle == "blocks":
            return slice(task.first + task.begin - task.start, task.first + task.rows)
        return np.concatenate(list(self._windows(task)))

    def _windows(self, task: Task) -> Iterator[Rows]:
        order = self._plan.order
        for offset in range(0, task.rows, WINDOW_ROWS):
            rows = min(WINDOW_ROWS, task.rows - offset)
            start = task.start + offset
            if start + rows <= task.begin:
                continue
            picked = permutation(
                rows, seed=order.seed, epoch=self._plan.epoch, stream=WINDOW, lane=self._lanes[task.slot], start=start
            )
            picked += task.first + offset
            yield picked[max(task.begin - start, 0) :]


class Sliced:
    """A rank's parts of the steps of an epoch in published order, one behind the other in one slot."""

    def __init__(self, plan: Plan, rank: int, world_size: int) -> None:
        self._plan = plan
        self._lanes = range(rank, plan.order.lanes, world_size)
        self.slots = 1
        self.steps = plan.steps
        self.width = plan.order.lane_rows * len(self._lanes)
        self.width = plan.order.width(self._before(plan.rows), len(self._lanes))

    def valid(self, step: int) -> tuple[int, ...]:
        size = self._plan.order.batch_size
        return (self._before((step + 1) * size) - self._before(step * size),)

    def tasks(self, step: int) -> list[Task]:
        groups, starts = self._plan.line
        begin = step * self.width
        found = []
        for at, group in enumerate(groups):
            start, stop = self._before(starts[at]), self._before(starts[at + 1])
            if max(start, begin) < stop:
                found.append(Task(group, 0, start, stop - start, 0, max(start, begin)))
        return found

    def picked(self, task: Task) -> Picked:
        stop = task.start + task.rows
        first = self._plan.line[1][task.group]
        if len(self._lanes) == self._plan.order.lanes:  # a rank alone gets all
            return slice(task.begin - first, stop - first)
        return self._places(task.begin, stop) - first

    def _cuts(self, rows: int) -> list[tuple[int, int]]:
        """Where in a step of so many rows the rank's lanes begin and end."""
        lanes = self._plan.order.lanes
        return [(rows * lane // lanes, rows * (lane + 1) // lanes) for lane in self._lanes]

    def _before(self, place: int) -> int:
        """How many of the rank's rows are published before a place."""
        size = self._plan.order.batch_size
        step, rest = divmod(min(place, self._plan.rows), size)
        if self._plan.order.drop_last is True and step >= self.steps:
            return self.steps * self.width
        cuts = self._cuts(min(size, self._plan.rows - step * size))
        return step * self.width + sum(min(max(rest - start, 0), stop - start) for start, stop in cuts)

    def _places(self, start: int, stop: int) -> Rows:
        """Where in the published order the rank's rows [start, stop) are."""
        size = self._plan.order.batch_size
        parts = []
        for step in range(start // self.width, -(-stop // self.width)):
            cuts = self._cuts(min(size, self._plan.rows - step * size))
            rows = np.concatenate([np.arange(step * size + a, step * size + z, dtype=np.int64) for a, z in cuts])
            parts.append(rows[max(start - step * self.width, 0) : stop - step * self.width])
        return np.concatenate(parts)
