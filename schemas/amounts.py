"""Amounts as people read them, the same in the terminal, on pages and in cards."""

from __future__ import annotations


def size(count: float) -> str:
    """Bytes in powers of 1024.

    >>> size(1_536), size(3 << 30), size(12)
    ('1.5 KiB', '3.0 GiB', '12 B')
    """
    if count < 1024:
        return f"{count:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        count /= 1024
        if count < 1024:
            return f"{count:.1f} {unit}"
    return f"{count / 1024:.1f} TiB"


def word(count: int, one: str, many: str = "") -> str:
    """The word for so many; `many` is `one` with an s where it is not given.

    >>> word(1, "row"), word(0, "row"), word(2, "vocabulary", "vocabularies")
    ('row', 'rows', 'vocabularies')
    """
    return one if count == 1 else many or f"{one}s"


def counted(count: int, one: str, many: str = "") -> str:
    """
    >>> counted(1, "dataset"), counted(1_200, "row")
    ('1 dataset', '1,200 rows')
    """
    return f"{count:,} {word(count, one, many)}"
