"""Kernels in a query: each adds columns to the rows before it, and is asked only for what the rest of it needs."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from headrace.engines.gpu.frame import DeviceFrame
from headrace.engines.gpu.query import as_source

Run = Callable[[pl.LazyFrame], DeviceFrame]


@dataclass(frozen=True)
class Link:
    """A kernel at its place in a query.

    Parameters
    ----------
    reads
        The columns that `body` looks at.
    writes
        The columns that it adds or replaces, and their types.
    body
        From rows with at least the columns `reads` to the same rows with the columns `writes` as well.
    """

    reads: tuple[str, ...]
    writes: Mapping[str, pl.DataType]
    body: Callable[[DeviceFrame], DeviceFrame]


@dataclass(frozen=True)
class Chain:
    """A query, what runs it, and the kernels that follow on it with nothing in between: it runs once for all."""

    frame: pl.LazyFrame
    run: Run
    links: tuple[Link, ...] = ()

    def compute(self, wanted: Sequence[str]) -> DeviceFrame:
        """These columns and no others: kernels whose columns nobody asks for are left out.

        What only a kernel reads leaves the device behind it: of 26 columns of text that become ids, none stays with
        all of the ids.
        """
        needed = dict.fromkeys(wanted)
        kept: list[tuple[Link, list[str]]] = []
        for link in reversed(self.links):
            if needed.keys() & link.writes.keys():
                kept.append((link, list(needed)))
                needed = dict.fromkeys([*(c for c in needed if c not in link.writes), *link.reads])
        rows = self.run(self.frame.select(c for c in self.frame.collect_schema() if c in needed))
        for link, behind in reversed(kept):
            rows = link.body(rows).select(behind)
        return rows.select(list(wanted))


class Chains:
    """The chains behind queries that end in a kernel, for as long as the query lives."""

    def __init__(self) -> None:
        self._chains: dict[int, Chain] = {}

    def add(self, frame: pl.LazyFrame, link: Link, run: Run) -> pl.LazyFrame:
        """The query with a kernel behind it; `run` runs what is before the first kernel."""
        before = self._chains.get(id(frame)) or Chain(frame, run)
        chain = Chain(before.frame, before.run, (*before.links, link))
        schema = pl.Schema({**frame.collect_schema(), **link.writes})
        source = as_source(schema, chain.compute)
        self._chains[id(source)] = chain
        weakref.finalize(source, self._chains.pop, id(source), None)
        return source
