"""The kernels' GPU bodies on a device, on the cases that `make test` runs them on with the imitation of pylibcudf."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from tests.engines.kernels.cases import asof, lookup, rolling, xxhash64

EXAMPLES = settings(max_examples=25)


@pytest.mark.parametrize("case", lookup.CASES, ids=lambda case: case.name)
def test_lookup(case: lookup.Case) -> None:
    from tests.engines.gpu.parity import check_lookup

    check_lookup(case)


@EXAMPLES
@given(lookup.cases())
def test_lookup_of_any_rows(case: lookup.Case) -> None:
    from tests.engines.gpu.parity import check_lookup

    check_lookup(case)


@pytest.mark.parametrize("case", xxhash64.CASES, ids=lambda case: case.name)
def test_xxhash64(case: xxhash64.Case) -> None:
    from tests.engines.gpu.parity import check_xxhash64

    check_xxhash64(case)


@EXAMPLES
@given(xxhash64.cases())
def test_xxhash64_of_any_rows(case: xxhash64.Case) -> None:
    from tests.engines.gpu.parity import check_xxhash64

    check_xxhash64(case)


@pytest.mark.parametrize("case", asof.CASES, ids=lambda case: case.name)
def test_join_asof(case: asof.Case) -> None:
    from tests.engines.gpu.parity import check_asof

    check_asof(case)


@EXAMPLES
@given(asof.cases())
def test_join_asof_of_any_rows(case: asof.Case) -> None:
    from tests.engines.gpu.parity import check_asof

    check_asof(case)


@pytest.mark.parametrize("case", rolling.CASES, ids=lambda case: case.name)
def test_rolling(case: rolling.Case) -> None:
    from tests.engines.gpu.parity import check_rolling

    check_rolling(case)


@EXAMPLES
@given(rolling.cases())
def test_rolling_of_any_rows(case: rolling.Case) -> None:
    from tests.engines.gpu.parity import check_rolling

    check_rolling(case)


def test_a_million_rows() -> None:
    from tests.engines.gpu.parity import check_many

    check_many(1_000_000)
