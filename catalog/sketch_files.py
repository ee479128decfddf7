"""Statistics in a build: two Parquet files, `statistics/columns.parquet` and `statistics/values.parquet`.

`columns.parquet` has a row for every split and column, in their order:

| column | |
|---|---|
| `split`, `column` | names |
| `dtype` | as `parse_dtype` reads it |
| `family` | number, temporal, text or opaque |
| `rows`, `nulls`, `nans`, `infinities` | counts |
| `mean`, `m2` | of finite numbers, and the sum of their squared distances from it |
| `stride` | the sample holds every stride-th row |
| `counted` | whether `value` rows are there: at most 1,024 values, counted exactly |

`values.parquet` has the values of these columns, in the same order: `split`, `column`, `what`, the value in `integer`,
`unsigned`, `number` or `text` (dates and times as integers), `level` and `count`.

| `what` | |
|---|---|
| `min`, `max` | |
| `value` | a value and how often it comes |
| `hash` | in `unsigned`: one of the 1,024 smallest hashes, where there are more than 1,024 values |
| `sample` | a value in the sample, the level (2^level divides the numbers of its rows), and how many rows |

`statistics/source/` has the same two files, with the one split `source`, where the pipeline asks for statistics of the
rows that came in.

The version of this layout, 1, is in both files' metadata under `headrace.statistics`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl

from headrace.catalog.partials import ColumnPartial, merge
from headrace.catalog.reader import Dataset
from headrace.catalog.sketch import Sketch, Sketches, sketch
from headrace.catalog.statistics import measure, measured_dtype
from headrace.engines.cpu import CpuEngine, InMemory
from headrace.schemas.dtypes import dtype_name, parse_dtype
from headrace.schemas.errors import DataError, UsageError

FOLDER: Final = "statistics"
COLUMNS: Final = "columns.parquet"
VALUES: Final = "values.parquet"
FORMAT: Final = 1
SOURCE: Final = "source"
"""The name that statistics of the rows that came in have, where a split's stands; their files are in a folder of it."""

_KEY: Final = "headrace.statistics"
_TABLE: Final = {
    "split": pl.String(),
    "column": pl.String(),
    "dtype": pl.String(),
    "family": pl.String(),
    **dict.fromkeys(("rows", "nulls", "nans", "infinities"), pl.UInt64()),
    **dict.fromkeys(("mean", "m2"), pl.Float64()),
    "stride": pl.UInt64(),
    "counted": pl.Boolean(),
}
_ITEMS: Final = {
    "split": pl.String(),
    "column": pl.String(),
    "what": pl.String(),
    "integer": pl.Int64(),
    "unsigned": pl.UInt64(),
    "number": pl.Float64(),
    "text": pl.String(),
    "level": pl.UInt8(),
    "count": pl.UInt64(),
}


def save_sketches(folder: Path, splits: Mapping[str, Sketches]) -> tuple[Path, Path]:
    """Write the statistics of splits into a folder, which is made. The same statistics give the same bytes."""
    columns = [_row(split, found) for split, sketches in splits.items() for found in sketches.values()]
    items = [part for split, sketches in splits.items() for found in sketches.values() for part in _items(split, found)]
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / COLUMNS, folder / VALUES
    tables = pl.DataFrame(columns, schema=_TABLE), pl.concat([pl.DataFrame(schema=_ITEMS), *items])
    for path, frame in zip(paths, tables, strict=True):
        frame.write_parquet(path, compression="zstd", metadata={_KEY: str(FORMAT)})
    return paths


def load_sketches(folder: Path, split: str) -> dict[str, Sketch]:
    """The statistics of one split, as they were saved.

    Raises
    ------
    UsageError
        The files have no such split.
    DataError
        They are missing, damaged, or of a later layout.

    Notes
    -----
    Cost: `columns.parquet`, and of `values.parquet` the row groups that hold the split.
    """
    try:
        for name in (COLUMNS, VALUES):
            if (found := pl.read_parquet_metadata(folder / name).get(_KEY)) != str(FORMAT):
                raise DataError(
                    f"the layout of these statistics is {found}, this headrace reads {FORMAT}",
                    where=str(folder / name),
                    hint="install the headrace that published them, or a later one",
                )
        columns = pl.read_parquet(folder / COLUMNS, glob=False)
        if split not in (splits := columns["split"].unique(maintain_order=True).to_list()):
            raise UsageError(f"no statistics of a split {split!r}; there are {', '.join(splits)}")
        items = pl.scan_parquet(folder / VALUES, glob=False).filter(pl.col("split") == split).collect()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"holds no statistics: {str(error).splitlines()[0]}", where=str(folder)) from error
    by_column = items.partition_by("column", "what", as_dict=True, maintain_order=True)
    rows = columns.filter(pl.col("split") == split).iter_rows(named=True)
    return {row["column"]: _read(row, by_column) for row in rows}


