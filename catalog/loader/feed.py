"""Threads that fill slabs ahead of who reads them: bounded, in order, and never silent about a failure."""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from headrace.catalog.loader.ahead import Ahead
from headrace.catalog.loader.fill import Filler
from headrace.catalog.loader.place import Place, places
from headrace.catalog.loader.plan import Share, Task
from headrace.catalog.loader.shards import Checked, Group, Shards
from headrace.catalog.loader.slab import Pool, Shape, Slab
from headrace.schemas.errors import HeadraceError, RunError

_LOOK: Final = 1.0
"""Seconds after which one who waits looks whether the threads still live."""

_PATIENCE: Final = 10.0
"""Seconds that leaving waits for threads, which end after their row groups; fetching a shard may take longer."""


@dataclass(frozen=True)
class Work:
    """What threads do in an epoch.

    Parameters
    ----------
    step
        The first one that is wanted; slabs are counted from it.
    threads, prefetch
        How many; row groups that they read beyond what the slab that is waited for needs.
    """

    share: Share
    step: int
    shape: Shape
    groups: Sequence[Group]
    shards: Checked
    threads: int
    prefetch: int

    def expected(self, number: int) -> int:
        """Rows of a slab."""
        first = self.step + number * self.shape.steps
        last = min(first + self.shape.steps, self.share.steps)
        if last < self.share.steps:  # only the last step can be short
            return (last - first) * self.shape.slots * self.shape.width
        return (last - 1 - first) * self.shape.slots * self.shape.width + sum(self.share.valid(last - 1))


class Feed:
    """An epoch's slabs, in order. `close` ends the threads; `slabs` does so when it is left in any way."""

    def __init__(self, work: Work, pool: Pool) -> None:
        self._work = work
        self._pool = pool
        self._tasks = work.share.tasks(work.step)
        self._ahead = Ahead(work.shards, [work.groups[task.group].file for task in self._tasks])
        self._first = [self._slab_of(task.begin) for task in self._tasks]
        self._next = 0
        self._wanted = 0
        self._slabs: dict[int, Slab] = {}
        self._problem: BaseException | None = None
        self._stopped = False
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._run, name=f"headrace-loader-{n}", daemon=True)
            for n in range(min(work.threads, len(self._tasks)))
        ]

    def slabs(self) -> Iterator[Slab]:
        """Each as soon as it is whole. Raises what a thread failed with."""
        try:
            for thread in (*self._threads, *self._ahead.threads):
                thread.start()
            for number in range(-(-(self._work.share.steps - self._work.step) // self._work.shape.steps)):
                yield self._whole(number)
        finally:
            self.close()

    def close(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._ahead.stop()
        until = time.monotonic() + _PATIENCE
        for thread in (*self._threads, *self._ahead.threads):
            if thread.ident is not None:
                thread.join(max(until - time.monotonic(), 0))

    def _whole(self, number: int) -> Slab:
        with self._changed:
            self._wanted = number
            self._changed.notify_all()
            while (slab := self._slab(number)).missing:
                if self._problem is not None:
                    raise _told(self._problem)
                if not any(thread.is_alive() for thread in self._threads):
                    raise RunError(f"the loader's threads ended, and {slab.missing:,} rows are missing")
                self._changed.wait(_LOOK)
            self._wanted = number + 1
            self._changed.notify_all()
            return self._slabs.pop(number)

    def _slab(self, number: int) -> Slab:
        """Called with the lock held."""
        if number not in self._slabs:
            self._slabs[number] = Slab(self._work.shape, self._pool.take(), self._work.expected(number))
        return self._slabs[number]

    def _slab_of(self, place: int) -> int:
        return (place // self._work.shape.width - self._work.step) // self._work.shape.steps

    # In the threads.

    def _run(self) -> None:
        shards = Shards(self._work.shards)
        with self._noted():
            filler = Filler(self._work.shape, shards, lambda: self._stopped)
            while (task := self._claimed()) is not None:
                self._do(task, filler)
        with self._noted():  # apart, so that it does not hide what failed before
            shards.close()

    @contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            with self._changed:
                self._problem = self._problem or error
                self._changed.notify_all()

    def _claimed(self) -> Task | None:
        with self._changed:
            while not self._stopped and self._problem is None and self._next < len(self._tasks):
                if self._next < bisect_right(self._first, self._wanted) + self._work.prefetch:
                    self._next += 1
                    self._ahead.begun(self._next - 1)
                    return self._tasks[self._next - 1]
                self._changed.wait()
            return None

    def _do(self, task: Task, filler: Filler) -> None:
        begin = task.begin - self._work.step * self._work.shape.width
        found = list(self._places(task.slot, begin, task.start + task.rows - task.begin))
        if filler.fill(self._work.groups[task.group], self._work.share.picked(task), found):
            with self._changed:
                for place in found:
                    place.slab.missing -= place.stop - place.start
                self._changed.notify_all()

    def _places(self, slot: int, position: int, rows: int) -> Iterator[Place]:
        """Where so many rows from a position go, slab after slab."""
        shape = self._work.shape
        start = 0
        while start < rows:
            number, inside = divmod(position + start, shape.steps * shape.width)
            stop = min(start + shape.steps * shape.width - inside, rows)
            with self._changed:
                slab = self._slab(number)
            yield from places(slab, slot, inside, start, stop)
            start = stop


def _told(error: BaseException) -> BaseException:
    """What a thread failed with, as one of our errors."""
    if isinstance(error, HeadraceError):
        return error
    problem = RunError(f"a thread of the loader failed: {type(error).__name__}: {error}")
    problem.__cause__ = error
    return problem
