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
    from headrace.pipelines.translate import translated

    steps: list[dict[str, Any]] = [
        {"number": f.number, "step": f.part, "kernels": f.kernels, "lacking": f.lacking} for f in translated(resolved)
    ]
    # One step of a pipeline may fall into several findings; number 0 is the contract and the split.
    count, lacking = len(resolved.pipeline.steps), len({s["number"] for s in steps if s["lacking"] and s["number"]})
    parts = [s["step"] for s in steps if s["lacking"] and not s["number"]]
    others = "".join(f", nor does the {part}" if lacking else f", but the {part} does not" for part in parts)
    kernels = sorted({kernel for step in steps for kernel in step["kernels"]})
    words = f"{lacking} of {count} steps do not translate" if lacking else f"all {count} steps translate"
    words += others
    if kernels:
        words += f"; named kernels: {', '.join(kernels)}"
    return {"checked": True, "words": words, "steps": steps}
