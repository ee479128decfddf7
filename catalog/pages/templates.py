"""The templates of pages and reports: everything from the data is escaped, whatever is not defined is an error."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from headrace.catalog.pages import formats
from headrace.catalog.pages.distributions import colour
from headrace.schemas.amounts import counted, size


def templates(*folders: Path) -> Environment:
    """Templates of these folders, then of this one, where the style sheet is."""
    environment = Environment(
        loader=FileSystemLoader([*folders, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": formats.count,
        "moment": formats.moment,
        "number": formats.number,
        "size": size,
        "seconds": formats.seconds,
    }
    environment.globals |= {
        "percent": formats.percent,
        "metric": formats.metric,
        "colour": colour,
        "dtype": formats.dtype,
        "counted": counted,
    }
    return environment


class Script(NamedTuple):
    """A script that stands in a page, and what the page's security policy lets run: this text and no other."""

    text: str
    hash: str


def script(name: str) -> Script:
    """The script of this name, which has nothing from the data in it."""
    text = (Path(__file__).parent / name).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Script(text, f"sha256-{digest}")
