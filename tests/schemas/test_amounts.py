from __future__ import annotations

import pytest

from headrace.schemas.amounts import counted, size, word


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (26_400_000, "25.2 MiB"),
        (3 << 30, "3.0 GiB"),
        (5 << 40, "5.0 TiB"),
    ],
)
def test_sizes_are_in_powers_of_1024(count: int, said: str) -> None:
    assert size(count) == said


def test_one_is_singular_and_nothing_is_plural() -> None:
    assert [counted(n, "row") for n in (0, 1, 2, 12_345)] == ["0 rows", "1 row", "2 rows", "12,345 rows"]
    assert [word(n, "vocabulary", "vocabularies") for n in (1, 2)] == ["vocabulary", "vocabularies"]
