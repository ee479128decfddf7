"""Text for people: aligned tables, counts, sizes and times."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.schemas.amounts import size as bytes_in_words

__all__ = ["bytes_in_words", "moment", "seconds_in_words", "table"]


def table(rows: Sequence[Sequence[object]], header: Sequence[str] = (), *, indent: int = 0) -> str:
    """Columns aligned by spaces; a column whose cells are all numbers is aligned right. Empty for no rows.

    >>> print(table([["train", 12_000], ["test", 800]], ["split", "rows"]))
    split    rows
    train  12,000
    test      800
    """
    if not rows:
        return ""
    cells = [[_cell(value) for value in row] for row in rows]
    right = [all(_is_number(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ([list(header)] if header else []) + cells
    widths = [max(len(line[i]) for line in lines) for i in range(len(right))]
    return "\n".join(
        (
            " " * indent
            + "  ".join(
                cell.rjust(width) if to_right else cell.ljust(width)
                for cell, width, to_right in zip(line, widths, right, strict=True)
            )
        ).rstrip()
        for line in lines
    )


def seconds_in_words(seconds: float) -> str:
    """
    >>> seconds_in_words(0.42), seconds_in_words(75), seconds_in_words(7_260)
    ('0.4 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def moment(stamp: str) -> str:
    """
    >>> moment("2026-03-01T12:30:59.123456+00:00")
    '2026-03-01 12:30:59'
    """
    return stamp[:19].replace("T", " ")


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
