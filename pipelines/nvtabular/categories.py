"""Vocabularies that NVTabular's Categorify wrote: `unique.<name>.parquet`, and beside it `meta.<name>.parquet`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from headrace.schemas.errors import DataError
from headrace.transforms.categorified import NULL_ID, OOV_ID, PAD_ID
from headrace.transforms.keys import combined

PREFIX = "unique."
SUFFIX = ".parquet"


@dataclass(frozen=True)
class Categories:
    """A vocabulary with the columns that headrace's have, in the order of its ids.

    `columns` are those of a combination, else one name.
    """

    name: str
    columns: tuple[str, ...]
    oov_buckets: int
    table: pl.DataFrame

    @property
    def combo(self) -> bool:
        return len(self.columns) > 1


class OtherIds(ValueError):
    """Ids that headrace cannot give: padding, null or unknown values have other ones."""


def names_in(folder: Path) -> list[str]:
    """The vocabularies of a folder."""
    return sorted(path.name[len(PREFIX) : -len(SUFFIX)] for path in folder.glob(f"{PREFIX}*{SUFFIX}"))


def read_categories(path: Path, name: str = "") -> Categories:
    """Read one vocabulary: a file, or a folder of `part.<i>.parquet`.

    A value's id is `2 + k` and its row, with k ids for unknown values, which `meta.<name>.parquet` says.

    Parameters
    ----------
    name
        That of the column, of the columns encoded jointly, or of the combination. Default: that of the file.

    Raises
    ------
    OtherIds
        Ids of the time before 23.06, when 0 stood for null and unknown values, or of another layout.
    DataError
        A file that is missing or damaged.
    """
    name = name or path.name.removeprefix(PREFIX).removesuffix(SUFFIX)
    if not path.exists():
        raise DataError("there is no such file", where=str(path))
    buckets = _buckets(path.with_name(f"meta.{name}{SUFFIX}"), name)
    table = read_table(path)
    size = next((c for c in reversed(table.columns) if _is_size(c, name)), None)
    keys = [name] if name in table.columns else [c for c in table.columns if c != size and not c.startswith("__index")]
    if not keys:
        raise DataError(f"has no column of values, only {', '.join(table.columns)}", where=str(path))
    _check_start(path, OOV_ID + buckets, name)
    # Of no rows at all NVTabular writes one null; its id is never given.
    table = table.filter(~pl.all_horizontal(pl.col(keys).is_null())) if table.height == 1 else table
    if nulls := table.select(pl.any_horizontal(pl.col(keys).is_null()).sum()).item():
        what = "combinations have a null in them, and headrace gives those id 1" if len(keys) > 1 else "values are null"
        raise OtherIds(f"{nulls} {what}")
    if twice := table.height - table.select(keys).n_unique():
        raise DataError(f"has {twice} value(s) twice", where=str(path))
    count = pl.col(size).cast(pl.Int64).alias("count") if size else pl.lit(None, pl.Int64).alias("count")
    if len(keys) == 1:
        return Categories(name, (keys[0],), buckets, table.select(pl.col(keys[0]).alias("value"), count))
    parts = tuple(f"value:{i}" for i in range(len(keys)))
    renamed = table.select(*(pl.col(k).alias(p) for k, p in zip(keys, parts, strict=True)), count)
    return Categories(name, tuple(keys), buckets, with_text(renamed))


def with_text(table: pl.DataFrame) -> pl.DataFrame:
    """A vocabulary of combinations with the text that stands for each of them."""
    parts = tuple(c for c in table.columns if c.startswith("value:"))
    return table.select(combined(parts, table.schema).alias("value"), *parts, "count")


def read_table(path: Path) -> pl.DataFrame:
    """A Parquet file, or a folder of parts in the order of their numbers; raises DataError."""
    try:
        parts = [pl.read_parquet(file, glob=False) for file in _files(path)]
        table = pl.concat(parts, how="vertical_relaxed")
    except (OSError, ValueError, pl.exceptions.PolarsError) as problem:
        raise DataError(f"cannot be read: {str(problem).splitlines()[0]}", where=str(path)) from None
    return table.cast({c: pl.String for c, dtype in table.schema.items() if dtype in (pl.Categorical, pl.Enum)})


def _is_size(column: str, name: str) -> bool:
    return column != name and column.startswith(name) and column.endswith("size")


def _buckets(path: Path, name: str) -> int:
    """How many ids there are for unknown values, if all ids lie where headrace has them."""
    if not path.exists():
        raise OtherIds(f"no {path.name} beside it: NVTabular before 23.06 gave null and unknown values the id 0")
    meta = read_table(path)
    if not {"kind", "offset", "num_indices"} <= set(meta.columns):
        raise DataError(f"has columns {', '.join(meta.columns)}, expected kind, offset, num_indices", where=str(path))
    rows = {kind: (offset, count) for kind, offset, count in meta.select("kind", "offset", "num_indices").iter_rows()}
    found = {kind: rows.get(kind, (None, None))[0] for kind in ("pad", "null", "oov", "unique")}
    buckets = rows.get("oov", (OOV_ID, None))[1]
    if not isinstance(buckets, int) or buckets < 1:
        raise DataError(f"has {buckets} ids for unknown values, expected a whole number from 1 on", where=str(path))
    wanted = {"pad": PAD_ID, "null": NULL_ID, "oov": OOV_ID, "unique": OOV_ID + buckets}
    if found != wanted:
        raise OtherIds(f"the ids of {name!r} begin at {found}, those of headrace at {wanted}")
    return buckets


def _check_start(path: Path, first: int, name: str) -> None:
    """Raise OtherIds where the first row says itself that it has another id than the first one.

    It is the start of the index that pandas keeps in a file. It is 0 where cuDF wrote it.
    """
    try:
        found = pq.read_schema(_files(path)[0]).pandas_metadata or {}
        index = found.get("index_columns", [])
    except (OSError, ValueError, pa.ArrowException, json.JSONDecodeError) as problem:
        raise DataError(f"cannot be read: {problem}", where=str(path)) from None
    start = index[0].get("start", 0) if index and isinstance(index[0], dict) else 0
    if start not in (0, first):
        raise OtherIds(
            f"the first value of {name!r} has the id {start}, with headrace {first}: single_table, or given vocabs"
        )


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(path.glob("*.parquet"), key=_part)
    if not files:
        raise DataError("is a folder without Parquet files", where=str(path))
    return files


def _part(path: Path) -> tuple[int, str]:
    number = re.search(r"\d+", path.name)
    return (int(number.group()) if number else 0, path.name)
