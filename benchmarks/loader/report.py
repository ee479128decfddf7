"""Figures of the loader as JSON and as Markdown tables; shares are worked out here, and kept in both."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.loader.parts import RAW
from benchmarks.loader.peers import HEADRACE

SCHEMA_VERSION: Final = 1
FLOORS: Final = {"rows": 0.35, "blocks": 0.60}
"""Of raw decoding."""
STORE_FLOOR: Final = 0.70
FIRST_MS: Final = 1_000

Facts = Mapping[str, Any]


def write(folder: Path, machine: Facts, found: Facts, *, keep: bool) -> list[Path]:
    """Write loader.json and loader.md; with `keep`, parts that were not measured stay as they are written.

    Raises SystemExit if what is written is of another machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "loader.json", folder / "loader.md"]
    found = {part: facts | {"summary": SUMMARIES[part](facts)} for part, facts in found.items()}
    if keep and paths[0].exists():
        written = json.loads(paths[0].read_text(encoding="utf-8"))
        if written["machine"]["processor"] != machine["processor"]:
            raise SystemExit(f"loader.json is of a {written['machine']['processor']}")
        found = written["parts"] | found
    ordered = {part: found[part] for part in SUMMARIES if part in found}
    document = {"schema_version": SCHEMA_VERSION, "name": "loader", "machine": machine, "parts": _rounded(ordered)}
    paths[0].write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    paths[1].write_text(text(machine, ordered), encoding="utf-8")
    return paths


def text(machine: Facts, found: Facts) -> str:
    """All tables."""
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB; {machine['system']}; "
        f"{', '.join(f'{name} {version}' for name, version in machine['packages'].items())}.",
        "",
        "Every process has imported what it uses before its time begins, files are in the page cache, and sides take "
        "turns. CPU seconds are over all threads and processes of a side.",
    ]
    for part, facts in found.items():
        lines += ["", *TABLES[part](facts, SUMMARIES[part](facts))]
    return "\n".join(lines) + "\n"


def throughput(facts: Facts) -> list[dict[str, dict[str, float]]]:
    """By dataset and side: the shortest epoch of all, its share of raw decoding, and that of each round."""
    cases = []
    for case in facts["cases"]:
        runs, rows = case["runs"], case["data"]["rows"]
        least = {name: _least(of) for name, of in runs.items()}
        sides = {}
        for name, of in runs.items():
            shares = [_best(raw) / _best(one) for raw, one in zip(runs[RAW], of, strict=True)]
            sides[name] = {
                **least[name],
                "mrows_per_s": rows / least[name]["seconds"] / 1e6,
                "first_epoch_s": median(one["epochs"][0]["seconds"] for one in of),
                "share": least[RAW]["seconds"] / least[name]["seconds"],
                "least_share": min(shares),
                "most_share": max(shares),
                "cpu_share": least[RAW]["cpu_seconds"] / least[name]["cpu_seconds"],
            }
        cases.append(sides)
    return cases


def _throughput_table(facts: Facts, summary: Sequence[Mapping[str, Mapping[str, float]]]) -> list[str]:
    lines = [
        "## Throughput",
        "",
        "The shortest epoch of all rounds, batches of 65,536 rows of all columns as torch tensors, two threads. Raw "
        "decoding: pyarrow, two threads, every row group of the same files, and the tables dropped. Shares of it in "
        "brackets are those of the single rounds.",
    ]
    for case, sides in zip(facts["cases"], summary, strict=True):
        lines += [
            "",
            f"{_about(case['data'])} Load {facts['load']:.1f}.",
            "",
            "| side | seconds | Mrow/s | share of raw | CPU s | share in CPU s | first epoch s | floor |",
            "|---|--:|--:|--:|--:|--:|--:|--:|",
        ]
        for name, side in sides.items():
            floor = FLOORS.get(name)
            share = f"{side['share']:.0%} ({side['least_share']:.0%}-{side['most_share']:.0%})"
            lines.append(
                f"| {_code(name)} | {side['seconds']:.3f} | {side['mrows_per_s']:.1f} | {share} "
                f"| {side['cpu_seconds']:.3f} | {side['cpu_share']:.0%} | {side['first_epoch_s']:.3f} "
                f"| {_floor(side['share'], floor)} |"
            )
    return lines


