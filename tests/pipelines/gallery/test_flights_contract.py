"""The flights contract accepts every real row and names what is wrong with every damaged one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from headrace.engines.cpu import CpuEngine
from headrace.pipelines.checking import split
from headrace.pipelines.gallery.flights import sample
from headrace.schemas.contract import Contract
from headrace.schemas.odcs import load_contract
from headrace.schemas.rules import REASONS, compile_rules

REASONS_OF = {
    "negative distance": ("distance:range",),
    "scheduled departure 25:75": ("sched_dep_time:range", "schedule_agrees"),
    "month 13": ("month:range",),
    "unknown origin": ("origin:allowed",),
    "air time of 1,900 years": ("air_time:range",),
    "no time": ("time_hour:required",),
    "lower-case carrier": ("carrier:pattern",),
    "origin is destination": ("goes_elsewhere",),
    "landed without departure": ("landed_after_departure",),
}


@pytest.fixture(scope="module")
def contract() -> Contract:
    return load_contract(Path(sample.__file__).with_name("contract.odcs.yaml"))


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    written = sample.write_sample(tmp_path_factory.mktemp("flights") / "sample")
    files = [path for path in written.files if path.parent.name == "flights" and path != written.damaged_file]
    return pl.concat([pl.read_parquet(path) for path in files])


def test_columns_types_and_key_are_those_of_the_files(contract: Contract, rows: pl.DataFrame) -> None:
    assert contract.dtypes == dict(rows.schema)
    assert contract.primary_key == sample.KEY
    assert contract.with_role("target") == ("arr_delay",)
    assert contract.with_role("time") == ("time_hour",)
    assert contract.with_role("group") == ("tailnum",)


def test_every_kind_of_rule_is_used(contract: Contract) -> None:
    kinds = {rule.name.partition(":")[2] for rule in compile_rules(contract)}
    assert kinds == {"required", "range", "length", "pattern", "allowed", ""}
    assert len(contract.rules) == 5


def test_real_rows_pass_and_damaged_rows_fail_for_the_reason_meant(contract: Contract, rows: pl.DataFrame) -> None:
    good, bad = split(rows.lazy(), compile_rules(contract), CpuEngine())
    assert good.height == 336_776 + 4  # those delivered twice: no rule of a single row can see them
    assert bad["flight"].min() == 9001
    assert Counter(tuple(reasons) for reasons in bad[REASONS].to_list()) == dict.fromkeys(REASONS_OF.values(), 4)
    assert {*REASONS_OF, "delivered twice"} == set(sample.DAMAGE_KINDS)


def test_rows_delivered_twice_share_the_primary_key(contract: Contract, rows: pl.DataFrame) -> None:
    good, _ = split(rows.lazy(), compile_rules(contract), CpuEngine())
    assert good.height - good.to_polars().n_unique(contract.primary_key) == 4


@pytest.mark.parametrize(("month", "day", "good"), [(2, 28, 1), (2, 29, 0), (4, 30, 1), (4, 31, 0), (12, 31, 1)])
def test_days_that_do_not_exist_are_found(
    contract: Contract, rows: pl.DataFrame, month: int, day: int, good: int
) -> None:
    row = rows[:1].with_columns(month=pl.lit(month, pl.Int64), day=pl.lit(day, pl.Int64))
    passed, bad = split(row.lazy(), compile_rules(contract), CpuEngine())
    assert passed.height == good
    assert bad[REASONS].to_list() == [["day_exists"]] * (1 - good)
