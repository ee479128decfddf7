"""`headrace datasets diff`: how one version differs from another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from headrace.commands.layout import bytes_in_words, table
from headrace.commands.options import catalog_option, dataset_uri
from headrace.commands.terminal import common_options, json_option, terminal
from headrace.schemas.errors import DataError

if TYPE_CHECKING:
    from headrace.catalog.diff import Diff, StatisticsChange
    from headrace.catalog.manifest import Scalar
    from headrace.catalog.vocabulary_change import VocabularyChange

_EXAMPLES = 3
"""Values of a vocabulary in the table; --json has ten."""

_INPUTS = 5
"""Files that are named in the table; --json has all."""

_SETTINGS = 12
"""Settings of the pipeline that are named in the text."""

_TO = " -> "
_METRICS = ("auc", "average_precision", "log_loss", "rmse", "mae", "r2")


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="[B]", required=False)
@click.option("--exit-code", is_flag=True, help="Exit 1 if a reader of A may break on B: if the change is major.")
@catalog_option
@json_option
@common_options
def diff(first: str, second: str | None, exit_code: bool, catalog: str) -> None:
    """How version B differs from version A; with one argument, how A differs from the version before it.

    A and B are DATASET[@VERSION], such as flights@1 flights@2. major: a column or split is gone, a column has another
    type, role or place, nulls where it had none, or other ids. minor: there are more columns, splits or ids, and all
    the others are as they were. patch: only rows and values are others.
    """
    from headrace.catalog.diff import diff as compare
    from headrace.catalog.diff import version_before
    from headrace.catalog.reader import open_dataset

    opened = open_dataset(dataset_uri(first, catalog), allow_retired=True)
    if second is None:
        one, two = version_before(opened), opened
    else:
        one, two = opened, open_dataset(dataset_uri(second, catalog), allow_retired=True)
    found = compare(one, two)
    if not (exit_code and found.level == "major"):
        terminal().show(found, lambda: _shown(found))
        return
    broken = [change.column or change.what for change in found.schema_changes if change.level == "major"]
    broken += [vocabulary.column for vocabulary in found.vocabularies if vocabulary.level == "major"]
    names = list(dict.fromkeys(broken))
    terminal().show_failed(
        found,
        lambda: _shown(found),
        DataError(
            f"the change from {found.first} is major: {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}",
            where=found.second,
            hint="what was trained on the first cannot read the second: train anew, or keep to the first",
        ),
    )


def _shown(found: Diff) -> str:
    parts = [f"{found.first} -> {found.second}: {_LEVELS[found.level]}"]
    rows = [[c.level, c.column, c.what, c.first, c.second] for c in found.schema_changes]
    parts.append(table(rows, ["level", "column", "change", "was", "is"]))
    parts.append(
        table([_vocabulary(v) for v in found.vocabularies], ["level", "vocabulary", "added", "gone", "moved", "values"])
    )
    splits = [[s.name, *s.rows, *s.files, "the same" if s.same else ""] for s in found.splits]
    header = ["split", "rows were", "are", "files were", "are", ""]
    if not any(split.same for split in found.splits):
        splits, header = [row[:-1] for row in splits], header[:-1]
    parts.append(table(splits, header))
    parts.append(_values(found))
    parts.append(_baselines(found))
    parts.append("\n".join(_sources(found)))
    return "\n\n".join(part for part in parts if part)


_LEVELS = {
    "none": "no change",
    "patch": "patch, only rows and values",
    "minor": "minor, there is more, and the rest is as it was",
    "major": "major, who reads the first may break on the second",
}


def _vocabulary(found: VocabularyChange) -> list[object]:
    words = [f"+{value}" for value in found.added_values[:_EXAMPLES]]
    words += [f"-{value}" for value in found.removed_values[:_EXAMPLES]]
    words += list(found.moved_values[:_EXAMPLES])
    if found.extends:
        words.append(f"continues {found.extends}")
    return [found.level, found.column, found.added, found.removed, found.moved, found.problem or " ".join(words)]


def _values(found: Diff) -> str:
    """Columns by split whose numbers changed, the largest PSI first."""
    drifted = {(split, column.name): column for split, drift in found.drift.items() for column in drift.columns}
    order = {split.name: number for number, split in enumerate(found.splits)}
    rows: list[tuple[int, float, list[object]]] = []
    for change in found.statistics:
        column = drifted.get((change.split, change.column))
        psi, verdict = (None, "") if column is None else (column.psi, column.verdict)
        numbers = _numbers(change)
        if verdict in ("moderate", "major") or any(_TO in cell for cell in numbers):
            cells: list[object] = [change.split, change.column, verdict, psi, *numbers]
            rows.append((order[change.split], -(psi or 0.0), cells))
    shown = [cells for *_, cells in sorted(rows, key=lambda row: row[:2])]
    return table(shown, ["split", "column", "drift", "PSI", "nulls", "distinct", "min", "mean", "max"])


def _numbers(change: StatisticsChange) -> list[str]:
    names = ("nulls", "distinct", "min", "mean", "max")
    return [_arrow(getattr(change.first, name), getattr(change.second, name)) for name in names]


def _arrow(was: Scalar | None, now: Scalar | None) -> str:
    one, two = _short(was), _short(now)
    return one if one == two else f"{one}{_TO}{two}"


def _short(value: Scalar | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else value[:19]


def _baselines(found: Diff) -> str:
    """Of each baseline the metrics on the last split, which nothing was learned on, that changed in four digits."""
    split = found.splits[-1].name if found.splits else ""
    changed: dict[str, dict[str, str]] = {}
    for m in found.baselines:
        was, now = ("-" if value is None else f"{value:.4f}" for value in (m.first, m.second))
        if m.split == split and m.metric in _METRICS and was != now:
            changed.setdefault(m.baseline, {})[m.metric] = f"{was}{_TO}{now}"
    names = [name for name in _METRICS if any(name in metrics for metrics in changed.values())]
    rows = [[baseline, *(metrics.get(name, "") for name in names)] for baseline, metrics in changed.items()]
    return table(rows, [f"baseline on {split}", *(name.replace("_", " ") for name in names)])


def _sources(found: Diff) -> list[str]:
    inputs = found.inputs
    lines = [f"{problem}" for problem in found.problems]
    if found.pipeline_changed:
        lines.append("pipeline: " + " -> ".join((sha or "none")[:12] for sha in found.pipeline))
    lines += [f"setting {s.setting}: {s.first} -> {s.second}" for s in found.settings[:_SETTINGS]]
    if (more := len(found.settings) - _SETTINGS) > 0:
        lines.append(f"and {more} more settings; --json has all")
    listed = [("added", inputs.added), ("gone", inputs.removed), ("changed", inputs.changed)]
    lines += [
        f"inputs {what}: {len(paths)}: {', '.join(paths[:_INPUTS])}{', ...' if len(paths) > _INPUTS else ''}"
        for what, paths in listed
        if paths
    ]
    if inputs.rows[0] != inputs.rows[1]:
        lines.append(f"rows read: {inputs.rows[0]:,} -> {inputs.rows[1]:,}")
    if found.bytes[0] != found.bytes[1]:
        lines.append(f"size: {bytes_in_words(found.bytes[0])} -> {bytes_in_words(found.bytes[1])}")
    return lines