def memory(facts: Facts) -> dict[str, dict[str, Any]]:
    """By side: what grew from the second epoch to the last, when everything that is used again is there."""
    found = {}
    for name, (run,) in facts["runs"].items():
        second, last = run["epochs"][1], run["epochs"][-1]
        found[name] = {f"grew_{key}": last[key] - second[key] for key in ("resident_mb", "anonymous_mb")}
        found[name]["peak_mb"] = run["peak_mb"]
    return found


def _memory_table(facts: Facts, summary: Mapping[str, Facts]) -> list[str]:
    epochs = len(next(iter(facts["runs"].values()))[0]["epochs"])
    names = [f"epoch {number + 1}" for number in range(epochs)]
    lines = [
        "## Memory",
        "",
        f"{_about(facts['data'])} Resident memory of one process after each epoch, in MB, and in brackets that which "
        "no file is mapped into: the rest is pages of shards, which the system can take back.",
        "",
        f"| shuffle | before | {' | '.join(names)} | peak | epochs 2 to {epochs} |",
        f"|---|--:|{'--:|' * epochs}--:|--:|",
    ]
    for name, (run,) in facts["runs"].items():
        cells = [_held(facts) for facts in (run["before"], *run["epochs"])]
        grew = summary[name]
        lines.append(
            f"| {_code(name)} | {' | '.join(cells)} | {run['peak_mb']:,.0f} "
            f"| {grew['grew_resident_mb']:+.0f} ({grew['grew_anonymous_mb']:+.0f}) |"
        )
    return lines


def first(facts: Facts) -> dict[str, float]:
    """Medians over the processes."""
    return {key: median(run[key] for run in facts["runs"]) for key in facts["runs"][0]}


def _first_table(facts: Facts, summary: Mapping[str, float]) -> list[str]:
    return [
        "## First batch",
        "",
        f"{_about(facts['data'])} Medians of {len(facts['runs'])} processes that had imported torch and headrace; what "
        "headrace imports when it is asked for a loader is in the time. Opened shards are counted by the kernel "
        f"(inotify). The aim is {FIRST_MS:,} ms.",
        "",
        "| | ms | shards opened |",
        "|---|--:|--:|",
        f"| `open_dataset` | {summary['open_ms']:.0f} | |",
        f"| `torch_loader`, and its length | {summary['loader_ms']:.0f} | {summary['shards_opened_before']:.0f} |",
        f"| the first batch | {summary['batch_ms']:.0f} | {summary['shards_opened']:.0f} |",
        f"| together | {summary['all_ms']:.0f} | {summary['shards_opened']:.0f} of {facts['data']['shards']:,} |",
    ]


def s3(facts: Facts) -> dict[str, dict[str, float]]:
    """By store: the least seconds of each job, and what share the loader reaches of what."""
    found = {}
    for one in facts["servers"]:
        runs = one["runs"]
        store = _least(runs["store"])["seconds"]
        cold = min(run["epochs"][0]["seconds"] for run in runs["loader"])
        warm = min(run["epochs"][1]["seconds"] for run in runs["loader"])
        local = min(run["epochs"][1]["seconds"] for run in runs["local"])
        begun = min(run["epochs"][0]["seconds"] for run in runs["local"])
        found[one["server"]] = {
            "store_s": store,
            "cold_s": cold,
            "warm_s": warm,
            "local_first_s": begun,
            "local_s": local,
            "cold_of_store": store / cold,
            "cold_of_local": begun / cold,
            "warm_of_local": local / warm,
        }
    return found


