"""How a pipeline is run."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from headrace.engines.detect import EngineChoice
from headrace.engines.gpu.options import GpuOptions


class RunOptions(BaseModel):
    """How a pipeline is run; but for `append`, none of it changes the data that are published.

    Parameters
    ----------
    catalog
        The folder that holds the datasets, or the URI of a prefix in an object store.
    engine
        `cpu`, `gpu`, or `auto`: the GPU where there is one.
    cluster
        `inline`, `local[:N]`, `cuda[:N]` or the address of a Dask scheduler; `auto` is `inline` for the CPU engine and
        `cuda` for the GPU engine.
    strict_gpu
        The GPU engine refuses a step that it cannot run, instead of handing it to the CPU.
    gpu
        How the GPU workers that are started here are set up.
    partition_bytes
        Bytes in memory of the source rows that one task works on, about. None: what suits the engine.
    idempotency_key
        A run with a key that has published before gives the version that is there.
    force
        Do not resume work that an earlier run left.
    append
        Read only the files that are new, and publish their rows behind those of the latest version.
    producer
        More to say about who ran it; `flow_run` and `git_sha`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    catalog: str = "published"
    engine: EngineChoice = "auto"
    cluster: str = "auto"
    strict_gpu: bool = False
    gpu: GpuOptions = GpuOptions()
    partition_bytes: int | None = Field(None, ge=1)
    idempotency_key: str = ""
    force: bool = False
    append: bool = False
    producer: dict[str, str] = Field(default_factory=dict)
