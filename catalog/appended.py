"""What an append is as a manifest: the shards of the version before beside its own, and the statistics of all rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from headrace.catalog.arrow_schema import arrow_summary
from headrace.catalog.manifest import Column, Manifest, Quality, RowOrder, Split
from headrace.catalog.reader import Dataset
from headrace.catalog.sketch import Sketches, summarize_sketches

SAME: Final = ("role", "kind", "dtype", "shape", "nullable", "pad_id", "null_id", "oov_ids")


def appended(base: Manifest, own: Manifest, statistics: Mapping[str, Sketches]) -> Manifest:
    """The manifest of the rows of `base` followed by those of `own`.

    Parameters
    ----------
    base
        Of the version that is appended to.
    own
        Of the new build: its splits have its own shards only.
    statistics
        Of all rows, by split.

    Returns
    -------
    Manifest
        `own`, with the shards, inputs, counts and statistics of both. State, baselines and other files are those of
        `own`. The rows are in time order only if both are and every time column begins where the older rows end; else
        in the order of the source: two shuffles one after the other are none.
    """
    summaries = {split: summarize_sketches(found) for split, found in statistics.items()}
    columns = [
        column.model_copy(update={"statistics": {split: found[column.name] for split, found in summaries.items()}})
        for column in own.columns
    ]
    changes = {
        "splits": {name: _split(base, split, own.splits.get(name)) for name, split in base.splits.items()},
        "columns": tuple(columns),
        "inputs": (*base.inputs, *own.inputs),
        "quality": _quality(base.quality, own),
        "row_order": _row_order(base, own),
    }
    return Manifest(**(dict(own) | changes))


def differences(base: Dataset, own: Manifest) -> Iterator[str]:
    """Why the rows of a build cannot stand beside those of a version, a line each; nothing if they can."""
    before = base.manifest
    if own.schema_fingerprint != before.schema_fingerprint:
        yield f"another schema: {arrow_summary(own.arrow_schema, before.arrow_schema)}"
        return
    if unknown := [name for name in own.splits if name not in before.splits]:
        yield f"splits that are not in it: {', '.join(unknown)}; it has {', '.join(before.splits)}"
    for name, split in own.splits.items():
        if name in before.splits and split.rule != before.splits[name].rule:
            yield f"split {name} has the rule {split.rule!r}, there it is {before.splits[name].rule!r}"
    described = {column.name: column for column in own.columns}
    for column in before.columns:
        if column.name not in described:
            yield f"column {column.name} is not described"
        else:
            yield from _column(column, described[column.name])
    if extra := sorted(described.keys() - {column.name for column in before.columns}):
        yield f"columns that are not described there: {', '.join(extra)}"
    known = {source.fingerprint for source in before.inputs}
    if again := [source.path for source in own.inputs if source.fingerprint in known]:
        yield f"rows of {len(again)} files that are in it already: {', '.join(again[:5])}"


def other_steps(base: Dataset, own: Manifest, build: Path) -> Iterator[str]:
    """Steps of the fitted pipeline that differ from those that made the older rows, a line each.

    A vocabulary that continues the older one is the same.
    """
    before = base.manifest.pipeline
    if before is None or own.pipeline is None:
        if before is not own.pipeline:
            yield "only one of the two was made by a saved pipeline"
        return
    if before.sha256 == own.pipeline.sha256:
        return
    ref = next((file for file in base.manifest.files if file.path == before.path), None)
    old = {} if ref is None else json.loads(base.local(ref).read_bytes())
    text = (build / own.pipeline.path).read_text(encoding="utf-8")
    for theirs, ours in _grown(base.manifest, own):
        text = text.replace(ours, theirs)
    new = json.loads(text)
    old_steps, new_steps = old.pop("steps", []), new.pop("steps", [])
    if old != new or len(old_steps) != len(new_steps):
        yield "another pipeline: other steps, source or features"
        return
    for number, (one, other) in enumerate(zip(old_steps, new_steps, strict=True)):
        if one != other:
            yield f"step {number}, {next(iter(other))}, learned something else or is set up otherwise"


def _column(before: Column, own: Column) -> Iterator[str]:
    for field in SAME:
        if (got := getattr(own, field)) != (expected := getattr(before, field)):
            yield f"column {own.name}: {field} is {got}, there it is {expected}"
    old, new = before.vocabulary, own.vocabulary
    grows = old is not None and new is not None and new.extends is not None and new.extends.sha256 == old.sha256
    if (old is None) is not (new is None):
        yield f"column {own.name} has {'no' if new is None else 'a'} vocabulary, there it has {'a' if old else 'none'}"
    elif old is not None and new is not None and old.sha256 != new.sha256 and not grows:
        yield f"column {own.name}: its vocabulary neither is nor continues the one there, so ids mean other values"
    elif grows and (own.cardinality or 0) < (before.cardinality or 0):
        yield f"column {own.name}: cardinality is {own.cardinality}, there it is {before.cardinality} already"
    elif not grows and own.cardinality != before.cardinality:
        yield f"column {own.name}: cardinality is {own.cardinality}, there it is {before.cardinality}"


def _grown(base: Manifest, own: Manifest) -> Iterator[tuple[str, str]]:
    """SHA-256 of the older vocabulary and of the one that continues it."""
    old = {column.name: column.vocabulary for column in base.columns}
    for column in own.columns:
        before, after = old.get(column.name), column.vocabulary
        if before and after and after.extends and after.extends.sha256 == before.sha256:
            yield before.sha256, after.sha256


def _split(base: Manifest, before: Split, own: Split | None) -> Split:
    older = tuple(
        file if file.build is not None else file.model_copy(update={"build": base.build}) for file in before.files
    )
    files = older + (own.files if own is not None else ())
    return Split(rule=before.rule, rows=sum(file.rows for file in files), files=files)


def _quality(before: Quality | None, manifest: Manifest) -> Quality | None:
    own, mended = manifest.quality, {source.path for source in manifest.inputs}
    if before is None or own is None:
        return None
    counts = ("rows_in", "rows_published", "filtered", "quarantined")
    reasons = {
        reason: before.reasons.get(reason, 0) + own.reasons.get(reason, 0)
        for reason in {**before.reasons, **own.reasons}
    }
    summed: dict[str, Any] = {name: getattr(before, name) + getattr(own, name) for name in counts}
    now = {file.path for file in own.bad_files}
    still = [file for file in before.bad_files if file.path not in mended | now]
    return Quality(**summed, reasons=reasons, bad_files=(*still, *own.bad_files))


def _row_order(base: Manifest, own: Manifest) -> RowOrder:
    if base.row_order.kind == own.row_order.kind == "time":
        times = [column.name for column in own.columns if column.role == "time"]
        old = {column.name: column.statistics for column in base.columns}
        new = {column.name: column.statistics for column in own.columns}
        ends = [
            (old[name][split].max, new[name][split].min)
            for name in times
            for split in own.splits
            if split in old.get(name, {}) and split in new[name]
        ]
        if ends and all(isinstance(a, type(b)) and a <= b for a, b in ends if a is not None and b is not None):  # type: ignore[operator]
            return RowOrder(kind="time")
    return RowOrder(kind="source")
