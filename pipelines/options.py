"""How a pipeline is run."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from headrace.engines.detect import EngineChoice


class RunOptions(BaseModel):
    """How a pipeline is run; none of it changes the data that are published.

    Parameters
    ----------
    catalog
        The folder that holds the datasets.
    engine
        `cpu`, `gpu`, or `auto`: the GPU where there is one.
    cluster
        `inline`, `local[:N]` or the address of a Dask scheduler.
    partition_bytes
        Bytes in memory of the source rows that one task works on, about.
    idempotency_key
        A run with a key that has published before gives the version that is there.
    force
        Do not resume work that an earlier run left.
    producer
        More to say about who ran it; `flow_run` and `git_sha`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    catalog: str = "published"
    engine: EngineChoice = "auto"
    cluster: str = "inline"
    partition_bytes: int = Field(256 << 20, ge=1)
    idempotency_key: str = ""
    force: bool = False
    producer: dict[str, str] = Field(default_factory=dict)
