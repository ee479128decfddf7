"""What a pipeline is: one frozen value, the same from Python and from YAML."""

from __future__ import annotations

from glob import has_magic
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializeAsAny,
    ValidationInfo,
    field_validator,
)

from headrace.pipelines.splits import FractionSplit, HashSplit, TimeSplit
from headrace.schemas.contract import Contract
from headrace.schemas.errors import PipelineError
from headrace.transforms.base import Operator, to_plain
from headrace.transforms.columns import Columns
from headrace.transforms.elements import inside
from headrace.transforms.registry import operator_from_plain


class Part(BaseModel):
    """A frozen part of a pipeline that refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(Part):
    """Where the rows and the tables beside them come from.

    Parameters
    ----------
    path
        Parquet: a file, a folder or a glob; relative to `root`.
    root
        The folder that `path` and `tables` are relative to. Empty means the folder of the pipeline's own file, or a
        gallery pipeline's sample data. `--set source=FOLDER` sets it.
    tables
        Tables to join, each a name and a file, folder or glob. They are read whole.
    on_bad_file
        What happens to a file that cannot be read or has another schema: `fail` the run, or `quarantine` the file.
    statistics
        Measure every column of the rows that come in, as the first pass reads them, for drift of the source.
    """

    path: str
    root: str = ""
    tables: dict[str, str] = Field(default_factory=dict)
    on_bad_file: Literal["fail", "quarantine"] = "fail"
    statistics: bool = False

    @property
    def where(self) -> Path:
        """The file, folder or glob, from its root."""
        return (Path(self.root) / self.path).expanduser()

    @property
    def folder(self) -> Path:
        """What its files are named from, whichever there are: of a glob, what stands before its first wildcard."""
        if self.where.is_dir():
            return self.where
        if self.where.is_file():
            return self.where.parent
        return next(folder for folder in self.where.parents if not has_magic(str(folder)))


class Output(Part):
    """What is published, and how.

    Parameters
    ----------
    features
        The feature columns. The default takes every number and boolean but the target and what `keep` names.
    keep
        Columns published beside the features, for reading and joining, not for training on.
    order
        `shuffle` rows globally by `seed`, or leave them in `source` order.
    profile
        `fast` is uncompressed; `cold` is zstd.
    shard_bytes
        Size aimed at for one shard, in bytes of uncompressed columns.
    """

    features: Columns | None = None
    keep: tuple[str, ...] = ()
    order: Literal["shuffle", "source"] = "shuffle"
    seed: int = 0
    profile: Literal["fast", "cold"] = "fast"
    shard_bytes: int = Field(128 << 20, ge=1 << 16)


class Baseline(Part):
    """A model trained on the published splits, to know what the features are worth.

    Parameters
    ----------
    estimator
        `dummy`, `logistic_regression`, `ridge` or `random_forest`.
    features
        Train on these features only; empty means all.
    max_rows
        At most this many training rows, a seeded sample; the report says when it was used.
    name
        How the report calls it. The estimator's name, unless given.
    """

    estimator: Literal["dummy", "logistic_regression", "ridge", "random_forest"]
    features: tuple[str, ...] = ()
    parameters: dict[str, float | int | str | bool | None] = Field(default_factory=dict)
    max_rows: int = Field(1_000_000, ge=1)
    seed: int = 0
    name: str = ""

    @property
    def label(self) -> str:
        return self.name or self.estimator


def _step(value: Any, info: ValidationInfo) -> Operator:
    return operator_from_plain(value, allowed=info.context.modules if isinstance(info.context, Allowed) else ())


class Allowed(NamedTuple):
    """The context of reading a pipeline whose steps may be operators of these modules, by import path."""

    modules: tuple[str, ...]


Step = Annotated[
    SerializeAsAny[Operator],
    BeforeValidator(_step),
    PlainSerializer(to_plain, return_type=dict[str, Any]),
]

Split = Annotated[TimeSplit | HashSplit | FractionSplit, Field(discriminator="by")]


class Pipeline(Part):
    """From raw Parquet to a published dataset.

    Parameters
    ----------
    name
        Also the dataset's name: lower-case letters, digits, `-` and `_`.
    contract
        What the rows must be; in YAML the path of an ODCS file.
    steps
        Operators, in order.
    target
        The label column, raw or made by a step. No selector matches it.
    task
        `classification` (two classes) or `regression`.
    split
        Which rows are for training, and which for what else. Statistics are learned on the first split alone.
    max_bad_fraction
        The run fails if more than this share of the rows is quarantined.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    description: str = ""
    source: Source
    contract: Contract
    steps: tuple[Step, ...] = ()
    target: str
    task: Literal["classification", "regression"] = "classification"
    split: Split
    output: Output = Output()
    baselines: tuple[Baseline, ...] = ()
    max_bad_fraction: float = Field(0.01, ge=0, le=1)

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules of the operators that headrace does not ship."""
        found = {type(inside(step)).__module__ for step in self.steps}
        return tuple(sorted(m for m in found if not m.startswith("headrace.")))

    def settings(self) -> dict[str, Any]:
        """All but where the rows come from, as JSON has it: what is kept with each version."""
        return self.model_dump(mode="json", exclude={"source"})

    @field_validator("steps", mode="before")
    @classmethod
    def _numbered(cls, steps: Any, info: ValidationInfo) -> Any:
        """Make the operators here, where it is known which step does not fit."""
        if not isinstance(steps, list | tuple):
            return steps
        made = []
        for number, step in enumerate(steps, 1):
            try:
                made.append(_step(step, info))
            except PipelineError as problem:
                problem.where = f"step {number} {problem.where}".rstrip()
                raise
        return tuple(made)

    @field_validator("baselines")
    @classmethod
    def _labels_differ(cls, baselines: tuple[Baseline, ...]) -> tuple[Baseline, ...]:
        labels = [b.label for b in baselines]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(f"baselines need different names; twice: {', '.join(twice)}")
        return baselines
