"""One version of a dataset: what is in it, and its rows for Polars, Arrow, cuDF, PyTorch and NumPy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Literal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from headrace.catalog import device as devices
from headrace.catalog.access import Access
from headrace.catalog.cache import Cache, cache_folder, cache_limit
from headrace.catalog.frames import polars_frame
from headrace.catalog.loader import loaders
from headrace.catalog.log import CommitRecord
from headrace.catalog.manifest import Manifest, Role, Split
from headrace.catalog.place import Place
from headrace.catalog.records import File, FileRef
from headrace.schemas.errors import DataError, UsageError

Checking = Literal["cache", "always"]


@dataclass(frozen=True, repr=False)
class Dataset:
    """One version of a dataset, opened: its manifest is read and checked, its rows are not."""

    name: str
    version: int
    place: Place
    """`<catalog>/<dataset>`"""
    record: CommitRecord
    manifest: Manifest
    cache: Cache | None = field(default_factory=lambda: Cache(cache_folder(), cache_limit()), compare=False)
    """Where files of an object store are kept; None: nowhere."""
    verify: Checking = "cache"

    @property
    def uri(self) -> str:
        """Where the build lies: its folder, or its prefix in an object store."""
        return str(self.place / "builds" / self.record.build)

    @property
    def folder(self) -> Path:
        """`<catalog>/<dataset>` on disk. Raises CapabilityError in an object store, which `place` names as well."""
        return self.place.on_disk("open its files by local(), files(), arrow() or to_polars(), which fetch them")

    @property
    def path(self) -> Path:
        """The build's folder; what `datasets.load_dataset` takes. Raises CapabilityError in an object store."""
        return self.folder / "builds" / self.record.build

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, the one that statistics were learned on first."""
        return tuple(self.manifest.splits)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns in file order."""
        return tuple(field.name for field in self.manifest.arrow_schema)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of what a model is given: never labels, weights, keys, times or groups, which lie beside them."""
        return self._of_roles("feature")

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of what a model is to say; none if the pipeline has no target."""
        return self._of_roles("label")

    @property
    def trained_on(self) -> tuple[str, ...]:
        """Labels, weights and features in the order of `columns`: what `torch` and the loaders give if not told."""
        return self._of_roles("label", "weight", "feature")

    def _of_roles(self, *roles: Role) -> tuple[str, ...]:
        roles_of = {column.name: column.role for column in self.manifest.columns}
        return tuple(name for name in self.columns if roles_of.get(name, "feature") in roles)

    @property
    def rows(self) -> dict[str, int]:
        """Rows of each split."""
        return {name: split.rows for name, split in self.manifest.splits.items()}

    @property
    def state_path(self) -> Path | None:
        """The fitted pipeline that made the features, None if the dataset was published without one.

        All files of its folder lie beside it, fetched from an object store when this is asked for.
        """
        if (pipeline := self.manifest.pipeline) is None:
            return None
        folder, _, name = pipeline.path.rpartition("/")
        return self.beside(folder) / name

    @cached_property
    def _arrow_schema(self) -> pa.Schema:
        """Of the first shard: Arrow keeps details in it that the manifest's spelling of a type does not."""
        for files in (split.files for split in self.manifest.splits.values()):
            for file in files:
                with self.opened(file) as source, self.access.reading(self.build_of(file), file):
                    return pq.read_schema(source).remove_metadata()
        raise DataError("has no shards, so there is nothing to read", where=f"{self.name}@{self.version}")

    def files(self, split: str | None = None) -> list[Path]:
        """Paths of the shards of a split, or of all splits in order. Raises UsageError for an unknown split."""
        return self.access.locals(self._shards(split))

    def _shards(self, split: str | None) -> list[tuple[str, File]]:
        """Each with its build."""
        chosen = self.splits if split is None else (split,)
        return [(self.build_of(file), file) for name in chosen for file in self.split(name).files]

    def split(self, name: str) -> Split:
        """What the manifest says of a split. Raises UsageError for one that there is not."""
        if name not in self.splits:
            raise UsageError(f"{self.name}@{self.version} has no split {name!r}{near(str(name), self.splits)}")
        return self.manifest.splits[name]

    def local(self, file: FileRef) -> Path:
        """Where a file of this version lies on this machine; of an object store it is fetched into the cache.

        Raises
        ------
        DataError
            It leads out of its build, is missing, or has other bytes than were published: it is named. On disk that is
            seen only with `verify="always"`.
        CapabilityError, RunError
            The store refuses; the cache cannot be written, or its disk is full.
        """
        return self.access.local(self.build_of(file), file)

    def opened(self, file: FileRef) -> BinaryIO:
        """A file of this version for reading a part of it, such as its footer: of an object store no more is read."""
        return self.access.open(self.build_of(file), file)

    def beside(self, folder: str) -> Path:
        """A folder of the build on this machine, such as `state`, with the files that the manifest lists in it."""
        some = [file for file in self.manifest.files if not folder or file.path.startswith(f"{folder}/")]
        return self.access.folder(self.record.build, folder, some)

    def build_of(self, file: FileRef) -> str:
        """The build that a file lies in: this version's, or of a shard of an append an older one."""
        return (file.build if isinstance(file, File) else None) or self.record.build

    @cached_property
    def access(self) -> Access:
        """How its files are reached."""
        return Access(self.place, self.version, self.cache, always=self.verify == "always")

    def scan(self, split: str | None = None) -> pl.LazyFrame:
        """The rows of a split as a lazy frame, or those of all splits in order. Rows keep the published order."""
        if paths := self.files(split):
            return pl.scan_parquet(paths, glob=False)
        return self._empty().lazy()

    def to_polars(self, split: str | None = None, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """The rows of a split, or of all splits in order, in memory; `columns` in the order given.

        Raises
        ------
        UsageError
            An unknown split or column.
        DataError
            A shard that is missing or damaged: it is named.
        """
        if self.access.direct:
            frame = pl.from_arrow(self.arrow(split, columns))
            assert isinstance(frame, pl.DataFrame)
            return frame
        known = self.known(self.columns if columns is None else columns)
        if not (shards := self._shards(split)):
            return self._empty().select(known)
        return polars_frame(self.access, shards, self.manifest.arrow_schema, known)

    def arrow(self, split: str | None = None, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of a split, or of all splits in order, as an Arrow table; REQUIRED columns are not nullable.

        Raises as `to_polars`.
        """
        known = self.known(self.columns if columns is None else columns)
        tables = self.access.tables(self._shards(split), self.manifest.arrow_schema, known)
        if not tables:
            return self._arrow_schema.empty_table().select(known)
        return pa.concat_tables([table.select(known) for table in tables])  # a file gives its columns in its own order

    def cudf(self, split: str, columns: Sequence[str] | None = None) -> Any:
        """The rows of a split as a `cudf.DataFrame` on this process's current device.

        Parameters
        ----------
        split
            Its rows keep the published order.
        columns
            In this order; all of them if not given. Times come in UTC, without their zone.

        Raises
        ------
        UsageError
            An unknown split or column.
        CapabilityError
            There is no GPU that can be used, or RAPIDS is not installed; more rows than a column of cuDF holds.
        GpuMemoryError
            The columns do not fit into the device's memory: as far as that is known, before anything is read.

        Notes
        -----
        Decoded on the device by RMM's current resource. Memory: the columns, and while they are decoded their part of
        the files once more.
        """
        return devices.frame(self._wanted(split, columns))

    def torch(self, split: str, columns: Sequence[str] | None = None, device: str = "cuda:0") -> dict[str, Any]:
        """The rows of a split as `torch.Tensor`s, one for each column, that share memory with what was decoded.

        Parameters
        ----------
        split
            Its rows keep the published order.
        columns
            In this order. If not given, all but keys, times and groups, which are kept beside features. Numbers and
            booleans become tensors of their own type and `rows` elements; lists of one fixed size a tensor of two
            dimensions; other lists a `Ragged(values, offsets)`.
        device
            `cuda:N`, the GPU to decode on, counted among those that are visible; or `cpu`.

        Raises
        ------
        UsageError
            An unknown split, column or device; a column that has nulls, or is text, a time or anything else that no
            tensor holds, all named with what to do.
        DataError
            Null elements in lists.
        CapabilityError
            torch is not installed, or without CUDA; there is no GPU that can be used, or RAPIDS is not installed; more
            rows than a column of cuDF holds.
        GpuMemoryError
            The columns do not fit into the device's memory: as far as that is known, before anything is read.

        Notes
        -----
        On a GPU, values go from file to tensor without a copy on the host or the device, through DLPack; they belong to
        RMM's current resource, and are given back on CUDA's default stream: a job that works on other streams waits for
        them before it lets a tensor go. Memory: the columns, and while they are decoded their part of the files once
        more. On the CPU, Arrow's memory is shared where a split is one chunk; booleans, and columns of several chunks,
        are copied once, a column at a time.
        """
        names = self.known(self.trained_on if columns is None else columns)
        return devices.tensors(self._wanted(split, names, device != "cpu"), device, lambda: self.arrow(split, names))

    torch_loader = loaders.torch_loader
    numpy_loader = loaders.numpy_loader

    def _wanted(self, split: str, columns: Sequence[str] | None, as_files: bool = True) -> devices.Wanted:
        files = tuple(self.files(split)) if as_files else ()
        names = list(self.columns) if columns is None else self.known(columns)
        schema = pa.schema([self._arrow_schema.field(name) for name in names])
        entry = self.split(split)
        least = devices.least_bytes(schema, entry.rows)
        if len(names) == len(self.columns):
            least = max(least, sum(file.bytes for file in entry.files))
        return devices.Wanted(f"{self.name}@{self.version} {split}", schema, files, entry.rows, least)

    def _empty(self) -> pl.DataFrame:
        frame = pl.from_arrow(self._arrow_schema.empty_table())
        assert isinstance(frame, pl.DataFrame)
        return frame

    def known(self, columns: Sequence[str], option: str = "columns") -> list[str]:
        """The columns. Raises UsageError for one that there is not, and for what is no list; `option` for messages."""
        if isinstance(columns, str | bytes | Set) or not isinstance(columns, Iterable):  # a set has no order
            raise UsageError(f"{option} is {columns!r}; expected a list of names", hint=f"{option}=[{columns!r}]")
        names = list(columns)
        for name in names:
            if name not in self.columns:
                raise UsageError(f"{self.name}@{self.version} has no column {name!r}{near(str(name), self.columns)}")
        return names

    def __repr__(self) -> str:
        splits = ", ".join(f"{name} {rows:,}" for name, rows in self.rows.items())
        return (
            f"Dataset({self.name}@{self.version}: {splits} rows; {len(self.columns)} columns; "
            f"{self.manifest.bytes:,} bytes; {self.manifest.created_at}; {self.uri})"
        )


def near(name: str, known: Sequence[str]) -> str:
    """`` (did you mean 'x'?)``, or what there is, or nothing."""
    if close := difflib.get_close_matches(name, known, n=3, cutoff=0.5):
        return f"; did you mean {' or '.join(repr(match) for match in close)}?"
    if not known:
        return "; there are none"
    return f"; there are {', '.join(known[:10])}{' ...' if len(known) > 10 else ''}"
