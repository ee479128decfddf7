"""The figures of each part as Markdown. What misses its aim is bold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from benchmarks.loader.figures import FIRST_MS, FLOORS, STORE_FLOOR, Facts

STORE_SIDES: Final = {
    "store": "obstore, every byte",
    "no cache": "the loader without a cache",
    "empty cache": "the loader, an empty cache",
    "full cache": "the loader, a full cache, a new process",
    "local": "the loader, files on disk",
}


def throughput(facts: Facts, figures: Sequence[Mapping[str, Mapping[str, float]]]) -> list[str]:
    lines = [
        "## Throughput",
        "",
        "Epochs of batches of 65,536 rows of all columns as torch tensors, two threads, beside raw decoding: pyarrow, "
        "two threads, every row group of the same files, and the tables dropped. The sides' processes take turns epoch "
        "by epoch. Medians, without each process's first epoch, which stands apart; the share of raw decoding is the "
        "median of the pairs of a turn, the middle half of them in brackets; beside it that of the shortest epochs. "
        '"Matrices": `pack`, all columns of a type in one tensor.',
    ]
    for case, sides in zip(facts["cases"], figures, strict=True):
        lines += [
            "",
            f"{about(case['data'])} Load {facts['load']:.1f}; {next(iter(sides.values()))['pairs']:.0f} pairs.",
            "",
            "| side | seconds | Mrow/s | share of raw | of the shortest | CPU s | share in CPU s | first epoch s "
            "| aim |",
            "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
        ]
        for name, side in sides.items():
            aim = FLOORS.get(name)
            share = f"{side['share']:.0%} ({side['share_from']:.0%}-{side['share_to']:.0%})"
            lines.append(
                f"| {code(name)} | {side['seconds']:.3f} | {side['mrows_per_s']:.1f} | {share} "
                f"| {side['share_of_least']:.0%} | {side['cpu_seconds']:.3f} | {side['cpu_share']:.0%} "
                f"| {side['first_epoch_s']:.3f} | {floor(side['share'], aim)} |"
            )
    return lines


def memory(facts: Facts, figures: Mapping[str, Facts]) -> list[str]:
    epochs = len(next(iter(facts["runs"].values()))["epochs"])
    names = [f"epoch {number + 1}" for number in range(epochs)]
    lines = [
        "## Memory",
        "",
        f"{about(facts['data'])} Resident memory of one process after each epoch, in MB, and in brackets that which "
        "no file is mapped into: the rest is pages of shards, which the system can take back. The peak is the "
        "kernel's, and that in brackets is the most that was seen, every 20 ms.",
        "",
        f"| shuffle | before | {' | '.join(names)} | peak | epochs 2 to {epochs} |",
        f"|---|--:|{'--:|' * epochs}--:|--:|",
    ]
    for name, run in facts["runs"].items():
        cells = [_held(held) for held in (run["before"], *run["epochs"])]
        grew = figures[name]
        lines.append(
            f"| {code(name)} | {' | '.join(cells)} | {grew['peak_mb']:,.0f} ({grew['most_anonymous_mb']:,.0f}) "
            f"| {grew['grew_resident_mb']:+.0f} ({grew['grew_anonymous_mb']:+.0f}) |"
        )
    return lines


def first(facts: Facts, figures: Mapping[str, float]) -> list[str]:
    shards = f"{figures['shards_opened']:.0f} of {facts['data']['shards']:,}"
    together = bold(f"{figures['all_ms']:.0f}", figures["all_ms"] > FIRST_MS)
    return [
        "## First batch",
        "",
        f"{about(facts['data'])} Medians of {len(facts['runs'])} processes that had imported torch and headrace; what "
        "headrace imports when it is asked for a loader is in the time. Shards that are opened, for a footer or for "
        f"rows, are counted by the kernel (inotify). The aim is {FIRST_MS:,} ms.",
        "",
        "| | ms | shards opened so far |",
        "|---|--:|--:|",
        f"| `open_dataset` | {figures['open_ms']:.0f} | |",
        f"| `torch_loader`, and its length | {figures['loader_ms']:.0f} | {figures['shards_opened_before']:.0f} |",
        f"| the first batch | {figures['batch_ms']:.0f} | {shards} |",
        f"| together | {together} | |",
    ]


def s3(facts: Facts, figures: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[str]:
    size = facts["data"]["mb"]
    lines = [
        "## Object stores on loopback",
        "",
        f"{about(facts['data'])} Shuffle `rows`. obstore gets every byte in ranges of 8 MiB, eight at once, and drops "
        "them: the most that the store gives. Of the loader: the first epoch of a process and the second, medians of "
        f"{len(facts['servers'][0]['runs']['local'])} rounds, beside the same epoch of the files on disk. The server "
        "has the same cores; its CPU seconds stand beside the client's, both of the first epoch. The aim is "
        f"{STORE_FLOOR:.0%} of the files on disk.",
    ]
    for server, sides in figures.items():
        lines += [
            "",
            f"| {server} | first epoch | of the store | of files | CPU s | server's | second epoch | of files |",
            "|---|--:|--:|--:|--:|--:|--:|--:|",
        ]
        for name, one in sides.items():
            loads = name not in ("store", "local")
            of_store = f"{one['first_of_store']:.0%}" if name in ("no cache", "empty cache") else ""
            shares = [bold(f"{share:.0%}", loads and share < STORE_FLOOR) for share in of_files(one)]
            lines.append(
                f"| {STORE_SIDES[name]} | {one['first_s']:.2f} s, {size / one['first_s']:,.0f} MB/s "
                f"| {of_store} | {shares[0]} | {one['first_cpu_s']:.2f} | {one['first_server_cpu_s']:.2f} "
                f"| {one['second_s']:.2f} s, {size / one['second_s']:,.0f} MB/s | {shares[1]} |"
            )
    return lines


def of_files(one: Mapping[str, float]) -> tuple[float, float]:
    return one["first_of_local"], one["second_of_local"]


def peers(facts: Facts, figures: Mapping[str, Mapping[str, float]]) -> list[str]:
    lines = [
        "## Peers",
        "",
        f"{about(facts['data'])} Shuffled batches of all columns, a torch tensor each, of the same files (of the same "
        f"rows as MDS for its reader). Three epochs, or as many batches as begin within {facts['seconds']:.0f} s. Time "
        'runs from the first batch that is asked for, so it has workers\' start and buffers in it; "later" has not. '
        '"Before": what is done once, such as an index or a copy in a format of its own; it is in no other figure. Row '
        "groups: how many of the dataset's meet in the first batch. Memory: the most at once of all processes of a "
        "side, seen every 20 ms; pages that processes share count for each.",
        "",
        "| loader | version | batch | before s | first batch s | Mrow/s | later | headrace is | CPU s per Mrow "
        "| row groups | peak MB | load |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, one in figures.items():
        later = number(one["later_rows_per_s"] / 1e6) if one["later_rows_per_s"] else ""
        lines.append(
            f"| {name} | {facts['runs'][name][0]['version']} | {one['batch']:,} | {one['prepare_s']:.1f} "
            f"| {one['first_batch_s']:.2f} | {number(one['rows_per_s'] / 1e6)} | {later} | {one['headrace_is']:,.1f} x "
            f"| {number(one['cpu_s_per_mrow'])} | {one['groups']} | {one['peak_mb']:,.0f} | {one['load']:.1f} |"
        )
    lines += [f"\nNot measured: {name}: {why}." for name, why in facts["left_out"].items()]
    return lines


def about(data: Facts) -> str:
    return (
        f"{data['rows']:,} rows of {data['columns']} columns, {data['mb']:,.0f} MB in {data['shards']:,} shards: "
        f"{data['about']}."
    )


def code(name: str) -> str:
    return f"`{name}`" if name in FLOORS else name


def floor(share: float, aim: float | None) -> str:
    return "" if aim is None else bold(f"{aim:.0%}", share < aim)


def bold(text: str, missed: bool) -> str:
    return f"**{text}**" if missed else text


def number(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def _held(facts: Facts) -> str:
    return f"{facts['resident_mb']:,.0f} ({facts['anonymous_mb']:,.0f})"


TABLES: Final[Mapping[str, Callable[[Facts, Any], list[str]]]] = {
    "throughput": throughput,
    "memory": memory,
    "first": first,
    "s3": s3,
    "peers": peers,
}
