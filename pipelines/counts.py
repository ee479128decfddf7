"""Counts by key, added up over partitions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TypeVar

Key = TypeVar("Key")


def added(counts: Iterable[dict[Key, int]]) -> dict[Key, int]:
    """The sum of several counts, key by key, in the order in which the keys appear."""
    total: Counter[Key] = Counter()
    for some in counts:
        total.update(some)
    return dict(total)
