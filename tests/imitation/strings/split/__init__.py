"""Parts of strings."""

from __future__ import annotations

from tests.imitation.strings.split import split

__all__ = ["split"]
