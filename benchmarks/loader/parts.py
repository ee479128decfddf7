"""The parts of the comparison: each measures processes in turn, and gives figures as plain JSON."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from benchmarks.loader.asked import Asked, environment
from benchmarks.loader.data import Made
from benchmarks.loader.peers import PEERS, Peer, missing
from benchmarks.loader.store import Server, put
from benchmarks.measure import CommandFailed, CommandTooSlow, Measurement, in_turn, measure
from headrace.catalog.export.export import export
from headrace.catalog.reader import open_dataset

RAW: Final = "raw decode"
ORDERS: Final = {"rows": "rows", "blocks": "blocks", "no shuffle": False}
MATRICES: Final = {"rows, matrices": "rows", "blocks, matrices": "blocks"}
LIMIT: Final = 150.0
"""Seconds after which a peer that has given no batch is stopped."""

Say = Callable[[str], object]


def throughput(data: Sequence[Made], rounds: int, epochs: int, say: Say) -> list[dict[str, Any]]:
    """Raw decoding and the loader's orders on each dataset. The sides' processes take turns, epoch by epoch; each round
    has new ones."""
    found = []
    for made in data:
        jobs: dict[str, dict[str, Any]] = {RAW: {"do": "raw", "uri": made.uri}}
        for name, shuffle in ORDERS.items():
            jobs[name] = {"do": "epochs", "uri": made.uri, "shuffle": shuffle}
        for name, shuffle in MATRICES.items():
            jobs[name] = {"do": "epochs", "uri": made.uri, "shuffle": shuffle, "pack": True}
        runs: dict[str, list[Any]] = {name: [] for name in jobs}
        for number in range(rounds):
            for name, of in in_turns(jobs, epochs).items():
                runs[name].append(of)
                say(f"{Path(made.uri).name} round {number + 1} {name}: {_seconds(of)}")
        found.append({"data": told(made), "runs": runs})
    return found


def in_turns(jobs: Mapping[str, Mapping[str, Any]], times: int) -> dict[str, list[dict[str, Any]]]:
    """What each job found each time. Its process waits while others have their turn, and has no threads then."""
    with ExitStack() as stack:
        sides = {name: stack.enter_context(Asked(job)) for name, job in jobs.items()}
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in sides}
        for _ in range(times):
            for name, side in sides.items():
                found[name].append(side.ask())
        return found


def memory(made: Made, epochs: int, say: Say) -> dict[str, Any]:
    """What a process holds after each epoch, and before."""
    runs = {}
    for name, shuffle in ORDERS.items():
        with Asked({"do": "epochs", "uri": made.uri, "shuffle": shuffle}) as side:
            runs[name] = {"before": side.before, "epochs": [side.ask() for _ in range(epochs)]}
        say(f"{Path(made.uri).name} memory of {name}: {_seconds(runs[name]['epochs'])}")
    return {"data": told(made), "runs": runs}


def first(made: Made, rounds: int, say: Say) -> dict[str, Any]:
    """How long the first batch of a process takes, and how many shards were opened for it."""
    runs = []
    for _ in range(rounds):
        with Asked({"do": "first", "uri": made.uri}) as side:
            runs.append(side.ask())
        say(f"{Path(made.uri).name} first batch: {runs[-1]['all_ms']:.0f} ms")
    return {"data": told(made), "runs": runs}


def s3(
    made: Made, servers: Sequence[Callable[[], AbstractContextManager[Server]]], rounds: int, work: Path, say: Say
) -> dict[str, Any]:
    """Of each store, two epochs each: all objects and nothing done with them; the loader without a cache, with an empty
    one, and with a full one in a new process; and the loader on the files themselves."""
    found = []
    for start in servers:
        with start() as server:
            uri = put(server, made)
            runs: dict[str, list[Any]] = {}
            for _ in range(rounds):
                with tempfile.TemporaryDirectory(prefix="cache-", dir=work) as cache:
                    rows = {"do": "epochs", "shuffle": "rows"}
                    jobs = {
                        "store": {"do": "fetch", "uri": uri},
                        "no cache": {**rows, "uri": uri, "cache": False},
                        "empty cache": {**rows, "uri": uri, "cache": cache},
                        "full cache": {**rows, "uri": uri, "cache": cache},
                        "local": {**rows, "uri": made.uri},
                    }
                    for name, job in jobs.items():
                        with Asked(job, server.environment) as side:
                            of = [_beside(server, side.ask) for _ in range(2)]
                        runs.setdefault(name, []).append(of)
                        say(f"{server.name} {name}: {_seconds(of)}")
            found.append({"server": server.name, "runs": runs})
    return {"data": told(made), "servers": found}


def _beside(server: Server, ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    used = server.cpu_seconds()
    return ask() | {"server_cpu_seconds": server.cpu_seconds() - used}


def peers(made: Made, pythons: Mapping[str, str], seconds: float, rounds: int, work: Path, say: Say) -> dict[str, Any]:
    """Each peer's job in a process of its own, for so many seconds."""
    left_out = {peer.name: why for peer in PEERS if (why := missing(peer, pythons))}
    taking_part = [peer for peer in PEERS if peer.name not in left_out]
    folders, converted = {"parquet": made.files[0].parent}, {}
    if any(peer.format == "mds" for peer in taking_part):
        folders["mds"], converted["mds"] = _mds(made, work)
    found: dict[str, list[dict[str, Any]]] = {peer.name: [] for peer in taking_part}

    def run(peer: Peer) -> Measurement:
        with tempfile.TemporaryDirectory(prefix="peer-", dir=work) as own:
            result = Path(own) / "result.json"
            words = [pythons.get(peer.environment, sys.executable), "-m", f"benchmarks.peers.{peer.module}"]
            words += [str(folders[peer.format]), str(result), "--work", own, "--batch", str(peer.batch)]
            words += ["--seconds", str(seconds)]
            try:
                measured = measure(words, env=environment({"TMPDIR": own}), limit=LIMIT + seconds)
            except CommandTooSlow:
                raise CommandTooSlow(f"no batch of {peer.batch:,} rows within {LIMIT + seconds:.0f} s") from None
            except CommandFailed as error:
                raise CommandFailed(str(error).strip().splitlines()[-1]) from None
            one = json.loads(result.read_text()) | {"peak_mb": measured.peak_tree_mb, "load": measured.load}
            one["prepare_s"] += converted.get(peer.format, 0.0)
            found[peer.name].append(one)
            say(f"{peer.name}: {one['rows'] / one['seconds'] / 1e6:.4f} Mrow/s")
            return measured

    _, failures = in_turn({peer.name: (lambda peer=peer: run(peer)) for peer in taking_part}, rounds)
    for name, why in failures.items():
        say(f"{name}: {why}")
    runs = {name: of for name, of in found.items() if name not in failures}
    return {"data": told(made), "seconds": seconds, "runs": runs, "left_out": left_out | failures}


def told(made: Made) -> dict[str, Any]:
    """A dataset in the result, but not where it lies."""
    return {key: value for key, value in asdict(made).items() if key != "uri"}


def _mds(made: Made, work: Path) -> tuple[Path, float]:
    """MDS shards of the same rows, made once, and the seconds that it took."""
    folder = work / f"mds-{Path(made.uri).name}"
    took = folder.with_suffix(".json")
    if not took.exists():
        shutil.rmtree(folder, ignore_errors=True)  # half of it, of one that was stopped
        began = time.perf_counter()
        export(open_dataset(made.uri), folder, "mds", splits=["train"])
        took.write_text(json.dumps(time.perf_counter() - began))
    return folder / "train", float(json.loads(took.read_text()))


def _seconds(epochs: Sequence[Mapping[str, Any]]) -> str:
    return " ".join(f"{epoch['seconds']:.2f}" for epoch in epochs) + " s"