def sketches_of(dataset: Dataset, split: str) -> dict[str, Sketch]:
    """The statistics of a published split: those in the build, or, of a version from before they were kept, measured.

    The split `source` stands for the rows that came in, unless there is a split of that name.

    Raises
    ------
    UsageError
        The version has no such split.
    DataError
        Its statistics or its shards are missing or damaged.

    Notes
    -----
    Cost of measuring: the split's shards are read, one at a time.
    """
    if split == SOURCE and split not in dataset.splits:
        if (folder := _folder(dataset, f"{FOLDER}/{SOURCE}")) is None:
            raise UsageError(
                f"{dataset.name}@{dataset.version} has no statistics of its source",
                hint="publish it with `statistics: true` under `source` in the pipeline",
            )
        return load_sketches(folder, SOURCE)
    if split in dataset.splits and (folder := _folder(dataset, FOLDER)) is not None:
        return load_sketches(folder, split)
    files = dataset.files(split)
    engine, first, parts = CpuEngine(), 0, []
    frames: Iterable[pl.DataFrame] = (pl.read_parquet(file, glob=False) for file in files)
    for frame in frames if files else (dataset.to_polars(split),):
        parts.append(measure(InMemory(frame), engine, first_row=first, total_rows=dataset.rows[split]))
        first += frame.height
    return sketch(merge(parts))


def _folder(dataset: Dataset, path: str) -> Path | None:
    if not any(file.path.startswith(f"{path}/") for file in dataset.manifest.files):
        return None
    folder = dataset.beside(path)
    return folder if folder.is_dir() else None


def _row(split: str, found: Sketch) -> dict[str, Any]:
    column = found.column
    return {
        "split": split,
        "column": column.name,
        "dtype": dtype_name(column.dtype),
        "family": column.family,
        "rows": column.rows,
        "nulls": column.nulls,
        "nans": column.nans,
        "infinities": column.infinities,
        "mean": column.mean,
        "m2": column.m2,
        "stride": found.stride,
        "counted": column.values is not None,
    }


def _items(split: str, found: Sketch) -> Iterator[pl.DataFrame]:
    column = found.column
    if column.family == "opaque":
        return
    dtype = measured_dtype(column.dtype)
    for what, value in (("min", column.min), ("max", column.max)):
        if value is not None:
            yield _item(split, column.name, what, pl.DataFrame({"value": [value]}, schema={"value": dtype}))
    if column.values is not None:
        yield _item(split, column.name, "value", column.values)
    if column.hashes is not None:
        yield _item(split, column.name, "hash", column.hashes.alias("value").to_frame())
    yield _item(split, column.name, "sample", found.sample)


def _item(split: str, column: str, what: str, values: pl.DataFrame) -> pl.DataFrame:
    held = _held(values.schema["value"])
    return values.select(
        pl.lit(split).alias("split"),
        pl.lit(column).alias("column"),
        pl.lit(what).alias("what"),
        *(
            (pl.col("value") if name == held else pl.lit(None)).cast(_ITEMS[name]).alias(name)
            for name in ("integer", "unsigned", "number", "text")
        ),
        *(
            (pl.col(name) if name in values.columns else pl.lit(None)).cast(_ITEMS[name]).alias(name)
            for name in ("level", "count")
        ),
    )


def _held(dtype: pl.DataType) -> str:
    """The column of `values.parquet` that values of a type are in."""
    if dtype == pl.String:
        return "text"
    if dtype.is_float():
        return "number"
    return "unsigned" if dtype.is_unsigned_integer() else "integer"


def _read(row: Mapping[str, Any], by_column: Mapping[tuple[Any, ...], pl.DataFrame]) -> Sketch:
    name, opaque = row["column"], row["family"] == "opaque"
    dtype = parse_dtype(row["dtype"])
    measured = pl.Null() if opaque else measured_dtype(dtype)
    none = pl.DataFrame(schema=_ITEMS)

    def values(what: str, *more: str) -> pl.DataFrame:
        value = pl.lit(None, pl.Null) if opaque else pl.col(_held(measured)).cast(measured)
        return by_column.get((name, what), none).select(value.alias("value"), *more)

    def one(what: str) -> Any:
        found = values(what)["value"]
        return found.item() if len(found) else None

    hashes = by_column.get((name, "hash"))
    column = ColumnPartial(
        name=name,
        dtype=dtype,
        family=row["family"],
        rows=row["rows"],
        nulls=row["nulls"],
        nans=row["nans"],
        infinities=row["infinities"],
        min=None if opaque else one("min"),
        max=None if opaque else one("max"),
        mean=row["mean"],
        m2=row["m2"],
        values=values("value", "count") if row["counted"] else None,
        hashes=None if hashes is None else hashes["unsigned"].alias("value"),
    )
    return Sketch(column, row["stride"], values("sample", "level", "count"))
