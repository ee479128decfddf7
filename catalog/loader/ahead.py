"""Shards of an object store that are fetched while those before them are read."""

from __future__ import annotations

import contextlib
import threading
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from headrace.catalog.loader.shards import Checked
from headrace.catalog.records import File

SHARDS: Final = 2
"""How many are fetched before a thread wants them."""

THREADS: Final = 2
"""That fetch, each a shard at a time by several requests."""


class Ahead:
    """Threads that fetch the shards of tasks to come, in their order. On disk, and without a cache, there are none.

    A shard that cannot be fetched ends them: who needs it asks for it once more, and raises what is wrong.
    """

    def __init__(self, shards: Checked, files: Sequence[File]) -> None:
        """`files` are the shards of all tasks, in the order in which they are begun."""
        first = {file.sha256 + file.path: (number, file) for number, file in reversed(list(enumerate(files)))}
        wanted = sorted(first.values(), key=lambda one: one[0]) if shards.fetches else []
        self._shards = shards
        self._files = [file for _, file in wanted]
        self._tasks = [number for number, _ in wanted]
        self._begun = 0
        self._next = 0
        self._stopped = False
        self._changed = threading.Condition()
        self.threads = [
            threading.Thread(target=self._run, name=f"headrace-loader-ahead-{n}", daemon=True)
            for n in range(min(THREADS, len(wanted)))
        ]

    def begun(self, task: int) -> None:
        """All tasks up to this one are."""
        with self._changed:
            self._begun = task
            self._changed.notify_all()

    def stop(self) -> None:
        """What is being fetched is fetched."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _run(self) -> None:
        with contextlib.suppress(Exception):
            while (file := self._claimed()) is not None:
                self._shards.path(file)

    def _claimed(self) -> File | None:
        with self._changed:
            while not self._stopped and self._next < len(self._files):
                if self._next < bisect_right(self._tasks, self._begun) + SHARDS:
                    self._next += 1
                    return self._files[self._next - 1]
                self._changed.wait()
            return None
