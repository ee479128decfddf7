"""One line of `headrace doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "absent", "warning", "broken"]


@dataclass(frozen=True)
class Finding:
    """What was looked at, what was found, and what to do. `needed`: the CPU engine does not work without it."""

    name: str
    state: State
    found: str
    advice: str = ""
    needed: bool = False
