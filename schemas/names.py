"""Names that headrace keeps for itself."""

from __future__ import annotations

from typing import Final

RESERVED_PREFIX: Final = "__"

ROW: Final = "__row"
"""Int64, the number of the row in the source: files in name order, rows in file order, from 0."""

SPLIT: Final = "__split"
"""UInt8, the split a row belongs to: 0 is the one statistics are learned on, then as the pipeline names them."""

TRAIN: Final = 0
