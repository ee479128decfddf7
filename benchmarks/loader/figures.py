"""What is worked out of the measurements of each part; it stands beside them in the JSON file, and in the tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any, Final

from benchmarks.loader.parts import RAW
from benchmarks.loader.peers import HEADRACE

Facts = Mapping[str, Any]

FLOORS: Final = {"rows": 0.35, "blocks": 0.60}
"""Of raw decoding."""
STORE_FLOOR: Final = 0.70
"""Of the files on disk."""
FIRST_MS: Final = 1_000


def throughput(facts: Facts) -> list[dict[str, dict[str, float]]]:
    """By dataset and side: medians of the epochs after each process's first, and of their shares of the raw decoding
    that came in the same turn."""
    return [{name: _side(case, of) for name, of in case["runs"].items()} for case in facts["cases"]]


def _side(case: Facts, of: Sequence[Sequence[Facts]]) -> dict[str, float]:
    pairs = [
        pair for raw, one in zip(case["runs"][RAW], of, strict=True) for pair in list(zip(raw, one, strict=True))[1:]
    ]
    shares = sorted(raw["seconds"] / one["seconds"] for raw, one in pairs)
    seconds = median(one["seconds"] for _, one in pairs)
    quarter = (len(shares) - 1) // 4
    least = [min(epoch["seconds"] for epoch in epochs) for epochs in zip(*pairs, strict=True)]
    return {
        "seconds": seconds,
        "mrows_per_s": case["data"]["rows"] / seconds / 1e6,
        "share": median(shares),
        "share_from": shares[quarter],
        "share_to": shares[-1 - quarter],
        "least_seconds": least[1],
        "share_of_least": least[0] / least[1],
        "cpu_seconds": median(one["cpu_seconds"] for _, one in pairs),
        "cpu_share": median(raw["cpu_seconds"] / one["cpu_seconds"] for raw, one in pairs),
        "first_epoch_s": median(epochs[0]["seconds"] for epochs in of),
        "pairs": len(pairs),
    }


def memory(facts: Facts) -> dict[str, dict[str, float]]:
    """By side: the most, and what grew from the second epoch to the last; the first makes what is used again."""
    found = {}
    for name, run in facts["runs"].items():
        second, last = run["epochs"][1], run["epochs"][-1]
        found[name] = {f"grew_{key}": last[key] - second[key] for key in ("resident_mb", "anonymous_mb")}
        found[name] |= {key: max(epoch[key] for epoch in run["epochs"]) for key in ("peak_mb", "most_anonymous_mb")}
    return found


def first(facts: Facts) -> dict[str, float]:
    """Medians over the processes."""
    keys = ("open_ms", "loader_ms", "batch_ms", "all_ms", "shards_opened_before", "shards_opened")
    return {key: median(run[key] for run in facts["runs"]) for key in keys}


def s3(facts: Facts) -> dict[str, dict[str, dict[str, float]]]:
    """By store and side: medians over the rounds of the first epoch and of the second, and their shares of the same
    epoch of the files on disk, and of what the store gives to who does nothing with it."""
    return {
        one["server"]: {name: _store(one["runs"], of) for name, of in one["runs"].items()} for one in facts["servers"]
    }


def _store(runs: Mapping[str, Sequence[Sequence[Facts]]], of: Sequence[Sequence[Facts]]) -> dict[str, float]:
    found = {}
    for number, epoch in enumerate(("first", "second")):
        found[f"{epoch}_s"] = median(run[number]["seconds"] for run in of)
        found[f"{epoch}_cpu_s"] = median(run[number]["cpu_seconds"] for run in of)
        found[f"{epoch}_server_cpu_s"] = median(run[number]["server_cpu_seconds"] for run in of)
        for side, key in (("local", "local"), ("store", "store")):
            shares = (
                other[number]["seconds"] / run[number]["seconds"] for other, run in zip(runs[side], of, strict=True)
            )
            found[f"{epoch}_of_{key}"] = median(shares)
    return found


def peers(facts: Facts) -> dict[str, dict[str, float]]:
    """By peer: the best of the rounds, by rows a second of iteration."""
    found = {}
    for name, runs in facts["runs"].items():
        run = max(runs, key=lambda one: one["rows"] / one["seconds"])
        found[name] = {
            "rows_per_s": run["rows"] / run["seconds"],
            "later_rows_per_s": later(run) if run["rows"] >= 4 * run["batch"] else 0.0,
            "cpu_s_per_mrow": run["cpu_seconds"] / run["rows"] * 1e6,
            **{key: run[key] for key in ("first_batch_s", "prepare_s", "batch", "groups", "peak_mb", "load")},
        }
    best = found.get(HEADRACE)
    for one in found.values():
        one["headrace_is"] = best["rows_per_s"] / one["rows_per_s"] if best else 0.0
    return found


def later(run: Facts) -> float:
    """Rows a second after the first batch."""
    return float((run["rows"] - run["batch"]) / (run["seconds"] - run["first_batch_s"]))


FIGURES: Final[Mapping[str, Callable[[Facts], Any]]] = {
    "throughput": throughput,
    "memory": memory,
    "first": first,
    "s3": s3,
    "peers": peers,
}
