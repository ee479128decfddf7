"""The parts of the comparison: each measures processes in turn, and gives figures as plain JSON."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from benchmarks.loader.data import Made
from benchmarks.loader.peers import PEERS, Peer, missing
from benchmarks.loader.store import Server, put
from benchmarks.measure import CommandFailed, CommandTooSlow, Measurement, in_turn, measure
from benchmarks.sides import ROOT
from headrace.catalog.export.export import export
from headrace.catalog.reader import open_dataset

SHUFFLES: Final = {"rows": "rows", "blocks": "blocks", "no shuffle": False}
RAW: Final = "raw decode"
LIMIT: Final = 150.0
"""Seconds after which a peer that has given no batch is stopped."""

Say = Callable[[str], object]


def throughput(data: Sequence[Made], rounds: int, epochs: int, say: Say) -> list[dict[str, Any]]:
    """Raw decoding and the loader's three orders, on each dataset."""
    found = []
    for made in data:
        jobs: dict[str, dict[str, Any]] = {RAW: {"do": "raw", "uri": made.uri, "epochs": epochs}}
        for name, shuffle in SHUFFLES.items():
            jobs[name] = {"do": "epochs", "uri": made.uri, "shuffle": shuffle, "epochs": epochs}
        found.append({"data": told(made), "runs": turns(jobs, rounds, say)})
    return found


def memory(made: Made, epochs: int, say: Say) -> dict[str, Any]:
    """What a process holds after each epoch of `rows` and of `blocks`."""
    jobs = {name: {"do": "epochs", "uri": made.uri, "shuffle": name, "epochs": epochs} for name in ("rows", "blocks")}
    return {"data": told(made), "runs": turns(jobs, 1, say)}


def first(made: Made, rounds: int, say: Say) -> dict[str, Any]:
    """How long the first batch takes, and how many shards were opened for it."""
    runs = turns({"first batch": {"do": "first", "uri": made.uri}}, rounds, say)
    return {"data": told(made), "runs": runs["first batch"]}


def s3(
    made: Made, servers: Sequence[Callable[[], AbstractContextManager[Server]]], rounds: int, work: Path, say: Say
) -> dict[str, Any]:
    """Of each store: all objects and nothing done with them; the loader with an empty cache, and then with a full one;
    and the loader on the files themselves."""
    local = {"do": "epochs", "uri": made.uri, "shuffle": "rows", "epochs": 2}
    found = []
    for start in servers:
        with start() as server:
            uri = put(server, made)
            runs: dict[str, list[Any]] = {"store": [], "loader": [], "local": []}
            for _ in range(rounds):
                with tempfile.TemporaryDirectory(prefix="cache-", dir=work) as cache:
                    jobs = {
                        "store": {"do": "fetch", "uri": uri, "epochs": 1},
                        "loader": {"do": "epochs", "uri": uri, "shuffle": "rows", "epochs": 2, "cache": cache},
                        "local": local,
                    }
                    for name, job in jobs.items():
                        runs[name].append(alone(job, server.environment))
                        say(f"{server.name} {name}: {_seconds(runs[name][-1])}")
            found.append({"server": server.name, "runs": runs})
    return {"data": told(made), "servers": found}


def peers(made: Made, pythons: Mapping[str, str], seconds: float, rounds: int, work: Path, say: Say) -> dict[str, Any]:
    """Each peer's job in a process of its own, for so many seconds."""
    left_out = {peer.name: why for peer in PEERS if (why := missing(peer, pythons))}
    taking_part = [peer for peer in PEERS if peer.name not in left_out]
    folders = {"parquet": made.files[0].parent}
    if any(peer.format == "mds" for peer in taking_part):
        folders["mds"] = _mds(made, work)
    found: dict[str, list[dict[str, Any]]] = {peer.name: [] for peer in taking_part}

    def run(peer: Peer) -> Measurement:
        with tempfile.TemporaryDirectory(prefix="peer-", dir=work) as own:
            result = Path(own) / "result.json"
            words = [pythons.get(peer.environment, sys.executable), "-m", f"benchmarks.peers.{peer.module}"]
            words += [str(folders[peer.format]), str(result), "--work", own, "--batch", str(peer.batch)]
            try:
                measured = measure([*words, "--seconds", str(seconds)], env=_environment({}), limit=LIMIT + seconds)
            except CommandTooSlow:
                raise CommandTooSlow(f"no batch of {peer.batch:,} rows within {LIMIT + seconds:.0f} s") from None
            except CommandFailed as error:
                raise CommandFailed(str(error).strip().splitlines()[-1]) from None
            one = json.loads(result.read_text()) | {"peak_mb": measured.peak_tree_mb, "load": measured.load}
            found[peer.name].append(one)
            say(f"{peer.name}: {one['rows'] / one['seconds'] / 1e6:.4f} Mrow/s")
            return measured

    _, failures = in_turn({peer.name: (lambda peer=peer: run(peer)) for peer in taking_part}, rounds)
    for name, why in failures.items():
        say(f"{name}: {why}")
    runs = {name: of for name, of in found.items() if name not in failures}
    return {"data": told(made), "seconds": seconds, "runs": runs, "left_out": left_out | failures}


def told(made: Made) -> dict[str, Any]:
    """A dataset in the result: by its name, not by where it lies."""
    return {"dataset": Path(made.uri).name} | {key: value for key, value in asdict(made).items() if key != "uri"}


def _mds(made: Made, work: Path) -> Path:
    folder = work / f"mds-{Path(made.uri).name}"
    if not folder.exists():
        export(open_dataset(made.uri), folder, "mds", splits=["train"])
    return folder / "train"


def turns(jobs: Mapping[str, Mapping[str, Any]], rounds: int, say: Say) -> dict[str, list[dict[str, Any]]]:
    """Every job in a process of its own, once a round."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in jobs}
    for number in range(rounds):
        for name, job in jobs.items():
            found[name].append(alone(job))
            say(f"{Path(job['uri']).name} round {number + 1} {name}: {_seconds(found[name][-1])}")
    return found


def alone(job: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What one process found, the most memory it had, and the load before it."""
    with tempfile.TemporaryDirectory(prefix="loader-") as folder:
        result = Path(folder) / "result.json"
        command = [sys.executable, "-m", "benchmarks.loader.alone", json.dumps(job), str(result)]
        measured = measure(command, env=_environment(environment or {}))
        found: dict[str, Any] = json.loads(result.read_text())
    return found | {"peak_mb": measured.peak_process_mb, "load": measured.load}


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, **more, "PYTHONPATH": os.pathsep.join(paths)}


def _seconds(run: Mapping[str, Any]) -> str:
    epochs = run.get("epochs") or [{"seconds": run["all_ms"] / 1e3}]
    return " ".join(f"{epoch['seconds']:.2f}" for epoch in epochs) + " s"
