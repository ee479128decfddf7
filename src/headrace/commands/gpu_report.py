"""Which steps of a pipeline the GPU engine can run, asked of cudf-polars' translator; needs no GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.schemas.errors import CapabilityError

if TYPE_CHECKING:
    from headrace.pipelines.resolve import Resolved


def gpu_report(resolved: Resolved) -> dict[str, Any]:
    """What each step needs beyond what translates: named kernels, or what is lacking.

    `checked` is false where cudf-polars is not installed; `words` says the result in one line.
    """
    from headrace.engines import translation

    try:
        translation.require()
    except CapabilityError as missing:
        words = f"not checked: {missing.message} ({missing.hint})"
        return {"checked": False, "words": words, "steps": []}
    steps = _steps(resolved)
    # One step of a pipeline may fall into parts.
    count, lacking = len({s["number"] for s in steps}), len({s["number"] for s in steps if s["lacking"]})
    kernels = sorted({kernel for step in steps for kernel in step["kernels"]})
    words = f"{lacking} of {count} steps do not translate" if lacking else f"all {count} steps translate"
    if kernels:
        words += f"; named kernels: {', '.join(kernels)}"
    return {"checked": True, "words": words, "steps": steps}


def _steps(resolved: Resolved) -> list[dict[str, Any]]:
    import polars as pl

    from headrace.engines.engine import CpuEngine
    from headrace.engines.translation import TranslationEngine, untranslatable
    from headrace.schemas.names import ROW
    from headrace.transforms.base import describe

    cpu = CpuEngine()
    frame = pl.DataFrame(schema={**resolved.source, ROW: pl.Int64()})
    split = resolved.pipeline.split
    found = []
    for placed in resolved.steps:
        if placed.index == resolved.split_index:
            frame = cpu.collect([split.assign(frame.lazy(), frame.schema, cpu)])[0]
        gpu = TranslationEngine()
        # A learner's measuring is part of what the GPU runs.
        queries = [placed.form.apply(frame.lazy(), gpu)]
        if placed.learns:
            queries.append(placed.step.measure(frame.lazy(), gpu))  # type: ignore[union-attr]
        lacking = [line for query in queries for line in untranslatable(query)]
        found.append(
            {
                "number": placed.number,
                "step": describe(placed.step),
                "kernels": sorted(set(gpu.kernels)),
                "lacking": list(dict.fromkeys(lacking)),
            }
        )
        frame = cpu.collect([placed.form.apply(frame.lazy(), cpu)])[0]
    return found
