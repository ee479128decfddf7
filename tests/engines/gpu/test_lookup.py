"""The GPU body of this kernel on the imitation of pylibcudf; `tests/gpu` runs the same cases on a device."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import polars as pl
import pytest
from hypothesis import given
from tests.engines.gpu.parity import check_lookup
from tests.engines.kernels.cases.lookup import CASES, Case, cases
from tests.imitation.fixture import imitation

from headrace.engines.gpu.lookup import Vocabularies


@pytest.fixture(scope="module", autouse=True)
def _imitated() -> Iterator[None]:
    with imitation():
        yield


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_gives_what_the_cpu_gives_and_what_is_expected(case: Case) -> None:
    check_lookup(case)


@given(cases())
def test_so_do_any_rows(case: Case) -> None:
    check_lookup(case)


def test_a_vocabulary_goes_to_the_device_once() -> None:
    held = Vocabularies()
    first, second = pl.DataFrame({"value": ["b", "a"], "count": [2, 1]}), pl.DataFrame({"value": ["b", "a"]})
    on_device = held.of(first)
    assert held.of(first) is on_device
    assert held.of(second) is not on_device


def test_a_vocabulary_leaves_the_device_with_its_frame_or_when_told() -> None:
    held = Vocabularies()
    frame = pl.DataFrame({"value": ["b", "a"]})
    first = weakref.ref(held.of(frame))
    held.clear()
    gc.collect()
    assert first() is None
    again = weakref.ref(held.of(frame))
    del frame
    gc.collect()
    assert again() is None


def test_vocabularies_leave_the_device_with_the_engine_though_their_frames_stay() -> None:
    held = Vocabularies()
    frame = pl.DataFrame({"value": ["b", "a"]})
    there = weakref.ref(held.of(frame))
    del held
    gc.collect()
    assert there() is None
    other = Vocabularies()
    assert other.of(frame) is other.of(frame)
    del frame
