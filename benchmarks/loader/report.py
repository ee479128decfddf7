"""The result as files: loader.json, loader.md, and the block of figures in the page on performance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.loader import page
from benchmarks.loader.figures import FIGURES, Facts
from benchmarks.loader.tables import TABLES

SCHEMA_VERSION: Final = 2


def write(folder: Path, machine: Facts, found: Facts, *, keep: bool, performance: Path | None = None) -> list[Path]:
    """Write loader.json and loader.md, and the figures to the page on performance, if it is given.

    With `keep`, parts that were not measured stay as they are written. Raises SystemExit if those are of another
    machine or of another form of the file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "loader.json", folder / "loader.md"]
    if keep and paths[0].exists():
        written = json.loads(paths[0].read_text(encoding="utf-8"))
        for what, mine, theirs in (
            ("the processor", machine["processor"], written["machine"]["processor"]),
            ("the form", SCHEMA_VERSION, written["schema_version"]),
        ):
            if mine != theirs:
                raise SystemExit(f"{what} of loader.json is {theirs}, and this is {mine}: measure every part")
        found = written["parts"] | found
    parts = {part: {**found[part], "summary": FIGURES[part](found[part])} for part in FIGURES if part in found}
    document = {"schema_version": SCHEMA_VERSION, "name": "loader", "machine": machine, "parts": _rounded(parts)}
    paths[0].write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    paths[1].write_text(text(machine, document["parts"]), encoding="utf-8")
    if performance is not None:
        there = performance.read_text(encoding="utf-8")
        performance.write_text(page.replaced(there, document["parts"]), encoding="utf-8")
        paths.append(performance)
    return paths


def text(machine: Facts, parts: Mapping[str, Facts]) -> str:
    """All tables."""
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB; {machine['system']}; "
        f"{', '.join(f'{name} {version}' for name, version in machine['packages'].items())}.",
        "",
        "Every process has imported what it uses before its time begins, files are in the page cache, and sides take "
        "turns. CPU seconds are over all threads and processes of a side.",
    ]
    for part, facts in _rounded(parts).items():  # the file's figures, whether they come from it or not
        lines += ["", *TABLES[part](facts, FIGURES[part](facts))]
    return "\n".join(lines) + "\n"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, Mapping):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list) else value
