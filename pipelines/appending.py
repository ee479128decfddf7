"""Appending: a run over the files that are new, whose rows are published behind those of the latest version.

Nothing is learned anew but the values that a vocabulary with `previous` gains: the new rows get the features that the
older ones have, from what was learned when those were published.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from headrace.catalog import log
from headrace.catalog.reader import Dataset, open_dataset
from headrace.catalog.retired import newest
from headrace.catalog.settings import load_settings, setting_changes
from headrace.catalog.store import dataset_place, exists, open_store
from headrace.pipelines.fitted import FittedPipeline
from headrace.pipelines.known_files import named
from headrace.pipelines.model import Pipeline
from headrace.pipelines.plan import PlannedAppend
from headrace.pipelines.resolve import Placed, Resolved
from headrace.pipelines.work import save_step
from headrace.schemas.errors import DataError, PipelineError, UsageError
from headrace.transforms.base import Selection, Transform
from headrace.transforms.categorify import Categorify
from headrace.transforms.elements import inside
from headrace.transforms.target_encoded import TargetEncoded, TargetLeftOut

_NAMED = 5
_ANEW = "run without --append: all rows are made anew"
_MAY_DIFFER = ("baselines", "description", "max_bad_fraction")


def latest_version(catalog: str, dataset: str) -> Dataset | None:
    """The latest version of a dataset, None if there is none yet or all are retired."""
    place = dataset_place(catalog, dataset)
    if not exists(place):
        return None
    store = open_store(place)
    return None if log.latest_version(store) is None or newest(store) is None else open_dataset(place)


def base_of(catalog: str, pipeline: Pipeline) -> Dataset:
    """The version that a run of this pipeline can append to.

    Raises
    ------
    UsageError
        There is none.
    DataError
        It was made by another pipeline, or this one with other settings; all that differ are named.
    """
    base = latest_version(catalog, pipeline.name)
    if base is None:
        raise UsageError(
            f"{pipeline.name} has no version to append to", hint="run without --append first", where=catalog
        )
    known = load_settings(base)
    if known is None:
        return base  # from before settings were kept; what is published is compared all the same
    own = pipeline.settings()
    there, here = ({k: v for k, v in side.items() if k not in _MAY_DIFFER} for side in (known, own))
    if changed := setting_changes(there, here):
        lines = [f"  {change.setting}: {change.first} -> {change.second}" for change in changed[:_NAMED]]
        more = [f"  and {len(changed) - _NAMED} more"] * (len(changed) > _NAMED)
        raise DataError(
            "\n".join([f"the pipeline is set up otherwise than for {named(base)}:", *lines, *more]),
            hint=_ANEW,
            where=pipeline.name,
        )
    return base


def planned(base: Dataset) -> PlannedAppend:
    """What a plan says of the version that is appended to."""
    nullable = tuple(column.name for column in base.manifest.columns if column.nullable)
    return PlannedAppend(version=base.version, nullable=nullable)


def freeze(work: Path, base: Dataset, pipeline: Pipeline, resolved: Resolved) -> None:
    """Put what was learned for a version into a work folder, so that nothing is learned there again.

    Raises
    ------
    DataError
        The version has no fitted pipeline, or one of other steps.
    PipelineError
        A step whose features of new rows depend on older rows, which are not read.
    """
    for placed, form in _frozen(base, pipeline, resolved):
        save_step(work / "learned" / str(placed.index), form)


def refuse_looking_back(resolved: Resolved) -> None:
    """Raise PipelineError for a step that looks at other rows: older ones are not read."""
    for placed in resolved.steps:
        if placed.collects or isinstance(placed.form, Selection):
            raise PipelineError(
                "looks at other rows than its own, and an append does not read the older ones",
                hint=_ANEW,
                where=placed.label,
            )
        form = inside(placed.form)
        if isinstance(form, TargetLeftOut) or (isinstance(form, TargetEncoded) and form.fold_by == "time"):
            raise PipelineError(
                "encodes each training row by the others as they were when it learned, and those of an append are none",
                hint=f"{_ANEW}; or leave leave_one_out and fold_by: time out",
                where=placed.label,
            )


def _frozen(base: Dataset, pipeline: Pipeline, resolved: Resolved) -> Iterator[tuple[Placed, Transform]]:
    state = base.state_path
    if state is None:
        raise DataError("was published without a fitted pipeline", hint=_ANEW, where=named(base))
    steps = FittedPipeline.load(state, allow=pipeline.modules).steps
    if [type(step) for step in steps] != [type(placed.form) for placed in resolved.steps]:
        raise DataError("was made by other steps than the pipeline has", hint=_ANEW, where=named(base))
    for placed, step in zip(resolved.steps, steps, strict=True):
        if placed.learns and placed.pass_number is not None and not _continues(placed):
            if step.writes != placed.form.writes:
                raise DataError(f"{placed.label} wrote other columns: {', '.join(step.writes)}", where=named(base))
            yield placed, step


def _continues(placed: Placed) -> bool:
    step = inside(placed.step)
    return isinstance(step, Categorify) and step.previous is not None
