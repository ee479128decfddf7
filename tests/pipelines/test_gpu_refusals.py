"""What the GPU engine refuses before a row is read."""

from __future__ import annotations

from datetime import time

import polars as pl
import pytest
from tests.pipelines.conftest import Make, small
from tests.pipelines.own_operators import Double

from headrace.engines.engine import Engine
from headrace.pipelines.gpu_refusals import on_device, refuse_for_gpu
from headrace.pipelines.model import Pipeline
from headrace.pipelines.resolve import resolve
from headrace.schemas.errors import CapabilityError

NUMBERS = [pl.Int8(), pl.Int16(), pl.Int32(), pl.Int64(), pl.UInt8(), pl.UInt16(), pl.UInt32(), pl.UInt64()]
TIMES = [pl.Date(), pl.Datetime("ms"), pl.Datetime("ns", "Europe/Zurich"), pl.Duration("us"), pl.Time()]
OTHERS = [pl.Boolean(), pl.String(), pl.Binary(), pl.Float32(), pl.Float64(), pl.Decimal(38, 4), pl.Int128()]
CATEGORIES = [pl.Categorical(), pl.Enum(["a"])]
PLAIN: list[pl.DataType] = [*NUMBERS, *TIMES, *OTHERS, *CATEGORIES]
INNER = [*PLAIN, pl.List(pl.Int8()), pl.List(pl.Time()), pl.Array(pl.Int8(), 2), pl.Struct({"b": pl.Int8()})]
NESTED = [kind for inner in INNER for kind in (pl.List(inner), pl.Array(inner, 2), pl.Struct({"a": inner}))]


def refuse(pipeline: Pipeline, *, strict: bool = False) -> None:
    refuse_for_gpu(resolve(pipeline, {}), strict=strict)


@pytest.mark.parametrize("dtype", [*PLAIN, *NESTED], ids=str)
def test_the_types_that_are_refused_are_those_that_cudf_polars_lacks(dtype: pl.DataType) -> None:
    from cudf_polars.containers import DataType

    try:
        there: bool = DataType(dtype).plc_type is not None
    except NotImplementedError:
        there = False
    assert on_device(dtype) == there


def test_a_pipeline_of_other_types_is_not_refused(make: Make) -> None:
    refuse(make([{"Derive": {"m": "x * 2"}}]))


@pytest.mark.parametrize("strict", [False, True])
def test_columns_of_a_type_that_the_device_lacks_are_refused_by_name(make: Make, strict: bool) -> None:
    frame = small().with_columns(pl.lit(time(12)).alias("noon"), pl.lit(b"x").alias("raw"))
    with pytest.raises(CapabilityError) as caught:
        refuse(make(frame=frame), strict=strict)
    assert caught.value.message == (
        "the GPU engine has no such type for 2 column(s):\n"
        "  the contract: column 'noon' is Time\n"
        "  the contract: column 'raw' is Binary"
    )
    assert "--engine cpu" in caught.value.hint
    assert caught.value.exit_code == 3


class InBytes(Double):
    """An operator of a user's own, whose column the device lacks."""

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.with_columns(pl.col(self.column).cast(pl.Binary))


def test_so_is_a_step_that_makes_one(make: Make) -> None:
    with pytest.raises(CapabilityError, match=r"\n  step 1 InBytes\(c\): column 'c' is Binary$"):
        refuse(make([InBytes(column="c"), {"Drop": {"columns": ["c"]}}]))


def test_a_strict_run_is_told_all_steps_that_do_not_translate(make: Make) -> None:
    steps = [{"Filter": {"where": "c LIKE 'a%'"}}, {"Derive": {"m": "x * 2"}}]
    refuse(make(steps))
    with pytest.raises(CapabilityError, match=r"cannot run 1 step\(s\):\n  step 1 Filter\(c\): "):
        refuse(make(steps), strict=True)
