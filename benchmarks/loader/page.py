"""The loader's figures in the page on performance: they stand between two marks, and none stands outside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from benchmarks.loader.figures import FIRST_MS, FLOORS, STORE_FLOOR, Facts
from benchmarks.loader.parts import RAW
from benchmarks.loader.tables import bold, code, floor, number

BEGIN: Final = "<!-- what follows is written by `python -m benchmarks.loader` -->"
END: Final = "<!-- up to here -->"


def replaced(page: str, parts: Mapping[str, Facts]) -> str:
    """The page with the figures of these parts, each with its `summary`. ValueError if it has no place for them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"no place for the loader's figures, which is {BEGIN!r} to {END!r}")
    return f"{before}{BEGIN}\n\n{block(parts)}\n\n{END}{after}"


def block(parts: Mapping[str, Facts]) -> str:
    """The tables, shorter than those of the report."""
    tables = []
    if "throughput" in parts:
        tables.append(_throughput(parts["throughput"]))
    if rows := [row for part in ("memory", "first", "s3") if part in parts for row in _ROWS[part](parts[part])]:
        tables.append(["| | measured | aim |", "|---|---|--:|", *rows])
    if "peers" in parts:
        tables.append(_peers(parts["peers"]))
    return "\n\n".join("\n".join(lines) for lines in tables)


def _throughput(facts: Facts) -> list[str]:
    cases, sides = facts["cases"], facts["summary"]
    names = [f"{case['data']['name']}: Mrow/s | share of raw | in CPU seconds" for case in cases]
    lines = [f"| shuffle | {' | '.join(names)} | aim |", f"|---|{'--:|--:|--:|' * len(cases)}--:|"]
    for name in sides[0]:
        cells = [
            f"{of[name]['mrows_per_s']:.1f} | {of[name]['share']:.0%} | {of[name]['cpu_share']:.0%}" for of in sides
        ]
        aim = floor(min(of[name]["share"] for of in sides), FLOORS.get(name))
        lines.append(f"| {name if name == RAW else code(name)} | {' | '.join(cells)} | {aim} |")
    return lines


def _memory(facts: Facts) -> list[str]:
    rows = []
    for name, run in facts["runs"].items():
        held = [f"{epoch['resident_mb']:,.0f}" for epoch in run["epochs"]]
        rows.append(f"| MB held after each of {len(held)} epochs, {code(name)} | {', '.join(held)} | flat |")
    return rows


def _first(facts: Facts) -> list[str]:
    found = facts["summary"]
    took = bold(f"{found['all_ms']:,.0f} ms", found["all_ms"] > FIRST_MS)
    opened = f"{found['shards_opened_before']:.0f} shards opened before it, {found['shards_opened']:.0f} for it"
    return [f"| the first batch of {facts['data']['shards']:,} shards | {took}; {opened} | {FIRST_MS:,} ms |"]


def _s3(facts: Facts) -> list[str]:
    rows = []
    for server, sides in facts["summary"].items():
        gives = facts["data"]["mb"] / sides["store"]["first_s"]
        shares = [
            f"{_share(sides[side]['first_of_local'])} {words}"
            for side, words in (
                ("no cache", "without a cache"),
                ("empty cache", "filling one"),
                ("full cache", "with one"),
            )
        ]
        what = f"first epoch from {server} ({gives:,.0f} MB/s), of one from disk"
        rows.append(f"| {what} | {', '.join(shares)} | {STORE_FLOOR:.0%} |")
    return rows


def _share(share: float) -> str:
    return bold(f"{share:.0%}", share < STORE_FLOOR)


def _peers(facts: Facts) -> list[str]:
    lines = [
        "| loader, of the same rows | batch | Mrow/s | headrace is | row groups in a batch | peak MB |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name, one in facts["summary"].items():
        lines.append(
            f"| {name} | {one['batch']:,} | {number(one['rows_per_s'] / 1e6)} | {one['headrace_is']:,.1f} x "
            f"| {one['groups']} | {one['peak_mb']:,.0f} |"
        )
    return lines


_ROWS: Final[Mapping[str, Any]] = {"memory": _memory, "first": _first, "s3": _s3}
