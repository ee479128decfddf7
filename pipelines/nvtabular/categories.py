"""Vocabularies that NVTabular's Categorify wrote: `unique.<name>.parquet`, and beside it `meta.<name>.parquet`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import polars as pl

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


class OtherIds(ValueError):
    """Ids that headrace cannot give: padding, null or unknown values have other ones."""


def names_in(folder: Path) -> list[str]:
    """The vocabularies of a folder."""
    return sorted(path.name[len(PREFIX) : -len(SUFFIX)] for path in folder.glob(f"{PREFIX}*{SUFFIX}"))


def read_categories(path: Path, *, combo: bool = False) -> Categories:
    """Read one vocabulary.

    Raises
    ------
    OtherIds
        Ids of the time before 23.06, when 0 stood for null and unknown values, or of another layout.
    DataError
        A file that is missing or damaged.
    """
    name = path.name[len(PREFIX) : -len(SUFFIX)]
    buckets = _buckets(path.with_name(f"meta.{name}{SUFFIX}"), name)
    table = _read(path)
    sizes = [c for c in table.columns if c.endswith(("_size", "_count"))]
    keys = [c for c in table.columns if c not in sizes and not c.startswith("__") and c != "index"]
    if not combo:
        keys = [name] if name in keys else keys[:1]
    if not keys:
        raise DataError(f"has no column of values, only {', '.join(table.columns)}", where=str(path))
    if nulls := sum(table[k].null_count() for k in keys):
        raise OtherIds(f"{nulls} null among the values: ids begin elsewhere")
    own = f"{name}_size" if f"{name}_size" in sizes else sizes[0] if sizes else None
    count = pl.col(own).cast(pl.Int64) if own else pl.lit(None, pl.Int64)
    if not combo:
        return Categories(name, (keys[0],), buckets, table.select(pl.col(keys[0]).alias("value"), count.alias("count")))
    parts = [f"value:{i}" for i in range(len(keys))]
    renamed = table.select(*(pl.col(k).alias(p) for k, p in zip(keys, parts, strict=True)), count.alias("count"))
    value = renamed.select(combined(tuple(parts), renamed.schema).alias("value"), pl.all())
    return Categories(name, tuple(keys), buckets, value)


def _buckets(path: Path, name: str) -> int:
    """How many ids there are for unknown values, if all ids lie where headrace has them."""
    if not path.exists():
        raise OtherIds(f"no {path.name} beside it: NVTabular before 23.06 gave null and unknown values the id 0")
    meta = _read(path)
    if not {"kind", "offset", "num_indices"} <= set(meta.columns):
        raise DataError(f"has columns {', '.join(meta.columns)}, expected kind, offset, num_indices", where=str(path))
    rows = {kind: (offset, count) for kind, offset, count in meta.select("kind", "offset", "num_indices").iter_rows()}
    found = {kind: rows.get(kind, (None, None))[0] for kind in ("pad", "null", "oov", "unique")}
    buckets = int(rows.get("oov", (OOV_ID, 1))[1])
    wanted = {"pad": PAD_ID, "null": NULL_ID, "oov": OOV_ID, "unique": OOV_ID + buckets}
    if found != wanted:
        raise OtherIds(f"the ids of {name!r} begin at {found}, those of headrace at {wanted}")
    return buckets


def _read(path: Path) -> pl.DataFrame:
    files = sorted(path.glob("*.parquet"), key=_part) if path.is_dir() else [path]
    try:
        return pl.concat([pl.read_parquet(file) for file in files], how="vertical_relaxed")
    except (OSError, ValueError, pl.exceptions.PolarsError) as problem:
        raise DataError(f"cannot be read: {str(problem).splitlines()[0]}", where=str(path)) from None


def _part(path: Path) -> tuple[int, str]:
    number = re.search(r"\d+", path.name)
    return (int(number.group()) if number else 0, path.name)
