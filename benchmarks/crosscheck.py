"""Do two folders of ctr features hold the same rows? Order does not matter: headrace shuffles, scripts do not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

TOLERANCE = 1e-6


@dataclass(frozen=True)
class Agreement:
    """How far two sides agree.

    Attributes
    ----------
    rows
        Of each side: the reference, then the other.
    ids_equal
        Every row of one side has a row of the other with the same label and the same ids, after the offset.
    largest_difference
        Between standardized values of the rows so matched; NaN where the rows could not be matched.
    """

    rows: tuple[int, int]
    ids_equal: bool
    largest_difference: float

    @property
    def ok(self) -> bool:
        """Equal ids, and no standardized value further off than 1e-6."""
        return self.ids_equal and self.largest_difference <= TOLERANCE


def compare(reference: list[Path], other: list[Path], *, offset: int = 0) -> Agreement:
    """Match the rows of two sides by (label, ids), then compare their floats.

    Parameters
    ----------
    reference, other
        Parquet files of the two sides; the columns `label`, `I...` (floats) and `C...` (ids) are read.
    offset
        Subtracted from the ids of `other`: headrace keeps id 0 for padding, the scripts do not.

    Notes
    -----
    Needs both sides' floats and two hashes a row in memory: about 80 bytes a row and side.
    """
    left, right = _sorted(reference, 0), _sorted(other, offset)
    rows = (left.height, right.height)
    if rows[0] != rows[1] or not left["row"].equals(right["row"]):
        return Agreement(rows, False, float("nan"))
    floats = [name for name in left.columns if name.startswith("I")]
    differences = [np.abs(left[name].to_numpy() - right[name].to_numpy()).max(initial=0.0) for name in floats]
    return Agreement(rows, True, float(np.max(differences, initial=0.0)))


def _sorted(paths: list[Path], offset: int) -> pl.DataFrame:
    """One 64-bit hash of label and ids per row and the floats, ordered by both."""
    frame = pl.scan_parquet(paths)
    names = frame.collect_schema().names()
    floats = sorted((name for name in names if name.startswith("I")), key=lambda name: int(name[1:]))
    ids = sorted((name for name in names if name.startswith("C")), key=lambda name: int(name[1:]))
    shifted = [pl.col(name).cast(pl.Int64) - offset for name in ids]
    row = pl.struct(pl.col("label").cast(pl.Int64), *shifted).hash(0, 1, 2, 3).alias("row")
    return frame.select(row, *floats).sort("row", *floats).collect()
