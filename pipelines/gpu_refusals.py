"""What keeps a pipeline from running on the GPU engine, said before a row is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import polars as pl

from headrace.engines.cpu import CpuEngine
from headrace.pipelines.resolve import Resolved
from headrace.schemas.errors import CapabilityError
from headrace.schemas.names import ROW

if TYPE_CHECKING:
    from polars._typing import PolarsDataType

_NOT_ON_DEVICE: Final = (pl.Binary, pl.Time, pl.Categorical, pl.Enum, pl.Int128, pl.Object, pl.Null)
"""Types that cudf-polars has no columns of, not even to hand them on to a step that runs on the CPU."""


def refuse_for_gpu(resolved: Resolved, *, strict: bool) -> None:
    """Refuse what would fail on the GPU only after hours.

    Raises
    ------
    PipelineError
        A baseline with a parameter that cuML's estimator does not have.
    CapabilityError
        A column, of the contract or of a step, is of a type that the device does not have. Or the engine is strict,
        and steps do not translate: all of them, each with its reason. Without `strict` such a step runs on the CPU,
        and the run says so.
    """
    from headrace.pipelines.baseline_task import refuse_for_gpu as refuse_baselines

    refuse_baselines(resolved.pipeline.baselines, resolved.pipeline.task)
    _refuse_types(resolved)
    if not strict:
        return
    from headrace.pipelines.translate import translated

    lacking = [(f.number, f.part, reason) for f in translated(resolved) for reason in f.lacking]
    if lacking:
        lines = "".join(f"\n  {f'step {number} ' if number else ''}{part}: {why}" for number, part, why in lacking)
        raise CapabilityError(
            f"the GPU engine cannot run {len({part for _, part, _ in lacking})} step(s):{lines}",
            hint="leave --strict-gpu out, and these run on the CPU with the same result; or write them in another way",
            where=resolved.pipeline.name,
        )


def on_device(dtype: pl.DataType) -> bool:
    """Whether the device can hold a column of this type: arrays of fixed width in no other type, lists of the rest."""
    if isinstance(dtype, pl.Array):
        inner = _instance(dtype.inner)
        return on_device(inner) and not (inner.is_nested() or isinstance(inner, pl.String))
    inside = [dtype.inner] if isinstance(dtype, pl.List) else []
    inside += [field.dtype for field in dtype.fields] if isinstance(dtype, pl.Struct) else []
    held = [_instance(inner) for inner in inside]
    return not isinstance(dtype, _NOT_ON_DEVICE) and all(on_device(i) and not isinstance(i, pl.Array) for i in held)


def _refuse_types(resolved: Resolved) -> None:
    found = dict.fromkeys(
        f"{where}: column {name!r} is {dtype}"
        for where, schema in _schemas(resolved)
        for name, dtype in schema.items()
        if not on_device(dtype)
    )
    if found:
        raise CapabilityError(
            f"the GPU engine has no such type for {len(found)} column(s):" + "".join(f"\n  {line}" for line in found),
            hint="run with --engine cpu, or give these columns another type, such as String or Int64",
            where=resolved.pipeline.name,
        )


def _schemas(resolved: Resolved) -> Iterator[tuple[str, pl.Schema]]:
    """The columns of the source, and those that each step writes."""
    yield "the contract", resolved.source
    cpu, schema = CpuEngine(), pl.Schema({**resolved.source, ROW: pl.Int64()})
    for placed in resolved.steps:
        schema = placed.form.apply(pl.LazyFrame(schema=schema), cpu).collect_schema()
        yield placed.label, pl.Schema({name: schema[name] for name in placed.form.writes if name in schema})


def _instance(dtype: PolarsDataType) -> pl.DataType:
    return dtype() if isinstance(dtype, type) else dtype
