"""The GPU's generator, with NumPy in CuPy's place: the distribution of the host generator, within stated bounds."""

from __future__ import annotations

import inspect
from math import erf, log, sqrt
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from benchmarks import gpu_ctr
from tests.benchmarks.elsewhere import Elsewhere, Module

from headrace.pipelines.gallery.ctr import generator as ctr

ROWS = 100_000


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    folder = tmp_path_factory.mktemp("gpu-ctr")
    gpu_ctr.write_ctr(folder, ROWS, seed=1, host=True)
    return pl.read_parquet(folder / "*.parquet")


def test_the_files_have_the_schema_of_the_host_generator(tmp_path: Path) -> None:
    [path] = gpu_ctr.write_ctr(tmp_path, 100, host=True, compression="zstd")
    assert pq.read_schema(path).equals(ctr.schema())
    assert pq.read_metadata(path).row_group(0).column(0).compression == "ZSTD"


def test_three_percent_are_null_within_five_deviations_but_no_label(frame: pl.DataFrame) -> None:
    shares = {name: count / ROWS for name, count in frame.null_count().row(0, named=True).items()}
    assert shares.pop("label") == 0
    assert len(shares) == 39
    bound = 5 * sqrt(0.03 * 0.97 / ROWS)
    assert all(abs(share - 0.03) < bound for share in shares.values()), shares


@pytest.mark.parametrize("position", range(13))
def test_integers_are_rounded_down_lognormal_numbers(frame: pl.DataFrame, position: int) -> None:
    values = frame[ctr.INTEGERS[position]].drop_nulls().to_numpy() + (2 if position == 1 else 0)
    distinct, counts = np.unique(values, return_counts=True)
    location, scale = position % 5, 1 + position % 3
    law = np.array([(1 + erf((log(value + 1) - location) / scale / sqrt(2))) / 2 for value in distinct])
    distance = np.abs(np.cumsum(counts) / len(values) - law).max()
    assert values.min() == 0
    assert distance < 2.2 / sqrt(len(values))  # Kolmogorov: passed over once in 8,000 times


def test_categories_are_the_host_generators_values_with_its_frequencies(frame: pl.DataFrame) -> None:
    for position, (name, cardinality) in enumerate(zip(ctr.CATEGORIES, ctr.CARDINALITIES, strict=True)):
        values = frame[name].drop_nulls()
        assert values.str.contains("^[0-9a-f]{8}$").all(), name
        assert values.n_unique() <= cardinality, name
        ranks = np.arange(min(cardinality, 3), dtype=np.uint32)
        words = ctr.mix(ranks + np.uint32(1 + 0x9E3779B9 * position % 2**32))
        edges = (1 + np.arange(len(ranks) + 1)) ** -0.1
        law = (edges[:-1] - edges[1:]) / (1 - (cardinality + 1.0) ** -0.1)
        for word, share in zip(words, law, strict=True):
            found = (values == f"{word:08x}").mean()
            assert abs(found - share) < 5 * sqrt(share * (1 - share) / len(values)), (name, word)


def test_as_many_values_are_distinct_as_from_the_host_generator(frame: pl.DataFrame) -> None:
    host = pl.from_arrow(next(ctr.row_groups(0, ROWS, 0)))
    assert isinstance(host, pl.DataFrame)
    for name in ctr.CATEGORIES:
        ours, theirs = frame[name].n_unique(), host[name].n_unique()
        assert abs(ours - theirs) <= 10 + 0.02 * theirs, name


def test_labels_depend_on_the_features_as_they_do_there(frame: pl.DataFrame) -> None:
    host = pl.from_arrow(next(ctr.row_groups(0, ROWS, 0)))
    assert isinstance(host, pl.DataFrame)
    for column in ("C1", "C4", "I1"):
        both = [
            table.group_by(column).agg(pl.len(), pl.col("label").mean()).filter(pl.col("len") > 3000)
            for table in (frame, host)
        ]
        joined = both[0].join(both[1], on=column, nulls_equal=True)
        assert joined.height >= 3
        bound = 5 * (0.25 * (1 / joined["len"] + 1 / joined["len_right"])).sqrt()
        assert ((joined["label"] - joined["label_right"]).abs() < bound).all(), column


def test_columns_are_independent_of_each_other(frame: pl.DataFrame) -> None:
    # Ranks of the values' order, so that the integers' long tails do not hide a correlation.
    ranks = frame.select(pl.col(*ctr.INTEGERS, *ctr.CATEGORIES).fill_null(strategy="zero").rank("random", seed=0))
    off = np.abs(np.corrcoef(ranks.to_numpy().T) - np.eye(39))
    assert off.max() < 5 / sqrt(ROWS)


def test_fewer_rows_are_the_beginning_of_more_and_files_are_cut_as_asked(tmp_path: Path) -> None:
    few = pa.concat_tables(map(pq.read_table, gpu_ctr.write_ctr(tmp_path / "few", 2500, host=True, file_rows=1000)))
    paths = gpu_ctr.write_ctr(tmp_path / "many", 4001, host=True, file_rows=2000)
    many = pa.concat_tables(map(pq.read_table, paths))
    assert [path.name for path in paths] == ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]
    assert many.num_rows == 4001
    assert few.equals(many.slice(0, 2500))


def test_hex_digits_are_those_of_the_host_generator() -> None:
    words = np.array([0x01ABCDEF, 5, 0xFFFFFFFF], dtype=np.uint32)
    digits, offsets = gpu_ctr.hex_digits(np, words, np.array([False, True, False]))
    assert digits.tobytes() == b"01abcdefffffffff"
    assert offsets.tolist() == [0, 8, 8, 16]
    assert offsets.dtype == np.int32


def test_arrays_that_are_not_numpys_give_the_same_rows_through_calls_that_cupy_has() -> None:
    there = Module()
    columns = gpu_ctr.batch(there, 5, 300, seed=4)
    for name, (values, null) in gpu_ctr.batch(np, 5, 300, seed=4).items():
        assert isinstance(columns[name].values, Elsewhere)
        assert columns[name].values.values.tolist() == values.tolist(), name
        if name in ctr.CATEGORIES:
            digits, offsets = gpu_ctr.hex_digits(there, columns[name].values, columns[name].null)
            expected, bounds = gpu_ctr.hex_digits(np, values, null)
            assert digits.values.tolist() == expected.tolist()
            assert offsets.values.tolist() == bounds.tolist()
    cupy = pytest.importorskip("cupy")
    for name, arguments, keywords in there.calls:
        function = getattr(cupy, name)
        if not isinstance(function, cupy.ufunc):
            inspect.signature(function).bind(*arguments, **keywords)
