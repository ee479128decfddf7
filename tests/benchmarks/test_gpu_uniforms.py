"""The counter-based random numbers of the GPU's generator."""

from __future__ import annotations

import numpy as np
from benchmarks.gpu.uniforms import GOLDEN, key, mix64, normal, uniform


def test_the_words_are_those_of_splitmix64() -> None:
    state = np.uint64(1234567) + np.arange(1, 6, dtype=np.uint64) * np.uint64(GOLDEN)
    expected = [
        *(6457827717110365317, 3203168211198807973, 9817491932198370423),
        *(4593380528125082431, 16408922859458223821),
    ]
    assert mix64(state).tolist() == expected


def test_a_row_has_the_same_number_wherever_the_run_begins() -> None:
    whole = uniform(np, 7, 3, 0, 1000)
    assert uniform(np, 7, 3, 400, 600).tolist() == whole[400:].tolist()
    assert uniform(np, 8, 3, 0, 1000).tolist() != whole.tolist()
    assert uniform(np, 7, 4, 0, 1000).tolist() != whole.tolist()


def test_numbers_are_even_over_the_interval() -> None:
    values = np.sort(uniform(np, 0, 0, 0, 200_000))
    assert values[0] >= 0
    assert values[-1] < 1
    distance = np.abs(values - (np.arange(200_000) + 0.5) / 200_000).max()
    assert distance < 1.95 / np.sqrt(200_000)  # Kolmogorov: passed over with a chance of one in a thousand


def test_streams_and_neighbours_are_not_correlated() -> None:
    rows = 50_000
    streams = np.stack([uniform(np, 1, stream, 0, rows) for stream in range(40)])
    correlations = np.corrcoef(np.vstack([streams, np.roll(streams[0], 1)]))
    off = np.abs(correlations - np.eye(len(correlations)))
    assert off.max() < 5 / np.sqrt(rows)
    assert len({key(seed, stream) for seed in range(50) for stream in range(200)}) == 10_000


def test_normal_numbers_have_the_moments_of_the_distribution() -> None:
    values = normal(np, 5, 0, 0, 400_000)
    assert np.isfinite(values).all()
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((values**power).mean() - moment) < 5 * np.sqrt(variance / 400_000), power
