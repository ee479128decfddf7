"""The manifest: everything a reader must know about a published version, as frozen values that are JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, FiniteFloat, model_validator

from headrace.catalog.arrow_schema import ArrowField
from headrace.catalog.records import Count, File, FileRef, Json, Record, RelativePath, Sha256, relative_path

FORMAT: Final = 1
"""The layout this code writes, and the newest it reads."""

READER_FEATURES: Final[frozenset[str]] = frozenset()
"""Features a manifest may demand of its reader and this code has. An unknown one is refused, never ignored."""

MANIFEST: Final = "manifest.json"
"""Its name in a build: the last file to be written there."""


def _folder_name(name: str) -> str:
    if "/" in relative_path(name):
        raise ValueError(f"{name!r} cannot be the name of a split: it is that of a folder, too")
    return name


SplitName = Annotated[str, AfterValidator(_folder_name)]

Role = Literal["feature", "label", "key", "time", "group", "weight"]
Kind = Literal["numeric", "categorical", "boolean", "mask", "temporal", "text", "embedding", "list", "other"]
Scalar = int | FiniteFloat | str


class Histogram(Record):
    """`counts[i]` finite values lie in [edges[i], edges[i + 1]); the last bin includes its upper edge.

    Edges of dates and times are their integers (days, or the column's unit, since 1970).
    """

    edges: tuple[FiniteFloat, ...]
    counts: tuple[Count, ...]


class TopValue(Record):
    value: Scalar | None
    count: Count


class Statistics(Record):
    """A column in a split. Everything but the first four counts is over finite values that are not null.

    `mean` to `top` are None or empty where they make no sense for the column's type.
    """

    count: Count = Field(description="rows, nulls included")
    nulls: Count = 0
    nans: Count = 0
    infinities: Count = 0
    min: Scalar | None = None
    max: Scalar | None = None
    mean: FiniteFloat | None = None
    std: FiniteFloat | None = Field(default=None, description="population standard deviation")
    distinct: Count | None = None
    distinct_error: FiniteFloat = Field(default=0.0, description="relative standard error; 0 = exact")
    quantiles: dict[str, Scalar] = Field(default={}, description='keyed "0.01" ... "0.99"')
    quantile_error: FiniteFloat = Field(
        default=0.0, description="error in rank, as a share of the values, that 99 % of samples keep to; 0 = exact"
    )
    sample: Count | None = Field(
        default=None, description="rows that quantiles, histogram and top were taken from; None = all"
    )
    histogram: Histogram | None = None
    top: tuple[TopValue, ...] = ()


class Extends(Record):
    """The vocabulary that another continues: that of a version, or, without `dataset`, a table of the user's own."""

    dataset: str | None = None
    version: int | None = None
    build: str | None = None
    sha256: Sha256

    @property
    def named(self) -> str:
        """`dataset@version`, or the beginning of the table's SHA-256."""
        return f"{self.dataset}@{self.version}" if self.dataset else f"a table, {self.sha256[:12]}"


class Vocabulary(Record):
    path: RelativePath
    sha256: Sha256
    extends: Extends | None = Field(default=None, description="the one whose ids it keeps")


class Column(Record):
    """What a model needs to know of a column: what it is for, its ids, its values by split."""

    name: str
    role: Role
    kind: Kind
    dtype: str = Field(description="the Polars data type, as Polars spells it")
    shape: tuple[Count, ...] = ()
    nullable: bool = False
    pad_id: int | None = None
    null_id: int | None = None
    oov_ids: tuple[int, ...] = ()
    cardinality: int | None = Field(default=None, description="ids are below it in every split")
    vocabulary: Vocabulary | None = None
    source: str | None = Field(default=None, description="the step or source column it comes from")
    statistics: dict[str, Statistics] = Field(default={})


class Split(Record):
    rule: str = Field(description="which rows are in it, in words")
    rows: Count
    files: tuple[File, ...] = ()

    @model_validator(mode="after")
    def _rows_add_up(self) -> Split:
        if self.rows != sum(file.rows for file in self.files):
            raise ValueError(f"a split of {self.rows} rows has files with {sum(file.rows for file in self.files)}")
        return self


class Producer(Record):
    headrace: str
    python: str
    polars: str
    pyarrow: str | None = None
    git_sha: str | None = None
    flow_run: str | None = None
    run: str | None = None
    engine: str = "cpu"
    cluster: str = "inline"
    fallbacks: tuple[str, ...] = ()
    """Steps that ran on the CPU though the GPU engine was asked for, each with its reason."""


class PipelineRef(Record):
    name: str
    path: RelativePath = "state/pipeline.json"
    sha256: Sha256


class Input(Record):
    """A file that rows were read from, by its path in the source's folder."""

    path: str
    bytes: Count
    rows: Count
    fingerprint: str
    """Of its footer, its size and samples of its pages, see `headrace.schemas.fingerprint`."""


class BadFile(Record):
    path: str
    problem: str


class Quality(Record):
    """Where rows went: rows_in = rows_published + filtered + quarantined, unless a step makes rows."""

    rows_in: Count
    rows_published: Count
    filtered: Count = 0
    quarantined: Count = 0
    reasons: dict[str, Count] = Field(default={})
    bad_files: tuple[BadFile, ...] = ()


class RowOrder(Record):
    kind: Literal["shuffle", "time", "source"]
    seed: int | None = None


class BaselineResult(Record):
    """A reference model: what a dataset is worth before anyone tunes anything."""

    name: str
    estimator: str
    task: Literal["classification", "regression"]
    target: str
    metrics: dict[str, dict[str, FiniteFloat | None]] = Field(description="by split, then by metric")
    rows_trained: Count = 0
    rows_available: Count = 0
    features: Count = 0
    left_out: tuple[str, ...] = Field(default=(), description="features that this model was not given")
    seconds: FiniteFloat | None = Field(default=None, description="of fitting")
    predict_seconds: FiniteFloat | None = Field(default=None, description="of predicting the scored rows of all splits")
    parameters: Json = Field(default={})
    model: RelativePath | None = Field(default=None, description="the saved model, if it could be saved without pickle")
    curves: RelativePath | None = Field(default=None, description="ROC, precision-recall and calibration by split")
    note: str = ""


class Manifest(Record):
    """`manifest.json` of a build. Its sha256 is in the commit record, the hashes of all other files are in it."""

    format: int = Field(default=FORMAT, ge=1)
    reader_features: tuple[str, ...] = ()
    dataset: str
    build: str
    created_at: str = Field(description="ISO 8601, UTC")
    producer: Producer
    pipeline: PipelineRef | None = None
    inputs: tuple[Input, ...] = ()
    arrow_schema: tuple[ArrowField, ...]
    schema_fingerprint: Sha256
    columns: tuple[Column, ...] = ()
    splits: dict[SplitName, Split]
    quality: Quality | None = None
    row_order: RowOrder = RowOrder(kind="source")
    baselines: tuple[BaselineResult, ...] = ()
    files: tuple[FileRef, ...] = Field(default=(), description="every other file of the build but manifest.json")

    @model_validator(mode="after")
    def _one_entry_a_path(self) -> Manifest:
        paths = Counter(self.place(file) for file in self.all_files())
        if twice := sorted(path for path, times in paths.items() if times > 1):
            raise ValueError(f"listed twice: {', '.join(twice)}")
        return self

    def own_files(self) -> Iterator[FileRef]:
        """Those of `all_files` that lie in this build: all but the shards of older builds that an append lists."""
        return (file for file in self.all_files() if not isinstance(file, File) or file.build in (None, self.build))

    def place(self, file: FileRef) -> str:
        """A file's path as seen from this build: ``train/part-00000.parquet``, or ``../<older build>/train/...``."""
        build = file.build if isinstance(file, File) else None
        return file.path if build in (None, self.build) else f"../{build}/{file.path}"

    def all_files(self) -> Iterator[FileRef]:
        """Shards in split order, then the other files."""
        for split in self.splits.values():
            yield from split.files
        yield from self.files

    @property
    def rows(self) -> int:
        return sum(split.rows for split in self.splits.values())

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.all_files())


def dump(manifest: Manifest) -> bytes:
    """The bytes of `manifest.json`: UTF-8, two spaces, fields in the order of the model, a newline at the end."""
    text = json.dumps(manifest.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()


def json_schema() -> Json:
    """The JSON schema that is shipped as `catalog/manifest.schema.json`."""
    schema = Manifest.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


SCHEMA_FILE: Final = Path(__file__).with_name("manifest.schema.json")

if __name__ == "__main__":  # python -m headrace.catalog.manifest: writes the shipped schema anew
    SCHEMA_FILE.write_text(json.dumps(json_schema(), indent=2) + "\n")
