"""A fit and nothing else, in this process, with the most that it takes of memory and of the work folder."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.measure import Measurement, measure
from headrace.engines.executor import InlineExecutor
from headrace.engines.open import CPU
from headrace.pipelines.fit import fit
from headrace.pipelines.model import Pipeline
from headrace.pipelines.options import RunOptions
from headrace.pipelines.stages import prepare
from headrace.pipelines.work import open_work


def fit_alone(pipeline: Pipeline, catalog: Path, threads: int) -> dict[str, object]:
    """Fit a pipeline, `threads` tasks at a time: the sizes of its vocabularies, partitions, and what `Watch` saw."""
    _, lock = prepare(pipeline, RunOptions(catalog=str(catalog), engine="cpu"))
    with lock:
        work = open_work(str(lock.path))
        watch = Watch(work.path)
        watch.start()
        fit(work, InlineExecutor(threads), CPU)
        watch.stop()
        forms = [work.form(placed.index) for placed in work.resolved.steps]
        found: dict[str, object] = {
            "vocabularies": [ids.vocabulary.height for form in forms for ids in form.ids.values() if ids.vocabulary],
            "partitions": len(work.plan.partitions),
            "spilled_mb": round(watch.most_bytes / 1e6, 1),
            "peak_anonymous_mb": round(watch.most_anonymous / 1e6, 1),
        }
        lock.remove()
    return found


def alone(module: str, words: Sequence[object]) -> Measurement:
    """Measure a benchmark's module in a process of its own, which finds it whatever folder this one is in."""
    root = str(Path(__file__).parents[1])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    return measure([sys.executable, "-m", module, *map(str, words)], env=env)


def measured(run: Measurement) -> dict[str, float]:
    """What is kept of the measurement of a process that does nothing but fit."""
    return {
        "seconds": run.wall_s,
        "cpu_seconds": round(run.user_s + run.system_s, 1),
        "peak_mb": run.peak_process_mb,
        "load": run.load,
    }


def keep(path: Path, result: Mapping[str, object], same: Sequence[str]) -> None:
    """Add a result to a file of them, in the place of the one in which these entries are the same."""
    results = json.loads(path.read_text()) if path.exists() else []
    others = [other for other in results if any(other[name] != result[name] for name in same)]
    path.write_text(json.dumps([*others, result], indent=1) + "\n")


class Watch(threading.Thread):
    """Looks twice a second at how large a folder is, and at the memory of this process that no file is mapped into."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.most_bytes = self.most_anonymous = 0
        self._folder = folder
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.5):
            self.most_bytes = max(self.most_bytes, _size(self._folder))
            self.most_anonymous = max(self.most_anonymous, _anonymous())

    def stop(self) -> None:
        self._over.set()
        self.join()


def _size(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.stat(os.path.join(place, name)).st_size
    return total


def _anonymous() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) << 10
    return 0
