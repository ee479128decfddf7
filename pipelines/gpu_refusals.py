"""What keeps a pipeline from running on the GPU engine, said before a row is read."""

from __future__ import annotations

from headrace.pipelines.resolve import Resolved
from headrace.schemas.errors import CapabilityError


def refuse_for_gpu(resolved: Resolved, *, strict: bool) -> None:
    """Refuse what would fail on the GPU only after hours.

    Raises
    ------
    PipelineError
        A baseline with a parameter that cuML's estimator does not have.
    CapabilityError
        The engine is strict, and steps do not translate: all of them, each with its reason. Without `strict` such a
        step runs on the CPU, and the run says so.
    """
    from headrace.pipelines.baseline_task import refuse_for_gpu as refuse_baselines

    refuse_baselines(resolved.pipeline.baselines, resolved.pipeline.task)
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
