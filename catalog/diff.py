"""How one version of a dataset differs from another: what broke, what grew, what moved."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field, FiniteFloat

from headrace.catalog.changes import Change, Level, highest, schema_changes
from headrace.catalog.drift import Drift, compare_splits
from headrace.catalog.manifest import BaselineResult, Manifest, Scalar, Statistics
from headrace.catalog.reader import Dataset, open_dataset
from headrace.catalog.records import Count, Record
from headrace.catalog.retired import retired_versions
from headrace.catalog.settings import SettingChange, load_settings, setting_changes
from headrace.catalog.store import open_store
from headrace.catalog.vocabulary_change import VocabularyChange, vocabulary_changes
from headrace.schemas.errors import DataError, UsageError


class SplitChange(Record):
    """A split of one version or both. What one of them does not have is None."""

    name: str
    rows: tuple[Count | None, Count | None]
    files: tuple[Count | None, Count | None]
    same: bool = Field(description="both have the same shards, byte by byte")


class Numbers(Record):
    """What a manifest says of a column in a split."""

    nulls: Count
    distinct: Count | None
    min: Scalar | None
    mean: FiniteFloat | None
    max: Scalar | None


class StatisticsChange(Record):
    """A column whose numbers in a split are not as they were."""

    split: str
    column: str
    first: Numbers
    second: Numbers


class MetricChange(Record):
    """A metric of a baseline that is not as it was. What one of the versions does not have is None."""

    baseline: str
    split: str
    metric: str
    first: FiniteFloat | None
    second: FiniteFloat | None


class InputsChange(Record):
    """Files that were read, by their fingerprints."""

    files: tuple[Count, Count]
    rows: tuple[Count, Count]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...] = Field(description="of the same path, with another content")


class Diff(Record):
    """Two versions, the second seen from the first."""

    first: str = Field(description="dataset@version")
    second: str
    level: Level = Field(description="the highest of all changes; `headrace.catalog.changes` has the rule")
    schema_changes: tuple[Change, ...]
    vocabularies: tuple[VocabularyChange, ...]
    splits: tuple[SplitChange, ...]
    statistics: tuple[StatisticsChange, ...]
    drift: dict[str, Drift] = Field(description="by split, of those that both have and that are not the same")
    baselines: tuple[MetricChange, ...]
    inputs: InputsChange
    pipeline: tuple[str | None, str | None] = Field(description="sha256 of the fitted pipelines")
    pipeline_changed: bool
    settings: tuple[SettingChange, ...] = Field(description="of the pipeline, where they were kept with both versions")
    bytes: tuple[Count, Count]
    problems: tuple[str, ...] = Field(description="what could not be compared, and why")


def diff(first: Dataset, second: Dataset) -> Diff:
    """How the second version differs from the first; they may be of two datasets.

    Raises
    ------
    DataError
        A vocabulary, or the settings of a pipeline, are missing or damaged.

    Notes
    -----
    Cost: the manifests, the statistics kept with both, and vocabularies that differ. Of versions from before statistics
    were kept, the shards are read.
    """
    one, two = first.manifest, second.manifest
    changes, vocabularies = schema_changes(one, two), vocabulary_changes(first, second)
    splits = tuple(_splits(one, two))
    drift, problems = _drift(
        first, second, [split.name for split in splits if not split.same and None not in split.rows]
    )
    was, now = load_settings(first), load_settings(second)
    pipelines = tuple(m.pipeline.sha256 if m.pipeline else None for m in (one, two))
    levels: list[Level] = [*(c.level for c in changes), *(v.level for v in vocabularies)]
    if not all(split.same for split in splits) or pipelines[0] != pipelines[1] or one.baselines != two.baselines:
        levels.append("patch")
    return Diff(
        first=f"{first.name}@{first.version}",
        second=f"{second.name}@{second.version}",
        level=highest(levels),
        schema_changes=changes,
        vocabularies=vocabularies,
        splits=splits,
        statistics=tuple(_statistics(one, two)),
        drift=drift,
        baselines=tuple(_metrics(one.baselines, two.baselines)),
        inputs=_inputs(one, two),
        pipeline=(pipelines[0], pipelines[1]),
        pipeline_changed=pipelines[0] != pipelines[1],
        settings=() if was is None or now is None else setting_changes(was, now),
        bytes=(one.bytes, two.bytes),
        problems=problems,
    )


def version_before(dataset: Dataset) -> Dataset:
    """The highest version below a version's that is not retired. Raises UsageError if there is none."""
    gone = set(retired_versions(open_store(dataset.place)))
    before = next((number for number in range(dataset.version - 1, 0, -1) if number not in gone), None)
    if before is None:
        raise UsageError(
            f"there is no version before {dataset.name}@{dataset.version}" + " that is not retired" * bool(gone),
            hint="name two versions, such as flights@1 flights@2",
        )
    return open_dataset(dataset.place, before)


def _splits(one: Manifest, two: Manifest) -> Iterator[SplitChange]:
    for name in dict.fromkeys((*one.splits, *two.splits)):
        a, b = one.splits.get(name), two.splits.get(name)
        yield SplitChange(
            name=name,
            rows=(a.rows if a else None, b.rows if b else None),
            files=(len(a.files) if a else None, len(b.files) if b else None),
            same=a is not None and b is not None and [f.sha256 for f in a.files] == [f.sha256 for f in b.files],
        )


def _statistics(one: Manifest, two: Manifest) -> Iterator[StatisticsChange]:
    after = {column.name: column.statistics for column in two.columns}
    for split in one.splits:
        for column in one.columns:
            a, b = column.statistics.get(split), after.get(column.name, {}).get(split)
            if a is not None and b is not None and (was := _numbers(a)) != (now := _numbers(b)):
                yield StatisticsChange(split=split, column=column.name, first=was, second=now)


def _numbers(found: Statistics) -> Numbers:
    return Numbers(nulls=found.nulls, distinct=found.distinct, min=found.min, mean=found.mean, max=found.max)


def _drift(first: Dataset, second: Dataset, splits: list[str]) -> tuple[dict[str, Drift], tuple[str, ...]]:
    found, problems = {}, []
    for split in splits:
        try:
            found[split] = compare_splits(first, split, second, split)
        except DataError as error:
            problems.append(f"drift of {split}: {error}")
    return found, tuple(problems)


def _metrics(one: tuple[BaselineResult, ...], two: tuple[BaselineResult, ...]) -> Iterator[MetricChange]:
    before, after = (
        {
            (result.name, split, metric): value
            for result in results
            for split, metrics in result.metrics.items()
            for metric, value in metrics.items()
        }
        for results in (one, two)
    )
    for key in dict.fromkeys((*before, *after)):
        if (was := before.get(key)) != (now := after.get(key)):
            yield MetricChange(baseline=key[0], split=key[1], metric=key[2], first=was, second=now)


def _inputs(one: Manifest, two: Manifest) -> InputsChange:
    before, after = _contents(one), _contents(two)
    return InputsChange(
        files=(len(one.inputs), len(two.inputs)),
        rows=(sum(file.rows for file in one.inputs), sum(file.rows for file in two.inputs)),
        added=tuple(path for path in after if path not in before),
        removed=tuple(path for path in before if path not in after),
        changed=tuple(path for path in after if path in before and after[path] != before[path]),
    )


def _contents(manifest: Manifest) -> dict[str, list[str]]:
    """What was read under each name: appends may have read several files under one."""
    found: dict[str, list[str]] = {}
    for file in manifest.inputs:
        found.setdefault(file.path, []).append(file.fingerprint)
    return found
