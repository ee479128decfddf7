"""The peers do the job that is asked for; if they did not, there would be nothing to compare with."""

from __future__ import annotations

from math import log, sqrt
from pathlib import Path

import polars as pl
import pytest
from benchmarks.peers import polars_script


def _run(peer: str, source: Path, target: Path) -> pl.DataFrame:
    if peer == "pandas":
        pytest.importorskip("pandas")
        from benchmarks.peers import pandas_sklearn_script

        pandas_sklearn_script.main(str(source), str(target))
    else:
        polars_script.main(str(source), str(target))
    return pl.read_parquet(target / "*.parquet")


@pytest.mark.parametrize("peer", ["polars", pytest.param("pandas", marks=pytest.mark.slow)])
def test_the_features_are_those_of_the_job(peer: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    pl.DataFrame(
        {
            "label": [1, 0, 0, 1, 0, 1],
            "I1": [None, -3, 0, 7, 7, 1],  # logarithms: 0, 0, 0, 3 ln 2, 3 ln 2, ln 2
            "C1": ["b", "a", "b", "a", "only once", None],
            "C2": ["z", "a", "z", "z", "a", None],
        }
    ).write_parquet(tmp_path / "in" / "part-0.parquet")
    result = _run(peer, tmp_path / "in", tmp_path / "out")
    mean = 7 * log(2) / 6
    deviation = sqrt((3 * mean**2 + 2 * (3 * log(2) - mean) ** 2 + (log(2) - mean) ** 2) / 6)
    expected = [(value - mean) / deviation for value in (0, 0, 0, 3 * log(2), 3 * log(2), log(2))]
    assert result["label"].to_list() == [1, 0, 0, 1, 0, 1]
    assert result["I1"].to_list() == pytest.approx(expected, abs=1e-6)
    assert result["C1"].to_list() == [3, 2, 3, 2, 1, 0]  # a tie: a before b; once is not enough; null
    assert result["C2"].to_list() == [2, 3, 2, 2, 3, 0]  # the more frequent first
    assert result.dtypes == [pl.Int64, pl.Float32, pl.Int32, pl.Int32]
