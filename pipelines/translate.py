"""Whether the GPU engine can run every query of a pipeline, asked of cudf-polars' translator; needs no GPU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import polars as pl
from pydantic import BaseModel, ConfigDict

from headrace.engines import translation
from headrace.engines.cpu import CpuEngine
from headrace.engines.translation import TranslationEngine
from headrace.pipelines.model import Pipeline
from headrace.pipelines.passes import assign_split
from headrace.pipelines.resolve import Placed, Resolved, resolve
from headrace.schemas.names import ROW
from headrace.schemas.rules import compile_rules, flag
from headrace.transforms.base import UNIT, Learner, describe
from headrace.transforms.table import Table


class Finding(BaseModel):
    """What a part of a pipeline needs beyond what translates: named kernels, or what is lacking.

    `number` is that of the step, 0 for the contract and the split.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    part: str
    kernels: tuple[str, ...]
    lacking: tuple[str, ...]


def translation_report(pipeline: Pipeline, tables: Mapping[str, Table]) -> list[Finding]:
    """Translate every query that a run of the pipeline makes over its rows.

    Parameters
    ----------
    tables
        The tables of the source by name; empty ones of the right schema do.

    Raises
    ------
    CapabilityError
        cudf-polars is not installed, or in another version than the one that is known.
    PipelineError
        The pipeline does not resolve.
    """
    return translated(resolve(pipeline, tables))


def translated(resolved: Resolved) -> list[Finding]:
    """The same for a pipeline that is resolved already."""
    translation.require()
    return [_finding(number, part, gpu, queries) for number, part, gpu, queries in _queries(resolved)]


def _finding(number: int, part: str, gpu: TranslationEngine, queries: list[pl.LazyFrame]) -> Finding:
    lacking = dict.fromkeys(line for query in queries for line in translation.untranslatable(query))
    return Finding(number=number, part=part, kernels=tuple(sorted(set(gpu.kernels))), lacking=tuple(lacking))


def _queries(resolved: Resolved) -> Iterator[tuple[int, str, TranslationEngine, list[pl.LazyFrame]]]:
    """Each part's queries over empty rows of the schema that it will meet."""
    cpu = CpuEngine()
    pipeline = resolved.pipeline
    frame = pl.DataFrame(schema={**resolved.source, ROW: pl.Int64()})
    yield 0, "contract", TranslationEngine(), [flag(frame.lazy(), compile_rules(pipeline.contract))]
    for index in range(len(resolved.steps) + 1):
        if index == resolved.split_index:
            gpu = TranslationEngine()
            yield 0, "split", gpu, [assign_split(pipeline, frame.lazy(), gpu)]
            frame = cpu.collect([assign_split(pipeline, frame.lazy(), cpu)])[0]
        if index < len(resolved.steps):
            placed = resolved.steps[index]
            gpu = TranslationEngine()
            yield placed.number, describe(placed.step), gpu, _of_step(placed, frame, gpu)
            frame = cpu.collect([placed.form.apply(frame.lazy(), cpu)])[0]


def _of_step(placed: Placed, frame: pl.DataFrame, gpu: TranslationEngine) -> list[pl.LazyFrame]:
    queries = [placed.form.apply(frame.lazy(), gpu)]
    if isinstance(placed.step, Learner) and placed.step.measured:
        cpu = CpuEngine()
        queries.append(placed.step.measure(frame.lazy(), gpu))
        partial = cpu.collect([placed.step.measure(frame.lazy(), cpu)])[0]
        if placed.step.by_unit:
            partial = partial.with_columns(pl.lit(0, pl.Int64).alias(UNIT))
        queries.append(placed.step.merge([partial.lazy(), partial.lazy()]))
    return queries
