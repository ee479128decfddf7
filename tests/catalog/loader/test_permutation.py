from __future__ import annotations

import numpy as np
import pytest

from headrace.catalog.loader.permutation import GROUPS, WINDOW, permutation

MASK = (1 << 64) - 1


def philox(key: tuple[int, int], counter: list[int]) -> list[int]:
    """A block of Philox-4x64-10, written from the paper."""
    a, b = key
    w, x, y, z = counter
    for _ in range(10):
        first, second = w * 0xD2E7470EE14C6C93, y * 0xCA5A826395121157
        w, x, y, z = (second >> 64) ^ x ^ a, second & MASK, (first >> 64) ^ z ^ b, first & MASK
        a, b = (a + 0x9E3779B97F4A7C15) & MASK, (b + 0xBB67AE8584CAA73B) & MASK
    return [w, x, y, z]


def expected(rows: int, seed: int, epoch: int, stream: int, lane: int, start: int) -> list[int]:
    words = [word for n in range(1, rows // 8 + 2) for word in philox((seed, epoch), [n, start, lane, stream])]
    halves = [half for word in words for half in (word & 0xFFFFFFFF, word >> 32)]
    return sorted(range(rows), key=lambda n: (halves[n], n))


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 7, 8, 9, 100])
def test_it_is_what_the_paper_says(rows: int) -> None:
    key = {"seed": 7, "epoch": 3, "stream": WINDOW, "lane": 5, "start": 4096}
    assert permutation(rows, **key).tolist() == expected(rows, **key)


def test_it_never_changes() -> None:
    assert permutation(8, seed=0, epoch=0, stream=GROUPS).tolist() == [5, 2, 1, 3, 7, 0, 4, 6]
    far = permutation(8, seed=(1 << 63) - 1, epoch=9, stream=WINDOW, lane=2, start=1 << 40)
    assert far.tolist() == [0, 2, 6, 3, 4, 5, 1, 7]


def test_every_part_of_the_key_counts() -> None:
    key = {"seed": 1, "epoch": 1, "stream": 1, "lane": 1, "start": 1}
    drawn = [permutation(64, **key)] + [permutation(64, **(key | {name: 2})) for name in key]
    assert len({tuple(one.tolist()) for one in drawn}) == 6


@pytest.mark.slow
def test_all_places_are_equally_likely() -> None:
    rows, draws = 16, 4_000
    counts = np.zeros((rows, rows))
    for epoch in range(draws):
        counts[np.arange(rows), permutation(rows, seed=3, epoch=epoch, stream=WINDOW)] += 1
    chi2 = ((counts - draws / rows) ** 2 / (draws / rows)).sum()
    assert abs(chi2 - (rows - 1) ** 2) < 5 * np.sqrt(2 * (rows - 1) ** 2)  # (rows - 1)^2 degrees of freedom
