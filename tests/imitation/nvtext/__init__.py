"""Functions of texts."""

from __future__ import annotations

from tests.imitation.nvtext import generate_ngrams

__all__ = ["generate_ngrams"]
