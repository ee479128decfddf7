"""Faults that other libraries for features have, each by a test of ours: here, or named where it stands.

`ELSEWHERE` is checked: a test that is renamed or gone fails here by the name of the fault.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

import polars as pl
import pytest
import xxhash
from tests.imitation.fixture import imitation
from tests.transforms.fitting import transformed

from headrace.engines.cpu import CpuEngine
from headrace.pipelines.measuring import BUCKET, with_bucket
from headrace.schemas.names import SPLIT
from headrace.testing.subject import applied, fit
from headrace.transforms.base import Operator
from headrace.transforms.categorify import Categorify
from headrace.transforms.hashing import HashBucket, HashCross
from headrace.transforms.missing import FillNull
from headrace.transforms.ranges import MinMax
from headrace.transforms.scale import Standardize

TESTS: Final = Path(__file__).parents[1]

ELSEWHERE: Final[dict[str, tuple[str, str]]] = {
    "NVTabular: out of memory in fit at default settings (#1683, #1761, #857)": (
        "pipelines/test_spilled.py",
        "test_out_of_memory_in_fit_at_default_settings",
    ),
    "NVTabular: 3 % of new rows moved 98 % of the ids; ids are not stable (#798, #597, #349)": (
        "transforms/test_continued.py",
        "test_three_percent_of_new_rows_move_no_id",
    ),
    "NVTabular: ids cannot be decoded (#853, #1858)": (
        "pipelines/test_build.py",
        "test_the_vocabulary_that_the_manifest_names_decodes_a_renamed_category",
    ),
    "NVTabular: a fit reads the input once per learner": (
        "pipelines/test_faults_of_others.py",
        "test_nvtabular_fit_reads_the_input_once_per_learner_ours_once",
    ),
    "Ray Data: a vocabulary is a Python dict on the driver": (
        "pipelines/test_faults_of_others.py",
        "test_ray_keeps_a_vocabulary_as_a_dict_on_the_driver_ours_does_not_pass_the_client",
    ),
    "NVTabular: target encoding folds by row position, so that a new partitioning moves rows between folds": (
        "transforms/test_target_partitions.py",
        "test_nvtabular_folds_by_row_position_ours_stay_with_the_row",
    ),
    "NVTabular: target encoding leaks": ("transforms/test_target_leak.py", "test_a_random_target_does_not_leak"),
    "NVTabular: group statistics are those of a partition (#1886, #1763)": (
        "transforms/test_groups_partitions.py",
        "test_nvtabular_groups_within_a_partition_ours_over_all_rows",
    ),
    "NVTabular: windows see a partition": (
        "pipelines/test_fit.py",
        "test_a_window_sees_whole_entities_over_all_files_and_null_is_in_none",
    ),
    "NVTabular: a column's type depends on the data or the engine (#1778, #1790)": (
        "testing/test_check.py",
        "test_an_operator_that_breaks_one_law",
    ),
    "NVTabular: a fit reads each column once per learner, in the plan's own account": (
        "pipelines/test_plan.py",
        "test_independent_learners_read_each_column_once",
    ),
    "NVTabular: a mean of 1.6e9 beside a deviation of 1 gives NaN": (
        "transforms/test_scale.py",
        "test_moments_of_large_numbers_close_together",
    ),
}


@pytest.mark.parametrize("fault", ELSEWHERE)
def test_the_fault_has_its_test(fault: str) -> None:
    path, name = ELSEWHERE[fault]
    names = [n.name for n in ast.parse((TESTS / path).read_text()).body if isinstance(n, ast.FunctionDef)]
    assert name in names, f"{fault}: no test {name} in tests/{path}"


def test_nvtabular_split_out_puts_every_non_null_key_in_split_0_ours_spread_over_all() -> None:
    keys = pl.DataFrame({"k": [None, *(f"key {n}" for n in range(16_000))]})
    held = with_bucket(keys.lazy(), ("k",), 16, CpuEngine()).collect().drop_nulls("k")
    counts = held.group_by(BUCKET).len().sort(BUCKET)
    assert counts[BUCKET].to_list() == list(range(16))
    # 1000 keys a bucket; five standard deviations of a fair throw (31) either way.
    assert counts["len"].is_between(845, 1155).all()


def test_nvtabular_normalize_min_max_of_an_all_zero_column_is_nan_ours_zero() -> None:
    assert transformed(MinMax(columns="x"), pl.DataFrame({"x": [0.0, 0.0, None]}))["x"].to_list() == [0.0, 0.0, None]


VECTORS: Final = {b"": 0xEF46DB3751D8E999, b"a": 0xD24EC4F1A98C6E5B, b"abc": 0x44BC2CF5AD770999}
"""XXH64 with seed 0, as published with the algorithm."""


@pytest.mark.slow
def test_nvtabular_hashes_differ_on_cpu_and_gpu_ours_are_xxh64_on_both() -> None:
    from headrace.engines.gpu.engine import GpuEngine

    assert {text: xxhash.xxh64_intdigest(text) for text in VECTORS} == VECTORS
    step, frame = HashBucket(columns="k", n=2**31 - 1), pl.DataFrame({"k": [text.decode() for text in VECTORS]})
    expected = [value % (2**31 - 1) for value in VECTORS.values()]
    assert step.apply(frame.lazy(), CpuEngine()).collect()["k"].to_list() == expected
    with imitation():
        engine = GpuEngine(strict=True)
        held = engine.hold(engine.step("hash", engine.hold(frame.lazy()).lazy(), step.apply))
        assert held.to_polars()["k"].to_list() == expected


def test_nvtabular_xor_crosses_are_not_ordered_and_equal_values_cancel_ours_are_and_do_not() -> None:
    frame = pl.DataFrame({"a": ["x", "y", "x", "y"], "b": ["y", "x", "x", "y"]})
    crossed = applied(HashCross(columns=["a", "b"], n=2**31 - 1, output="ab"), frame)["ab"].to_list()
    assert len(set(crossed)) == 4  # a x b is not b x a; x x x is neither 0 nor y x y
    assert 0 not in crossed


@pytest.mark.parametrize(
    "step",
    [Categorify(columns="k"), Standardize(columns="x"), FillNull(columns="x", statistic="mean"), MinMax(columns="x")],
    ids=lambda step: type(step).__name__,
)
def test_ray_raises_on_nulls_ours_have_an_answer(step: Operator) -> None:
    train = pl.DataFrame({"k": ["a", None, "b"], "x": [1.0, None, 3.0]})
    nulls = train.clear(2)
    for seen in (train, nulls):
        assert applied(fit(step.resolve(train.schema), [seen]), nulls).height == 2


def test_nvtabular_encodes_one_category_in_three_ways_on_validation_data_ours_in_one() -> None:
    train = pl.DataFrame({"k": ["a", "a", "b", None]})
    [step] = Categorify(columns="k", oov_buckets=2).resolve(train.schema).separate()
    form = fit(step, [train])
    seen: dict[str | None, set[int]] = {}
    for rows in (train, train[2:], pl.DataFrame({"k": ["b", "new", None, "a"]}), pl.DataFrame({"k": ["new"]})):
        for split in (0, 1, 2):
            got = applied(form, rows.with_columns(pl.lit(split, pl.Int8).alias(SPLIT)))
            for value, found in zip(rows["k"], got["k"], strict=True):
                seen.setdefault(value, set()).add(found)
    assert {value: len(ids) for value, ids in seen.items()} == {"a": 1, "b": 1, None: 1, "new": 1}
    assert (seen["a"], seen["b"], seen[None]) == ({4}, {5}, {1})
    assert seen["new"] <= {2, 3}


def test_ray_sorts_ids_so_that_a_new_value_shifts_them_ours_follow_the_count() -> None:
    before = pl.DataFrame({"k": ["b"] * 3 + ["c"] * 2})
    after = pl.DataFrame({"k": ["b"] * 3 + ["c"] * 2 + ["a"]})
    ids = transformed(Categorify(columns="k"), before)["k"].to_list()
    assert transformed(Categorify(columns="k"), after)["k"].to_list()[:5] == ids
