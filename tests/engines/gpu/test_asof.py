"""The GPU body of this kernel on the imitation of pylibcudf; `tests/gpu` runs the same cases on a device."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from tests.engines.gpu.parity import check_asof
from tests.engines.kernels.cases.asof import CASES, Case, cases
from tests.imitation.fixture import imitation


@pytest.fixture(scope="module", autouse=True)
def _imitated() -> Iterator[None]:
    with imitation():
        yield


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_gives_what_the_cpu_gives_and_what_is_expected(case: Case) -> None:
    check_asof(case)


@given(cases())
def test_so_do_any_rows(case: Case) -> None:
    check_asof(case)
