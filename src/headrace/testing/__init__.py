"""The laws of operators, to be tried on one's own: `check_transform(op)`.

>>> from headrace.testing import check_transform
"""

from __future__ import annotations

from headrace.testing.check import LAWS, check_transform
from headrace.testing.frames import FRAMES, SCHEMA, TABLES, frame_of
from headrace.testing.report import Broken, Checked, ConformanceError, Report

__all__ = [
    "FRAMES",
    "LAWS",
    "SCHEMA",
    "TABLES",
    "Broken",
    "Checked",
    "ConformanceError",
    "Report",
    "check_transform",
    "frame_of",
]
