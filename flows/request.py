"""What is asked of a flow run: the one parameter of the flow, and which runs are the same run."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator

from headrace.catalog.place import Place
from headrace.engines.gpu.options import GpuOptions
from headrace.pipelines.load import gallery_names
from headrace.pipelines.options import RunOptions

_DEFAULTS: Final = RunOptions()


class BuildRequest(BaseModel):
    """The parameters of a flow run.

    Its JSON schema is the form in Prefect's pages, and Prefect refuses by it what does not fit, before a run exists.

    Parameters
    ----------
    pipeline
        A gallery name, a YAML file, `module:object` or `file.py:object`.
    overrides
        Values to set in the pipeline, by dotted path: `source` is the folder of the raw files.
    catalog
        The folder, or the URI of the prefix in an object store, that holds the datasets.
    engine, cluster, strict_gpu, gpu, partition_bytes, force
        As `RunOptions`: how it is run; none of it changes the data.
    append
        As `RunOptions`.
    interval
        The moment that this run stands for; runs of one pipeline for one interval publish once. A scheduled run has
        that of its schedule, a run by hand none, unless it is given here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pipeline: str = Field(min_length=1, description="A gallery name, a YAML file, module:object or file.py:object.")
    overrides: dict[str, str] = Field(
        default_factory=dict, description="Fields of the pipeline to set, by dotted path."
    )
    catalog: str = Field(
        _DEFAULTS.catalog,
        min_length=1,
        description="The catalog: a folder, or s3://, gs:// or az:// with a bucket and a prefix, without credentials.",
    )
    engine: Literal["auto", "cpu", "gpu"] = Field("auto", description="Where queries run.")
    cluster: str = Field(
        _DEFAULTS.cluster,
        pattern=r"^(auto|inline|(local|cuda)(:[1-9][0-9]*)?|tcp://\S+)$",
        description="Where tasks run: auto, inline, local[:N], cuda[:N] or the address of a Dask scheduler.",
    )
    strict_gpu: bool = Field(False, description="Refuse a step that the GPU engine cannot run.")
    gpu: GpuOptions = Field(_DEFAULTS.gpu, description="How GPU workers are set up.")
    partition_bytes: int | None = Field(
        None, ge=1 << 16, description="Uncompressed bytes that one task works on; empty: what suits the engine."
    )
    force: bool = Field(False, description="Do not resume work that an earlier run left.")
    append: bool = Field(
        False, description="Read only new files, and publish their rows behind those of the latest version."
    )
    interval: AwareDatetime | None = Field(
        None, description="The moment this run stands for; runs for the same moment publish once."
    )

    @field_validator("catalog")
    @classmethod
    def _without_secrets(cls, catalog: str) -> str:
        Place.of(catalog)  # raises an error of ours, which does not repeat what it was given
        return catalog

    @property
    def label(self) -> str:
        """The pipeline in a few letters, known without loading it."""
        reference = self.pipeline
        if reference.endswith((".yaml", ".yml")):
            return Path(reference).stem
        return Path(reference.partition(":")[0]).stem if ".py:" in reference else reference

    def options(self, idempotency_key: str, flow_run: str) -> RunOptions:
        """How the pipeline is run for this request."""
        return RunOptions(
            catalog=self.catalog,
            engine=self.engine,
            cluster=self.cluster,
            strict_gpu=self.strict_gpu,
            gpu=self.gpu,
            partition_bytes=self.partition_bytes,
            force=self.force,
            append=self.append,
            idempotency_key=idempotency_key,
            producer={"flow_run": flow_run},
        )

    def anchored(self) -> BuildRequest:
        """The same request with absolute paths: a served run does not start in this folder."""
        reference, overrides = self.pipeline, dict(self.overrides)
        path, colon, name = reference.partition(":")
        if reference not in gallery_names() and path.endswith((".yaml", ".yml", ".py")):
            reference = f"{Path(path).absolute()}{colon}{name}"
        for key in ("source", "source.root"):
            if key in overrides:
                overrides[key] = _absolute(overrides[key])
        changes = {"pipeline": reference, "overrides": overrides, "catalog": _absolute(self.catalog)}
        return self.model_copy(update=changes)


def idempotency_key(request: BuildRequest, pipeline: str, interval: datetime | None, flow_run: str) -> str:
    """The key under which a run publishes, once.

    Parameters
    ----------
    pipeline
        The pipeline's name.
    interval
        The moment the run stands for, with a time zone. All runs for it with the same reference and overrides share
        a key, wherever and however they run.
    flow_run
        The id of the flow run: the key of one that stands for no interval, so that its own retries publish once.
    """
    if interval is None:
        return f"{pipeline}/flow-run/{flow_run}"
    asked = json.dumps([request.pipeline, sorted(request.overrides.items())])
    digest = hashlib.sha256(asked.encode()).hexdigest()[:16]
    return f"{pipeline}/{moment(interval)}/{digest}"


def moment(time: datetime) -> str:
    """A time in UTC, as text: to the second, or finer if it is."""
    text = time.astimezone(UTC).isoformat(timespec="auto")
    return text.removesuffix("+00:00") + "Z"


def _absolute(path: str) -> str:
    return path if "://" in path else str(Path(path).expanduser().absolute())
