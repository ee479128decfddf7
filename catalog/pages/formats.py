"""Numbers, types and values as pages write them."""

from __future__ import annotations

import math
import re
from typing import Final

from headrace.catalog.manifest import Scalar, Statistics

ABSENT: Final = "\N{EN DASH}"

_METRICS: Final = {
    "auc": "AUC", "rmse": "RMSE", "mae": "MAE", "r2": "R²", "brier": "Brier score", "rows": "Rows scored",
}  # fmt: skip
"""Of metrics whose names are not their keys."""


def count(value: float | None) -> str:
    """``336,776``."""
    return ABSENT if value is None else f"{value:,.0f}"


def number(value: object, digits: int = 4) -> str:
    """Four significant digits, a whole number as it is, text unchanged, nothing as a dash."""
    if value is None:
        return ABSENT
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if value == int(value) and abs(value) < 1e6:
        return f"{value:,.0f}".replace("-", "\N{MINUS SIGN}")
    text = f"{value:,.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.{digits}g}"
    return text.replace("-", "\N{MINUS SIGN}")


def metric_name(key: str) -> str:
    """``AUC``, ``Average precision``."""
    return _METRICS.get(key) or key.replace("_", " ").capitalize()


def metric(key: str, value: float | None) -> str:
    """Four decimals for what lies between 0 and 1; rows whole; other units four significant digits."""
    if value is None:
        return ABSENT
    if key == "rows":
        return count(value)
    return number(value, 5) if key in ("rmse", "mae", "target_mean") else f"{value:.4f}".replace("-", "\N{MINUS SIGN}")


def percent(part: float, whole: float) -> str:
    """``2.8 %``; more digits where that would hide something: ``0.014 %``, never ``0 %`` of what is there."""
    if not whole:
        return ABSENT
    share = 100 * part / whole
    digits = 1 if share >= 1 or share == 0 else min(6, 1 - math.floor(math.log10(share)))
    return f"{share:.{digits}f} %"


def seconds(value: float | None) -> str:
    """``0.08 s``, ``3.4 s``, ``2 min 05 s``."""
    if value is None:
        return ABSENT
    if value < 120:
        return f"{value:.2f} s" if value < 1 else f"{value:.1f} s"
    return f"{int(value // 60)} min {int(value % 60):02d} s"


def dtype(spelled: str) -> str:
    """``Datetime(time_unit='us', time_zone='UTC')`` as ``Datetime(us, UTC)``."""
    return re.sub(r"\b\w+=", "", spelled).replace("'", "").replace(", None", "")


def mean(found: Statistics) -> float | None:
    """The mean; 0 where it is only what rounding left of 0, as after a Standardize."""
    small = found.mean is not None and found.std is not None and abs(found.mean) < 1e-6 * found.std
    return 0.0 if small else found.mean


def end(value: Scalar | None, kind: str) -> str:
    """The smallest or largest value in a table: times to the minute, texts cut."""
    if kind == "temporal" and value is not None:
        return str(value)[:16].replace("T", " ")
    text = number(value)
    return text if len(text) <= 16 else text[:15] + "…"


def moment(stamp: str) -> str:
    """``2026-03-01 12:30 UTC``, of an ISO 8601 stamp in UTC."""
    return f"{stamp[:16].replace('T', ' ')} UTC" if len(stamp) > 16 else stamp
