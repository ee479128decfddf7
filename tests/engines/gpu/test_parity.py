"""The four query kernels after one another, on the imitation of pylibcudf."""

from __future__ import annotations

from tests.engines.gpu.parity import check_many
from tests.imitation.fixture import imitation


def test_many_rows() -> None:
    with imitation():
        check_many(3_000)
