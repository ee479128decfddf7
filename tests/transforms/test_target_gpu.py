"""Encodings of training rows on the GPU engine over the imitation; test_gpu_engine.py has rows without a split."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from tests.engines.parity import assert_same_rows
from tests.imitation.fixture import imitation
from tests.transforms.examples import EXAMPLES, FRAMES
from tests.transforms.test_conformance import resolved

from headrace.engines.cpu import CpuEngine
from headrace.engines.translation import TranslationEngine, available, untranslatable
from headrace.schemas.names import SPLIT
from headrace.transforms.base import Learner

SPLITS = FRAMES["many rows"].with_columns((pl.int_range(24) % 3).cast(pl.UInt8).alias(SPLIT))


def fitted(fields: dict[str, Any]) -> Any:
    step, engine = resolved({"TargetEncode": fields}), CpuEngine()
    assert isinstance(step, Learner)
    return step.learn(engine.collect([step.measure(SPLITS.lazy(), engine)])[0])


@pytest.mark.slow
@pytest.mark.skipif(not available(), reason="the cudf-polars that headrace knows is not installed")
@pytest.mark.parametrize("fields", EXAMPLES["TargetEncode"])
def test_it_translates_for_the_gpu(fields: dict[str, Any]) -> None:
    engine = TranslationEngine()
    assert untranslatable(fitted(fields).apply(SPLITS.lazy(), engine)) == []
    assert set(engine.kernels) <= {"hash64"}


@pytest.mark.slow
@pytest.mark.parametrize("fields", EXAMPLES["TargetEncode"])
def test_the_gpu_engine_gives_the_same(fields: dict[str, Any]) -> None:
    from headrace.engines.gpu.engine import GpuEngine

    form, cpu = fitted(fields), CpuEngine()
    expected = cpu.collect([form.apply(SPLITS.lazy(), cpu)])[0]
    assert expected.select(form.writes).null_count().row(0) < (24,) * len(form.writes)
    with imitation():
        engine = GpuEngine(strict=True)
        held = engine.hold(SPLITS.lazy())
        got = engine.hold(engine.step("example", held.lazy(), form.apply)).to_polars()
    assert_same_rows(expected, got)
    assert engine.fallbacks == ()
