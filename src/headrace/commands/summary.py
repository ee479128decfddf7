"""What came of a run, in a few lines: where the rows went, what the features are worth, how to open the dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from headrace.commands.datasets import baseline_table
from headrace.commands.failure import styled
from headrace.commands.layout import moment, seconds_in_words, table

if TYPE_CHECKING:
    from headrace.pipelines.runs import RunRecord


def summary(record: RunRecord, catalog: str) -> str:
    """The lines that end `headrace run`."""
    return "\n".join([facts(record), *_opening(record, catalog)])


def facts(record: RunRecord) -> str:
    """A run, whether it published or not."""
    published = record.version is not None
    took = seconds_in_words(record.elapsed)
    title = f"{record.dataset}@{record.version}" if published else f"{record.pipeline}: {record.status}"
    where = f" on {record.engine}, {record.cluster}" if record.engine else ""
    parts = [f"{styled(title, bold=True)}  {took}{where}  (run {record.run_id})"]
    if record.error is not None:
        place = f"{record.error.where}: " if record.error.where else ""
        parts.append(f"error[{record.error.code}]: {place}{record.error.message}")
        if record.error.hint:
            parts.append(f"hint: {record.error.hint}")
    if not record.engine and published:  # the version was there, and nothing was run
        return "\n".join([*parts, *(f"note: {note}" for note in record.notes)])
    flow: list[list[object]] = [["rows in", record.rows_in], ["filtered", record.rows_filtered]]
    flow += [["quarantined", record.rows_quarantined], ["published", record.rows_published]]
    flow += [["features", record.features]]
    parts += ["", table(flow)]
    if record.quarantined:  # a row may break several rules: these can add up to more
        parts += ["", table([[r, n] for r, n in record.quarantined.items()], ["quarantined for", "rows"])]
    parts += [f"note: {note}" for note in record.notes]
    parts += [f"file left out: {bad.path}: {bad.reason}" for bad in record.bad_files]
    parts += [f"on the CPU: {fallback}" for fallback in record.fallbacks]
    parts += [f"vocabulary of {column}: {note}" for column, note in record.vocabularies.items()]
    if record.splits:
        parts += ["", table([[name, rows] for name, rows in record.splits.items()], ["split", "rows"])]
    if record.baselines:
        parts += ["", baseline_table(record.baselines)]
    if record.report:
        parts += ["", f"report  {_short(record.report)}"]
    return "\n".join(parts)


def stages(record: RunRecord) -> str:
    """When a run began, and how long each stage that it finished took."""
    took = [[name, seconds_in_words(seconds)] for name, seconds in record.seconds.items()]
    return f"started {moment(str(record.started_at))}\n" + table(took, ["stage", "took"])


def _opening(record: RunRecord, catalog: str) -> list[str]:
    if record.version is None:
        return []
    uri = f"{catalog.rstrip('/')}/{record.dataset}"
    lines = (
        "from headrace import open_dataset",
        f'dataset = open_dataset("{uri}", version={record.version})',
        f'frame = dataset.to_polars("{next(iter(record.splits), "train")}")',
    )
    return ["", *(f"    {styled(line, fg='cyan')}" for line in lines)]


def _short(path: str) -> str:
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path
