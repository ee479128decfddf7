"""Digests of ctr features: do two folders hold the same rows, at sizes that cannot be matched row by row?

    python -m benchmarks.gpu.digest FOLDER OUT.json [--offset N] [--device]

Read file by file, in NumPy on the host or in CuPy on the device, with the same result but for the floats' last bits.
Rows may be in any order. A row's label and ids go into one 64-bit hash; equal sums of the hashes, and of the hashes
mixed once more, mean equal multisets of rows, but for a chance of about 2**-64. Floats are added up by the hash's first
twelve bits: 4096 sums a column, each over other rows, so that a value that went to a wrong row shows, and so does an
error that all rows share; one float in a million rows that is wrong by a thousandth does not, which is what the
comparison row by row at smaller sizes is for.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict

from benchmarks.gpu import facts
from benchmarks.gpu.uniforms import GOLDEN, mix64

BUCKETS: Final = 4096
TOLERANCE: Final = 1e-6
_MASK: Final = 2**64 - 1


class Digest(BaseModel):
    """What is kept of a folder's rows.

    Parameters
    ----------
    hashes, mixed
        Sums modulo 2**64.
    buckets
        Rows by bucket.
    floats
        By column: 4096 sums, the smallest value, the largest value.
    """

    model_config = ConfigDict(frozen=True)

    rows: int
    hashes: int
    mixed: int
    buckets: tuple[int, ...]
    floats: dict[str, tuple[tuple[float, ...], float, float]]


def digest(xp: Any, columns: Mapping[str, Any], offset: int = 0) -> Digest:
    """The digest of some rows: `columns` has arrays of module `xp`, by the names `label`, `I...` and `C...`."""
    ids = sorted((name for name in columns if name.startswith("C")), key=lambda name: int(name[1:]))
    row = mix64(columns["label"].astype(np.int64).astype(np.uint64) + np.uint64(GOLDEN))
    for name in ids:
        value = columns[name].astype(np.int64) - np.int64(offset)
        row = mix64((row ^ value.astype(np.uint64)) + np.uint64(GOLDEN))
    bucket = (row >> np.uint64(52)).astype(np.int64)
    floats = {}
    for name in columns:
        if name.startswith("I"):
            values = columns[name].astype(np.float64)
            sums = _host(xp, xp.bincount(bucket, weights=values, minlength=BUCKETS))
            floats[name] = (tuple(sums.tolist()), float(values.min()), float(values.max()))
    return Digest(
        rows=len(row),
        hashes=int(xp.sum(row, dtype=np.uint64)),
        mixed=int(xp.sum(mix64(row ^ np.uint64(GOLDEN)), dtype=np.uint64)),
        buckets=tuple(_host(xp, xp.bincount(bucket, minlength=BUCKETS)).tolist()),
        floats=floats,
    )


def add(left: Digest, right: Digest) -> Digest:
    """The digest of the rows of both."""
    floats = {
        name: (
            tuple(a + b for a, b in zip(sums, right.floats[name][0], strict=True)),
            min(low, right.floats[name][1]),
            max(high, right.floats[name][2]),
        )
        for name, (sums, low, high) in left.floats.items()
    }
    return Digest(
        rows=left.rows + right.rows,
        hashes=(left.hashes + right.hashes) & _MASK,
        mixed=(left.mixed + right.mixed) & _MASK,
        buckets=tuple(a + b for a, b in zip(left.buckets, right.buckets, strict=True)),
        floats=floats,
    )


def verdict(reference: Digest, other: Digest) -> str:
    """`equal`, or what differs. Floats may differ by 1e-6, or by a millionth of values above 1, in a bucket's mean."""
    if reference.rows != other.rows:
        return f"{other.rows:,} rows instead of {reference.rows:,}"
    if (reference.hashes, reference.mixed, reference.buckets) != (other.hashes, other.mixed, other.buckets):
        return "ids differ"
    rows = np.maximum(np.array(reference.buckets), 1)
    worst = 0.0
    for name, (sums, low, high) in reference.floats.items():
        if name not in other.floats:
            return f"column {name} is missing"
        theirs, their_low, their_high = other.floats[name]
        means = np.abs(np.array(sums) - np.array(theirs)) / rows
        ends = [abs(low - their_low) / max(1, abs(low)), abs(high - their_high) / max(1, abs(high))]
        found = float(max(means.max(), *ends))
        if not found <= TOLERANCE:  # NaN is no agreement
            return f"floats of {name} differ by {found:.1e}"
        worst = max(worst, found)
    return "equal"


def folder_digest(paths: list[Path], read: Callable[[Path], tuple[Any, Mapping[str, Any]]], offset: int) -> Digest:
    """The digest of all files; memory: that of one."""
    parts: Iterator[Digest] = (digest(*read(path), offset) for path in paths)
    total = next(parts)
    for part in parts:
        total = add(total, part)
    return total


def on_host(path: Path) -> tuple[Any, Mapping[str, Any]]:
    """A file's columns as NumPy arrays; nulls are NaN."""
    import polars as pl

    frame = pl.read_parquet(path)
    return np, {name: frame[name].to_numpy() for name in frame.columns}


def on_device(path: Path) -> tuple[Any, Mapping[str, Any]]:
    """A file's columns as CuPy arrays; a null is an error."""
    import cudf
    import cupy

    frame = cudf.read_parquet([str(path)])
    return cupy, {name: frame[name].values for name in frame.columns}


def _host(xp: Any, values: Any) -> Any:
    return values if xp is np else xp.asnumpy(values)


def main(arguments: list[str] | None = None) -> None:
    """Entry point of `python -m benchmarks.gpu.digest`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.digest", description="Digest a folder of features.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--offset", type=int, default=0, help="what the ids have more than the reference's")
    parser.add_argument("--device", action="store_true", help="read and compute on the GPU")
    options = parser.parse_args(arguments)
    paths = sorted(options.folder.rglob("*.parquet"))
    if not paths:
        parser.error(f"no Parquet file in {options.folder}")
    with facts.on_device() if options.device else nullcontext():
        found = folder_digest(paths, on_device if options.device else on_host, options.offset)
    options.out.write_text(found.model_dump_json(), encoding="utf-8")


if __name__ == "__main__":
    main()
