"""Where a run computes: its engine and its cluster, which are chosen together."""

from __future__ import annotations

from typing import Final, NamedTuple

from headrace.engines.cluster import worker_count
from headrace.engines.detect import Chosen, EngineChoice, choose
from headrace.engines.engine import EngineName
from headrace.engines.executor import chosen_cluster, refuse_unknown
from headrace.engines.gpu.options import GpuOptions
from headrace.schemas.errors import UsageError

_MEANT: Final[dict[str, EngineName]] = {"local": "cpu", "cuda": "gpu"}


class Placement(NamedTuple):
    """The engine and why it is that one, and the cluster, which is no longer `auto`."""

    chosen: Chosen
    cluster: str


def place(engine: EngineChoice, cluster: str, gpu: GpuOptions, *, strict: bool = False) -> Placement:
    """Choose the engine and the cluster of a run.

    An engine that is left to us is the one that the cluster is for, if it is for one: `cuda` for the GPU engine,
    `local` for the CPU engine. A cluster that is left to us is `cuda` for the GPU engine, `inline` for the CPU engine.

    Parameters
    ----------
    strict
        Nothing may run on the CPU: the GPU engine is asked for.

    Raises
    ------
    UsageError
        `cluster` names no cluster, or not one for this engine; `strict` or options for GPU workers with the CPU engine.
    CapabilityError
        The GPU engine is asked for, by its name or by `cuda`, and cannot run here.
    """
    refuse_unknown(cluster)
    kind = cluster.partition(":")[0]
    asked: EngineName | None = _MEANT.get(kind) if engine == "auto" else engine
    if asked == "cpu" and (strict or gpu != GpuOptions()):
        option = "--strict-gpu" if strict else "--gpu"
        raise UsageError(
            f"{option} is for the GPU engine, and the engine is cpu", hint=f"leave {option} out, or use --engine gpu"
        )
    if strict:
        asked = "gpu"
    if asked:
        chosen_cluster(cluster, asked, gpu)  # a wrong call is told before this machine is looked at
    if engine == "auto" and asked == "cpu":
        chosen = Chosen("cpu", f"--cluster {cluster} is for it")
    else:
        count = worker_count(cluster) if kind == "cuda" else {"inline": 1}.get(kind)
        chosen = choose(asked or "auto", gpu.pool, count=count, elsewhere=kind == "tcp")
    return Placement(chosen, chosen_cluster(cluster, chosen.engine, gpu))
