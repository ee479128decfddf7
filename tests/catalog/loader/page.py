"""The code of docs/loader.md."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "loader.md"


def code(heading: str) -> str:
    """The last block of a section."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return textwrap.dedent(re.findall(r"(?:^ {4}.*\n(?:\n(?= {4}))?)+", section, re.MULTILINE)[-1])
