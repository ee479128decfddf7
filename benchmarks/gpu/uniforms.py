"""Random numbers that depend on a seed, a stream and a row's number alone, computed in NumPy or in CuPy.

SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014) taken as a function of
its counter: any run of rows can be had without the rows before it, and every row in parallel. `xp` is the array module.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

GOLDEN: Final = 0x9E3779B97F4A7C15
_MASK: Final = 2**64 - 1


def mix64(words: Any) -> Any:
    """SplitMix64's finalizer, a bijection of uint64; NumPy and CuPy arrays alike."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def key(seed: int, stream: int) -> int:
    """Where a stream begins on the generator's cycle of 2**64: far from every other stream, as far as chance has it."""
    word = np.array([(seed * GOLDEN + stream * 0xD1B54A32D192ED03 + 1) & _MASK], dtype=np.uint64)
    return int(mix64(mix64(word))[0])


def uniform(xp: Any, seed: int, stream: int, first: int, rows: int) -> Any:
    """float64 from 0 up to but not 1, in steps of 2**-53: the numbers of rows `first` to `first + rows - 1`."""
    state = xp.arange(first + 1, first + rows + 1, dtype=np.uint64)
    state = state * np.uint64(GOLDEN) + np.uint64(key(seed, stream))
    return (mix64(state) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(xp: Any, seed: int, stream: int, first: int, rows: int) -> Any:
    """float64 from the standard normal distribution (Box and Muller 1958), of two streams: `stream` and the next."""
    radius = xp.sqrt(-2.0 * xp.log1p(-uniform(xp, seed, stream, first, rows)))
    return radius * xp.cos(2.0 * np.pi * uniform(xp, seed, stream + 1, first, rows))
