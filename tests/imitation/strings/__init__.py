"""Functions of columns of strings."""

from __future__ import annotations

from tests.imitation.strings import attributes, split

__all__ = ["attributes", "split"]
