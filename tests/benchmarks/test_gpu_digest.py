"""Digests find what differs, whatever the order of the rows."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from benchmarks.gpu.digest import BUCKETS, Digest, add, digest, folder_digest, main, on_host, verdict
from tests.benchmarks.elsewhere import Elsewhere, Module


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    random = np.random.default_rng(5)
    return pl.DataFrame(
        {
            "label": random.integers(0, 2, 20_000),
            "I1": random.normal(size=20_000).astype(np.float32),
            "I2": random.normal(size=20_000).astype(np.float32),
            "C1": random.integers(0, 9, 20_000).astype(np.int32),
            "C2": random.integers(0, 5000, 20_000).astype(np.int32),
            "C10": random.integers(0, 5000, 20_000).astype(np.int32),
        }
    )


def _digest(frame: pl.DataFrame, offset: int = 0) -> Digest:
    return digest(np, {name: frame[name].to_numpy() for name in frame.columns}, offset)


def test_order_of_rows_and_columns_and_the_id_offset_do_not_matter(frame: pl.DataFrame) -> None:
    other = frame.with_columns(pl.col("^C.*$") + 1, pl.col("label").cast(pl.Int8)).sample(
        fraction=1, shuffle=True, seed=1
    )
    assert verdict(_digest(frame), _digest(other.select(sorted(frame.columns)), 1)) == "equal"
    assert verdict(_digest(frame), _digest(other)) == "ids differ"


@pytest.mark.parametrize("column", ["label", "C1", "C10"])
def test_one_wrong_id_or_label_is_found(frame: pl.DataFrame, column: str) -> None:
    other = frame.with_columns(pl.when(pl.int_range(pl.len()) == 77).then(99).otherwise(pl.col(column)).alias(column))
    assert verdict(_digest(frame), _digest(other)) == "ids differ"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda f: f.with_columns(pl.col("C1").reverse()), id="a column in another order"),
        pytest.param(lambda f: f.rename({"C2": "C10", "C10": "C2"}), id="two columns exchanged"),
        pytest.param(lambda f: pl.concat([f[:-1], f[:1]]), id="a row twice, another not at all"),
    ],
)
def test_ids_that_went_to_wrong_rows_are_found(
    frame: pl.DataFrame, change: Callable[[pl.DataFrame], pl.DataFrame]
) -> None:
    assert verdict(_digest(frame), _digest(change(frame))) == "ids differ"


def test_missing_rows_and_columns_are_found(frame: pl.DataFrame) -> None:
    assert verdict(_digest(frame), _digest(frame[1:])) == "19,999 rows instead of 20,000"
    assert verdict(_digest(frame), _digest(frame.drop("I2"))) == "column I2 is missing"


def test_floats_may_differ_by_rounding_and_by_no_more(frame: pl.DataFrame) -> None:
    exact = frame.with_columns(pl.col("I1", "I2").cast(pl.Float64))
    assert verdict(_digest(exact), _digest(exact.with_columns(pl.col("I2") + 2e-7))) == "equal"
    assert verdict(_digest(exact), _digest(exact.with_columns(pl.col("I2") + 2e-6))) == "floats of I2 differ by 2.0e-06"
    assert verdict(_digest(exact), _digest(exact.with_columns(pl.col("I2") * 1.001))).startswith("floats of I2")
    assert verdict(_digest(exact), _digest(exact.with_columns(pl.col("I1").reverse()))).startswith("floats of I1")
    with_nan = exact.with_columns(pl.when(pl.int_range(pl.len()) != 3).then("I1").otherwise(float("nan")).alias("I1"))
    assert verdict(_digest(exact), _digest(with_nan)) == "floats of I1 differ by nan"


def test_digests_of_parts_add_up_to_that_of_the_whole(frame: pl.DataFrame) -> None:
    whole, parts = _digest(frame), add(_digest(frame[:6000]), _digest(frame[6000:]))
    assert (parts.rows, parts.hashes, parts.mixed, parts.buckets) == (
        whole.rows,
        whole.hashes,
        whole.mixed,
        whole.buckets,
    )
    assert verdict(whole, parts) == "equal"
    assert sum(whole.buckets) == 20_000
    assert len(whole.buckets) == BUCKETS


def test_the_command_reads_a_folder_and_folders_in_it(frame: pl.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "in" / "train").mkdir(parents=True)
    frame[:500].write_parquet(tmp_path / "in" / "a.parquet")
    frame[500:].write_parquet(tmp_path / "in" / "train" / "b.parquet")
    main([str(tmp_path / "in"), str(tmp_path / "out.json"), "--offset", "0"])
    read = Digest.model_validate_json((tmp_path / "out.json").read_text())
    assert verdict(_digest(frame), read) == "equal"
    assert read == folder_digest(sorted((tmp_path / "in").rglob("*.parquet")), on_host, 0)


def test_an_empty_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path), str(tmp_path / "out.json")])
    assert "no Parquet file in" in capsys.readouterr().err


def test_arrays_that_are_not_numpys_give_the_same_digest_through_calls_that_cupy_has(frame: pl.DataFrame) -> None:
    there = Module()
    found = digest(there, {name: Elsewhere(frame[name].to_numpy()) for name in frame.columns}, 1)
    assert found == _digest(frame, 1)
    cupy = pytest.importorskip("cupy")
    for name, arguments, keywords in there.calls:
        inspect.signature(getattr(cupy, name)).bind(*arguments, **keywords)
    assert callable(cupy.asnumpy)
