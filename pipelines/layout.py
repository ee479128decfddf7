"""How many shards each split gets, and which rows go to which."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate

from pydantic import BaseModel, ConfigDict

from headrace.pipelines.fit import Fit
from headrace.pipelines.work import Work, write_atomically

LAYOUT = "shards.json"


class Layout(BaseModel):
    """How many shards each split gets; from the rows that fitting counted, never from partitions.

    In source order `bounds` has, for each split, the number of the row that each shard after the first begins with.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shards: tuple[int, ...]
    bounds: tuple[tuple[int, ...], ...] = ()

    @property
    def firsts(self) -> tuple[int, ...]:
        """The number of each split's first shard among all shards."""
        return (0, *accumulate(self.shards))[:-1]


def lay_out(work: Work, fitted: Fit) -> Layout:
    """Decide on the shards, and leave the decision where every task finds it."""
    names = work.pipeline.split.names
    left, seen = fitted.stay
    whole = work.plan.shard_rows * seen
    shards = tuple(max(1, -(-fitted.split_rows.get(i, 0) * left // whole)) for i in range(len(names)))
    bounds: tuple[tuple[int, ...], ...] = ()
    if work.pipeline.output.order == "source":
        bounds = tuple(_bounds(work, fitted, split, count) for split, count in enumerate(shards))
    layout = Layout(shards=shards, bounds=bounds)
    write_atomically(work.path / LAYOUT, layout.model_dump_json())
    return layout


def _bounds(work: Work, fitted: Fit, split: int, shards: int) -> tuple[int, ...]:
    """Where to cut the rows of a split into shards of about equal size: its rows lie evenly within a unit, about."""
    total = fitted.split_rows.get(split, 0)
    found: list[int] = []
    before = 0
    for unit in (unit for partition in work.plan.partitions for unit in partition.units):
        own = fitted.unit_rows.get(unit.number, {}).get(split, 0)
        while own and len(found) < shards - 1 and (len(found) + 1) * total <= (before + own) * shards:
            rest = (len(found) + 1) * total - before * shards
            found.append(unit.first_row + rest * unit.rows // (own * shards))
        before += own
    return tuple(found)


def read_layout(work: Work) -> Layout:
    """The layout that `lay_out` decided on."""
    return Layout.model_validate_json((work.path / LAYOUT).read_bytes())


def rows_by_split(layout: Layout, shard_rows: Mapping[int, int]) -> tuple[int, ...]:
    """The rows of each split from the rows of each shard."""
    return tuple(
        sum(shard_rows.get(first + i, 0) for i in range(shards))
        for first, shards in zip(layout.firsts, layout.shards, strict=True)
    )
