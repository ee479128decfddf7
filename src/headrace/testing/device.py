"""The laws of the GPU engine: a step's queries translate, and, where a GPU is there, it gives what the CPU gives."""

from __future__ import annotations

import polars as pl

from headrace.engines.engine import TaskEngine
from headrace.engines.translation import KERNELS, TranslationEngine, require, untranslatable
from headrace.schemas.errors import CapabilityError
from headrace.testing.compare import same_but_for_last_digits
from headrace.testing.report import Broken
from headrace.testing.subject import ENGINE, Subject
from headrace.transforms.base import UNIT, Learner, Transform


def no_translator(_: Subject) -> str:
    """Why the translation cannot be checked here; empty where it can."""
    try:
        require()
    except CapabilityError as problem:
        return f"{problem.message} ({problem.hint})"
    return ""


def translation(subject: Subject) -> Broken | None:
    """Every query runs on the GPU engine, but for the named kernels."""
    engine, frame, step = TranslationEngine(), subject.rows.lazy(), subject.step
    queries: list[tuple[str, pl.LazyFrame]] = []
    if isinstance(step, Learner):
        measured = step.measure(frame, engine)
        queries.append(("measure", measured))
        if step.by_unit:
            measured = measured.with_columns(pl.lit(0, pl.Int64).alias(UNIT))
        queries.append(("merge", step.merge([measured, measured])))
    queries.append(("apply", subject.form.apply(frame, engine)))
    for method, query in queries:
        lacking = untranslatable(query)
        if lacking:
            return Broken(
                f"cudf-polars cannot run {method}: {'; '.join(lacking)[:300]}",
                "write it with expressions that cudf-polars has; else a run on GPUs does this step on the CPU, and "
                "--strict-gpu refuses it",
            )
    unknown = sorted(set(engine.kernels) - set(KERNELS))
    return Broken(f"kernels that no engine has: {', '.join(unknown)}", "use those of Engine") if unknown else None


def no_gpu(_: Subject) -> str:
    """Why nothing can be run on a GPU here; empty where it can."""
    from headrace.engines.detect import choose

    chosen = choose("auto", patience_seconds=0)
    return "" if chosen.engine == "gpu" else chosen.reason


def values(subject: Subject) -> Broken | None:
    """Learned and applied on the GPU it gives what it gives on the CPU, floats to one unit of a Float32."""
    from headrace.engines.open import EngineSpec, open_engine

    return disagreement(subject, open_engine(EngineSpec(name="gpu", strict=True)))


def disagreement(subject: Subject, engine: TaskEngine) -> Broken | None:
    """The first difference between what another engine gives and what the CPU's does, on any of the frames."""
    for name, frame in subject.frames.items():
        twin: Transform
        if isinstance(subject.step, Learner):
            expected, found = _learned(subject.step, frame, ENGINE), _learned(subject.step, frame, engine)
            wrong = same_but_for_last_digits(_sorted(expected), _sorted(found), rel_tol=1e-12)
            if wrong:
                return Broken(f"measured on {engine.name} from the rows {name!r}: {wrong}", _BODIES, frame)
            form, twin = subject.step.learn(expected), subject.step.learn(found)
        else:
            form = twin = subject.step
        held = engine.hold(frame.lazy())
        got = engine.hold(engine.step("example", held.lazy(), twin.apply)).to_polars()
        wrong = same_but_for_last_digits(ENGINE.collect([form.apply(frame.lazy(), ENGINE)])[0], got)
        if wrong:
            return Broken(f"on {engine.name} the rows {name!r} become others: {wrong}", _BODIES, subject.shown(frame))
        if engine.fallbacks:
            return Broken(f"{engine.name} handed it to the CPU: {'; '.join(engine.fallbacks)}", _BODIES)
    return None


_BODIES = "find the expression that the engines read otherwise; docs/decisions/0011-one-meaning.md has those known"


def _learned(step: Learner, frame: pl.DataFrame, engine: TaskEngine) -> pl.DataFrame:
    held, half, tables = engine.hold(frame.lazy()), frame.height // 2, []
    for number, rows in enumerate((held.slice(0, half), held.slice(half, frame.height - half))):
        table = engine.collect([step.measure(rows.lazy(), engine)])[0]
        tables.append(table.with_columns(pl.lit(number, pl.Int64).alias(UNIT)) if step.by_unit else table)
    return engine.collect([step.merge([table.lazy() for table in tables])])[0]


def _sorted(table: pl.DataFrame) -> pl.DataFrame:
    """Statistics have no order of rows: sorted by what is exact in them."""
    keys = [name for name, dtype in table.schema.items() if not dtype.is_float() and not dtype.is_nested()]
    return table.sort(keys or table.columns)
