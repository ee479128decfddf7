"""The loader beside raw decoding, beside its promises and beside its peers: one command.

    python -m benchmarks.loader                                            # everything that is installed
    python -m benchmarks.loader --only throughput memory --rows 1000000    # some, printed and not written
    python -m benchmarks.loader --only peers --update                      # and put in the place of what is written
    python -m benchmarks.loader --peer-python litdata=/path/to/python --seaweedfs /path/to/weed

Writes loader.json and loader.md, and the block of figures in docs/performance.md. Datasets are published once, below
--work.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.loader import data, parts, report, store
from benchmarks.loader.peers import ENVIRONMENTS
from benchmarks.machine import describe
from benchmarks.sides import ROOT

PARTS: Final = ("throughput", "memory", "first", "s3", "peers")

RESULTS: Final = ROOT / "benchmarks" / "results"
PAGE: Final = ROOT / "docs" / "performance.md"

_SHARD: Final = 1 << 20
_SMALL_SHARD: Final = 1 << 18
_TINY_SHARD: Final = 1 << 11


def measured(part: str, options: argparse.Namespace) -> Any:
    """The figures of one part."""
    work: Path = options.work
    say = partial(print, file=sys.stderr, flush=True)
    some = partial(data.wide, work, options.some_rows, _SMALL_SHARD)
    match part:
        case "throughput":
            made = [data.wide(work, options.rows, _SHARD)]
            made += [data.ctr(work, options.ctr_rows)] if options.ctr_rows else []
            return {"cases": parts.throughput(made, options.rounds, options.epochs, say)}
        case "memory":
            return parts.memory(data.wide(work, options.rows, _SHARD), 5, say)
        case "first":
            return parts.first(data.wide(work, options.shards * _TINY_SHARD, _TINY_SHARD), options.rounds, say)
        case "s3":
            return parts.s3(some(), _servers(options), options.rounds, work, say)
        case _:
            return parts.peers(some(), options.peer_python, options.peer_seconds, options.peer_rounds, work, say)


def _servers(options: argparse.Namespace) -> list[Callable[[], Any]]:
    found: list[Callable[[], Any]] = [partial(store.moto, options.work / "moto.log")]
    if weed := options.seaweedfs or shutil.which("weed"):
        found.append(partial(store.seaweedfs, weed, options.work, options.work / "seaweedfs.log"))
    return [*found, *(partial(store.given, url) for url in options.s3)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `python -m benchmarks.loader`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loader", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=[], help="these, printed and not written")
    parser.add_argument("--update", action="store_true", help="write them, beside what is written of the others")
    parser.add_argument("--rows", type=int, default=8_000_000, help="of the dataset for throughput and memory")
    parser.add_argument("--ctr-rows", type=int, default=4_000_000, help="of ctr, published by a run; 0 for none")
    parser.add_argument("--some-rows", type=int, default=2 << 20, help="of the dataset for peers and stores")
    parser.add_argument("--shards", type=int, default=1_000, help="of the dataset for the first batch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6, help="of each process that is measured for its throughput")
    parser.add_argument("--peer-seconds", type=float, default=12.0, help="of iteration, for each peer")
    parser.add_argument("--peer-rounds", type=int, default=1)
    parser.add_argument(
        "--peer-python", action="append", default=[], metavar="NAME=PYTHON", help=", ".join(ENVIRONMENTS)
    )
    parser.add_argument("--seaweedfs", metavar="WEED", help="its program; else it is looked for as `weed`")
    parser.add_argument("--s3", action="append", default=[], metavar="URL", help="a store that runs already")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "headrace-benchmarks")
    options = parser.parse_args(arguments)
    options.peer_python = dict(word.split("=", 1) for word in options.peer_python if "=" in word)
    if unknown := set(options.peer_python) - set(ENVIRONMENTS):
        parser.error(f"--peer-python {', '.join(sorted(unknown))}: there are {', '.join(ENVIRONMENTS)}")
    if options.epochs < 2 or options.rounds < 1:
        parser.error("--epochs: at least 2, the first of which stands apart, and --rounds: at least 1")
    options.work.mkdir(parents=True, exist_ok=True)
    machine = describe(options.work)
    found, paths = {}, list[Path]()
    for part in options.only or PARTS:
        load = round(os.getloadavg()[0], 2)
        found[part] = {"load": load, **measured(part, options)}
        if options.update or not options.only:  # after each part, so that none is lost if a later one fails
            page = PAGE if options.out == RESULTS else None
            paths = report.write(options.out, machine, found, keep=bool(options.only), performance=page)
    print(report.text(machine, found))
    for path in paths:
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