def _s3_table(facts: Facts, summary: Mapping[str, Mapping[str, float]]) -> list[str]:
    size = facts["data"]["mb"]
    lines = [
        "## Object stores on loopback",
        "",
        f"{_about(facts['data'])} Shuffle `rows`. The store alone: obstore gets every byte in ranges of 8 MiB, eight "
        "at once, and drops them: the most that the store gives, on the same two cores. The first epoch fetches, "
        "hashes and writes to an empty cache; it is compared with the store, and with a process's first epoch of the "
        f"files themselves. The floor of {STORE_FLOOR:.0%} is meant of later epochs, which have the cache; of the "
        "first it can only be reached where the store gives bytes faster than the loader takes them.",
        "",
        "| store | alone | first epoch | of the store | of local files | later epochs | of local files | floor |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, one in summary.items():
        lines.append(
            f"| {name} | {one['store_s']:.2f} s, {size / one['store_s']:,.0f} MB/s "
            f"| {one['cold_s']:.2f} s, {size / one['cold_s']:,.0f} MB/s | {one['cold_of_store']:.0%} "
            f"| {one['cold_of_local']:.0%} | {one['warm_s']:.2f} s | {one['warm_of_local']:.0%} "
            f"| {_floor(one['warm_of_local'], STORE_FLOOR)} |"
        )
    return lines


def peers(facts: Facts) -> dict[str, dict[str, float]]:
    """By peer: the best of the rounds, by rows a second of iteration."""
    found = {}
    for name, runs in facts["runs"].items():
        run = max(runs, key=lambda one: one["rows"] / one["seconds"])
        later = (run["rows"] - run["batch"]) / (run["seconds"] - run["first_batch_s"]) if _several(run) else 0.0
        found[name] = {
            "rows_per_s": run["rows"] / run["seconds"],
            "later_rows_per_s": later,
            "cpu_s_per_mrow": run["cpu_seconds"] / run["rows"] * 1e6,
        }
    best = found.get(HEADRACE)
    for one in found.values():
        one["headrace_is"] = best["rows_per_s"] / one["rows_per_s"] if best else 0.0
    return found


def _several(run: Facts) -> bool:
    return bool(run["rows"] >= 4 * run["batch"])


def _peers_table(facts: Facts, summary: Mapping[str, Mapping[str, float]]) -> list[str]:
    lines = [
        "## Peers",
        "",
        f"{_about(facts['data'])} Shuffled batches of all columns, a torch tensor each, of the same files (of the same "
        f"rows as MDS for its reader). Three epochs, or as many batches as begin within {facts['seconds']:.0f} s. Time "
        'runs from the first batch that is asked for, so it has workers\' start and buffers in it; "later" has not. '
        "Row groups: how many of the dataset's meet in the first batch.",
        "",
        "| loader | version | batch | first batch s | Mrow/s | later | headrace is | CPU s per Mrow | row groups "
        "| peak MB | load |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, one in summary.items():
        run = max(facts["runs"][name], key=lambda run: run["rows"] / run["seconds"])
        later = _number(one["later_rows_per_s"] / 1e6) if one["later_rows_per_s"] else ""
        lines.append(
            f"| {name} | {run['version']} | {run['batch']:,} | {run['first_batch_s']:.2f} "
            f"| {_number(one['rows_per_s'] / 1e6)} | {later} | {one['headrace_is']:,.1f} x "
            f"| {_number(one['cpu_s_per_mrow'])} | {run['groups']} | {run['peak_mb']:,.0f} | {run['load']:.1f} |"
        )
    lines += [f"\nNot measured: {name}: {why}." for name, why in facts["left_out"].items()]
    return lines


def _least(runs: Iterable[Facts]) -> dict[str, float]:
    """The shortest epoch of processes, and the one of the least CPU seconds."""
    every = [epoch for run in runs for epoch in run["epochs"]]
    return {key: min(epoch[key] for epoch in every) for key in ("seconds", "cpu_seconds")}


def _best(run: Facts) -> float:
    return min(float(epoch["seconds"]) for epoch in run["epochs"])


def _about(data: Facts) -> str:
    return (
        f"{data['rows']:,} rows of {data['columns']} columns, {data['mb']:,.0f} MB in {data['shards']:,} shards: "
        f"{data['about']}."
    )


def _held(facts: Facts) -> str:
    return f"{facts['resident_mb']:,.0f} ({facts['anonymous_mb']:,.0f})"


def _floor(share: float, floor: float | None) -> str:
    if floor is None:
        return ""
    return f"{floor:.0%}" if share >= floor else f"**{floor:.0%}**"


def _code(name: str) -> str:
    return f"`{name}`" if name in FLOORS else name


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, Mapping):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list) else value


SUMMARIES: Final = {"throughput": throughput, "memory": memory, "first": first, "s3": s3, "peers": peers}
TABLES: Final = {
    "throughput": _throughput_table,
    "memory": _memory_table,
    "first": _first_table,
    "s3": _s3_table,
    "peers": _peers_table,
}
