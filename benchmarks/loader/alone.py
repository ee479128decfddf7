"""What is measured in a process of its own: imports first, then the job, as often as it is asked for on stdin.

    python -m benchmarks.loader.alone '{"do": "epochs", "uri": "...", "shuffle": "rows"}'

Each line of output is JSON: first the memory before the job, then what it found each time. Times and memory are taken
inside.
"""

from __future__ import annotations

import ctypes
import json
import os
import struct
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import obstore
import pyarrow.parquet as pq
import torch  # noqa: F401 - a job has imported what it uses before it begins

from headrace import open_dataset
from headrace.catalog.cache import CHUNK
from headrace.catalog.dataset import Dataset
from headrace.catalog.store import open_store

THREADS: Final = 2
BATCH: Final = 65_536

Job = Callable[[int], Mapping[str, Any]]
"""Does it for the nth time."""

_REQUESTS: Final = 8
"""At once, when a store is asked for everything and nothing is done with it: what two threads of the loader have."""

_IN_OPEN: Final = 0x20


def raw(uri: str) -> Job:
    """pyarrow decodes every row group of every column, two threads, files kept open and mapped; tables are dropped."""
    files = open_dataset(uri).files("train")
    groups = [(path, number) for path in files for number in range(pq.read_metadata(path).num_row_groups)]
    lock = threading.Lock()

    def epoch() -> None:
        tasks = iter(groups)

        def run() -> None:
            opened: dict[Path, pq.ParquetFile] = {}
            while True:
                with lock:
                    task = next(tasks, None)
                if task is None:
                    return
                if task[0] not in opened:
                    opened[task[0]] = pq.ParquetFile(task[0], memory_map=True)
                opened[task[0]].read_row_group(task[1], use_threads=False)

        with ThreadPoolExecutor(THREADS) as pool:
            for done in [pool.submit(run) for _ in range(THREADS)]:
                done.result()

    return lambda _: _timed(epoch)


def epochs(uri: str, shuffle: Any, pack: bool = False, cache: str | Literal[False] | None = None) -> Job:
    """An epoch of the loader, of all columns. Nothing is done with a batch."""
    dataset = open_dataset(uri, cache_dir=cache)
    packed = matrices(dataset) if pack else {}
    inside = {name for names in packed.values() for name in names}
    loader = dataset.torch_loader(
        "train",
        columns=[name for name in dataset.columns if name not in inside],
        pack=packed,
        batch_size=BATCH,
        shuffle=shuffle,
        drop_last=False,
        threads=THREADS,
    )

    def epoch(number: int) -> None:
        loader.set_epoch(number)
        rows = sum(len(next(iter(batch.values()))) for batch in loader)
        assert rows == dataset.rows["train"], rows

    return lambda number: _timed(partial(epoch, number)) | _memory()


def matrices(dataset: Dataset) -> dict[str, list[str]]:
    """All columns of a type in one matrix, where there are several."""
    of: dict[str, list[str]] = defaultdict(list)
    for column in dataset.manifest.columns:
        of[column.dtype].append(column.name)
    return {dtype: names for dtype, names in of.items() if len(names) > 1}


def first(uri: str) -> Job:
    """Milliseconds until there is a dataset, a loader and its first batch, and how many shards were opened for them."""
    folder = open_dataset(uri).files("train")[0].parent

    def once(_: int) -> dict[str, float]:
        opens = Opens(folder)
        began = time.perf_counter()
        dataset = open_dataset(uri)
        opened = time.perf_counter()
        loader = dataset.torch_loader(
            "train", columns=dataset.columns, batch_size=BATCH, drop_last=False, threads=THREADS
        )
        steps = len(loader)
        made = time.perf_counter()
        planned = len(opens.names())
        batch = next(iter(loader))
        there = time.perf_counter()
        shards = len(opens.names())
        assert steps > 0
        assert len(next(iter(batch.values()))) == min(BATCH, dataset.rows["train"])
        return {
            "open_ms": (opened - began) * 1e3,
            "loader_ms": (made - opened) * 1e3,
            "batch_ms": (there - made) * 1e3,
            "all_ms": (there - began) * 1e3,
            "shards_opened_before": planned,
            "shards_opened": shards,
        }

    return once


def fetch(uri: str) -> Job:
    """All shards of a dataset in a store, in requests as the cache makes them, eight at once; nothing is kept."""
    dataset = open_dataset(uri)
    store = open_store(dataset.place)
    files = dataset.split("train").files
    wanted = [
        (f"builds/{dataset.build_of(file)}/{file.path}", start, min(start + CHUNK, file.bytes))
        for file in files
        for start in range(0, file.bytes, CHUNK)
    ]

    def get(one: tuple[str, int, int]) -> int:
        return len(obstore.get_range(store, one[0], start=one[1], end=one[2]))

    def everything() -> None:
        with ThreadPoolExecutor(_REQUESTS) as pool:
            assert sum(pool.map(get, wanted)) == sum(file.bytes for file in files)

    return lambda _: _timed(everything)


class Opens:
    """Which files of a folder are opened, by whomever and through whatever library: the kernel says it (inotify)."""

    def __init__(self, folder: Path) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._handle = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._handle < 0 or self._libc.inotify_add_watch(self._handle, os.fsencode(folder), _IN_OPEN) < 0:
            raise OSError(ctypes.get_errno(), "inotify", str(folder))
        self._names: set[str] = set()

    def names(self) -> set[str]:
        """Since it was made."""
        while True:
            try:
                data = os.read(self._handle, 1 << 20)
            except BlockingIOError:
                return self._names
            while data:
                _, _, _, size = struct.unpack_from("iIII", data)
                self._names.add(data[16 : 16 + size].rstrip(b"\0").decode())
                data = data[16 + size :]


def _timed(work: Callable[[], None]) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}


def _memory() -> dict[str, float]:
    """Resident memory, in units of 1e6 bytes: now, of it that which no file is mapped into, and the most so far."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    names = {"resident_mb": "VmRSS", "anonymous_mb": "RssAnon", "peak_mb": "VmHWM"}
    return {key: int(status[name].split()[0]) * 1024 / 1e6 for key, name in names.items()}


JOBS: Final[Mapping[str, Callable[..., Job]]] = {"raw": raw, "epochs": epochs, "first": first, "fetch": fetch}


def main(job: str) -> None:
    with os.fdopen(os.dup(1), "w") as results:
        os.dup2(2, 1)  # what libraries print is no result

        def say(found: Mapping[str, Any]) -> None:
            print(json.dumps(found), file=results, flush=True)

        described = json.loads(job)
        do = JOBS[described.pop("do")](**described)
        say(_memory())
        for number, _ in enumerate(sys.stdin):
            say(do(number))


if __name__ == "__main__":
    main(*sys.argv[1:])
