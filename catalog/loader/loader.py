"""The loader: an iterable of batches that knows where it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any, NoReturn

from headrace.catalog.loader.batches import Batch, Cutter
from headrace.catalog.loader.columns import Contents, contents
from headrace.catalog.loader.feed import Feed, Work
from headrace.catalog.loader.options import Options
from headrace.catalog.loader.order import Order, at_least, check_world, default_lanes, integer
from headrace.catalog.loader.plan import Plan
from headrace.catalog.loader.shards import Checked, Known, groups_of
from headrace.catalog.loader.slab import Allocate, Pool, Shape, aligned, machine_bytes
from headrace.catalog.loader.state import check_format, check_state, source_of, state_of
from headrace.catalog.reader import Dataset
from headrace.schemas.amounts import size as words
from headrace.schemas.errors import UsageError

Deliver = Callable[[Iterator[Batch]], Iterator[Batch]]
"""From NumPy's arrays to what the job wants."""


class Loader:
    """Batches of a split, one epoch an iteration.

    ``len(loader)`` is the steps of an epoch. Each iteration begins with the epoch's first step, but for the one that
    follows `load_state_dict`. Its threads live from the first batch to the last, or to where it is left. Of several
    iterations at once, the state is that of the one that began last.
    """

    def __init__(
        self,
        dataset: Dataset,
        split: str,
        options: Options,
        *,
        allocate: Allocate | None = None,
        deliver: Deliver | None = None,
    ) -> None:
        self._dataset = dataset
        self._split = split
        self._options = options
        self._contents = _contents(dataset, split, options)
        self._groups = groups_of(dataset.manifest.splits[split].files)
        self._source = source_of(dataset, split)
        self._order = _order(options)
        self._allocate = allocate or aligned
        self._pool = Pool(0, self._allocate)
        self._known: Known = {}
        self._deliver = deliver or (lambda batches: batches)
        self._epoch = self._step = self._start = 0
        self._latest = object()
        check_world(self._order, options.rank, options.world_size)
        at_least("threads", options.threads, 1)
        if options.prefetch is not None:
            at_least("prefetch", options.prefetch, 0)
        self._check_steps()
        self._check_memory()

    @property
    def epoch(self) -> int:
        return self._epoch

    @property
    def step(self) -> int:
        """How many batches of the epoch were given."""
        return self._step

    @property
    def lanes(self) -> int:
        """In how many the epoch is cut: `world_size` can be any divisor of it, here and where a state is loaded."""
        return self._order.lanes

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration; another one than the present begins at its first step.

        Raises UsageError for anything but a whole number from 0.
        """
        at_least("epoch", epoch, 0)
        if epoch != self._epoch:
            self._go_to(int(epoch), 0)

    def state_dict(self) -> dict[str, Any]:
        """Where the present or last iteration is, after the last batch it gave: plain JSON, the same on all ranks."""
        return state_of(self._source, self._order, self._epoch, self._step)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next iteration go on where the state was taken, in a world of any size that divides its lanes.

        Raises
        ------
        UsageError
            The state is of other shards, another split or other options, each named; the ranks cannot share its lanes.

        Notes
        -----
        No row before that step is read. A loader that was made without `lanes` takes those of the state. Where the
        dataset lies, and which version it is, does not matter if the split has the same shards.
        """
        check_format(state)
        order = self._order
        state = {name: value if (number := integer(value)) is None else number for name, value in state.items()}
        if self._options.lanes is None and isinstance(state.get("lanes"), int):
            order = replace(order, lanes=state["lanes"])
            check_world(order, self._options.rank, self._options.world_size)
        check_state(state, state_of(self._source, order, 0, 0), self._plan(order).steps)
        self._order = order
        self._go_to(state["epoch"], state["step"])

    def _go_to(self, epoch: int, step: int) -> None:
        """Iterations that have begun go on with what they were about, and do not say where the loader is any more."""
        self._epoch, self._step, self._start, self._latest = epoch, step, step, object()

    def __len__(self) -> int:
        return self._plan().steps

    def __repr__(self) -> str:
        options, order = self._options, self._order
        return (
            f"Loader({self._dataset.name}@{self._dataset.version} {self._split}: epoch {self._epoch}, "
            f"step {self._step:,} of {len(self):,}; batch_size={order.batch_size}, shuffle={order.shuffle!r}, "
            f"seed={order.seed}, lanes={order.lanes}, rank={options.rank} of {options.world_size})"
        )

    def __getitem__(self, index: Any) -> NoReturn:
        """Raise UsageError, which `torch.utils.data.DataLoader` around a loader runs into."""
        raise UsageError(
            "a loader gives batches one after the other, and none by number",
            hint="for batch in loader: it has threads of its own, and no DataLoader goes around it",
        )

    def __iter__(self) -> Iterator[Batch]:
        """It begins when its first batch is asked for: one that is thrown away before takes no place in the epoch."""
        start, self._start = self._start, 0
        self._step, self._latest = start, (latest := object())
        for step, batch in enumerate(self._batches(start), start + 1):
            if self._latest is latest:
                self._step = step
            yield batch

    def _batches(self, start: int) -> Iterator[Batch]:
        options = self._options
        share = self._plan().share(options.rank, options.world_size)
        shape = Shape.of(self._contents, share, max(group.rows for group in self._groups))
        cutter = Cutter(shape, share, options.drop_last == "pad")
        shards = Checked(self._dataset, self._contents.schema, options.page_checksums, self._known)
        prefetch = options.threads if options.prefetch is None else options.prefetch
        work = Work(share, start, shape, self._groups, shards, options.threads, prefetch)
        if self._pool.size != shape.bytes:
            self._pool = Pool(shape.bytes, self._allocate)
        feed = Feed(work, self._pool)
        with closing(feed):
            yield from self._deliver(cutter.all(feed.slabs(), start))

    def _plan(self, order: Order | None = None) -> Plan:
        return Plan(tuple(group.rows for group in self._groups), order or self._order, self._epoch)

    def _check_steps(self) -> None:
        rows = self._dataset.manifest.splits[self._split].rows
        where = f"{self._dataset.name}@{self._dataset.version} {self._split}"
        if not rows:
            raise UsageError("the split has no rows", where=where)
        if not len(self):
            raise UsageError(
                f"{rows:,} rows make no batch of {self._order.batch_size:,}, and drop_last=True drops them all",
                hint=f'batch_size={rows} or less, or drop_last=False or "pad"',
                where=where,
            )

    def _check_memory(self) -> None:
        """Of one step: padding is written, and a system may promise memory that it has not."""
        share = self._plan().share(self._options.rank, self._options.world_size)
        size, has = Shape(self._contents, share.slots, share.width, 1).bytes, machine_bytes()
        if has is not None and size > has:
            padded = self._order.drop_last == "pad"
            raise UsageError(
                f"a batch has {share.slots * share.width:,} rows for this rank, which take {words(size)}, "
                f"and this machine has {words(has)}",
                hint="a smaller batch_size" + (", or drop_last=False, which pads none" if padded else ""),
                where=f"{self._dataset.name}@{self._dataset.version} {self._split}",
            )


def _order(options: Options) -> Order:
    lanes = options.lanes
    if lanes is None:
        lanes = default_lanes(options.batch_size, options.world_size)
    return Order(options.batch_size, lanes, options.shuffle, options.seed, options.drop_last)


def _contents(dataset: Dataset, split: str, options: Options) -> Contents:
    dataset.split(split)
    columns = dataset.trained_on if options.columns is None else options.columns
    pack = {} if options.pack is None else options.pack
    if not isinstance(pack, Mapping) or not all(isinstance(name, str) for name in pack):
        raise UsageError(
            f"pack is {pack!r}; expected names of matrices, each with its columns", hint='pack={"dense": ["a", "b"]}'
        )
    return contents(
        dataset.manifest.arrow_schema,
        dataset.known(columns),
        {name: dataset.known(packed, f"pack[{name!r}]") for name, packed in pack.items()},
        f"{dataset.name}@{dataset.version} {split}",
    )
