"""The ctr job as it is commonly written with pandas and scikit-learn.

    python -m benchmarks.peers.pandas_sklearn_script IN OUT

The same features as `polars_script`, ids included. `OrdinalEncoder` sorts its categories by value and cannot give ids
by count, so categories are encoded by `value_counts` and a map. Everything is held in memory.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd  # type: ignore[import-untyped]  # its stubs are a package of their own
from sklearn.preprocessing import StandardScaler

FIRST_ID = 2
MIN_COUNT = 2


def encode(values: pd.Series) -> pd.Series:
    """Ids by (count descending, value ascending) from 2; 0 is null, 1 is a value seen less than twice."""
    counts = values.value_counts()
    vocabulary = counts[counts >= MIN_COUNT].sort_index().sort_values(ascending=False, kind="stable").index
    ids = pd.Series(np.arange(FIRST_ID, FIRST_ID + len(vocabulary)), index=vocabulary)
    return values.map(ids).fillna(values.notna().astype("float64")).astype("int32")


def main(source: str, target: str) -> None:
    """Read the Parquet files in the folder `source`, write the features to the folder `target`."""
    frame = pd.read_parquet(source)
    integers = [name for name in frame.columns if name.startswith("I")]
    categories = [name for name in frame.columns if name.startswith("C")]
    logs = np.log1p(frame[integers].fillna(0).clip(lower=0))
    frame[integers] = StandardScaler().fit_transform(logs).astype("float32")
    for name in categories:
        frame[name] = encode(frame[name])
    Path(target).mkdir(parents=True, exist_ok=True)
    frame.to_parquet(Path(target) / "part-00000.parquet")


if __name__ == "__main__":
    main(*sys.argv[1:])
