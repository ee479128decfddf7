"""What a run reads of its files: in a pass each needed column once, however many steps learn from it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.io.plugins import register_io_source
from tests.pipelines.conftest import Make, contract_of, published, small

MANY = [
    {"FillNull": {"columns": ["c"], "statistic": "mode", "mask": True}},
    {"Standardize": {"columns": ["x"], "output": "x_z"}},
    {"MinMax": {"columns": ["x"], "output": "x_m"}},
    {"RobustScale": {"columns": ["x"], "output": "x_r"}},
    {"QuantileBucketize": {"columns": ["x"], "n": 4, "output": "x_q"}},
    {"GroupStats": {"by": ["id"], "of": ["x"], "statistics": ["mean"]}},
    {"FrequencyEncode": {"columns": ["id"]}},
]


@pytest.mark.usefixtures("no_report")
def test_each_pass_reads_each_column_that_it_needs_once_for_all_learners(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[tuple[str, tuple[str, ...]]] = []
    lock, scan = threading.Lock(), pl.scan_parquet

    def counted(source: Any, *args: Any, **options: Any) -> pl.LazyFrame:
        """The file as a source that notes each time it is read, and which columns are."""
        if not Path(str(source)).name.startswith("part-"):
            return scan(source, *args, **options)
        rows = scan(source, *args, **options)
        schema = rows.collect_schema()

        def read(
            columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _: int | None
        ) -> Iterator[pl.DataFrame]:
            with lock:
                reads.append((Path(str(source)).name, tuple(sorted(columns or schema.names()))))
            chosen = rows.select(columns) if columns is not None else rows
            chosen = chosen.filter(predicate) if predicate is not None else chosen
            yield (chosen.head(n_rows) if n_rows is not None else chosen).collect()

        return register_io_source(read, schema=schema)

    monkeypatch.setattr(pl, "scan_parquet", counted)
    published(make(MANY, contract=contract_of(small(), key=""), output={"features": ["x_z"]}), tmp_path / "catalog")
    files = Counter(name for name, _ in reads)
    assert files == {"part-0.parquet": 2, "part-1.parquet": 2}  # one pass measures, one applies
    columns = [columns for _, columns in reads]
    assert columns[:2] == [("at", "c", "id", "x", "y")] * 2  # the contract is checked on all of them in the same pass
    assert columns[2:] == [("id", "x", "y")] * 2  # of the results only `x_z` is published, with the label
