"""docs/consumers.md: its blocks, and a catalog that they run beside, in a Python that cannot import headrace."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.catalog.conftest import fill

from headrace.catalog.build import Build, new_build
from headrace.catalog.commit import publish
from headrace.catalog.export.export import FORMATS, export
from headrace.catalog.files import sha256_of
from headrace.catalog.manifest import Column, Manifest, Vocabulary
from headrace.catalog.reader import open_dataset

PAGE = (Path(__file__).parents[2] / "docs" / "consumers.md").read_text(encoding="utf-8")

ROWS = 300
FLIGHTS = pl.DataFrame(
    {
        "distance": pl.Series([n / 4 - 10 for n in range(ROWS)], dtype=pl.Float32),
        "carrier": pl.Series([2 + n % 3 for n in range(ROWS)], dtype=pl.Int32),
        "late": pl.Series([int(n % 5 == 0) for n in range(ROWS)], dtype=pl.UInt8),
        "departure": pl.Series([datetime(2013, 1, 1) + timedelta(minutes=n) for n in range(ROWS)]).dt.replace_time_zone(
            "UTC"
        ),
        "recent": pl.Series([[float(k) for k in range(n % 3)] for n in range(ROWS)], dtype=pl.List(pl.Float32)),
    }
)

WITHOUT_HEADRACE = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "headrace":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
"""

Run = Callable[..., Any]


def block(heading: str, number: int = 0) -> str:
    """The Python of one section of the page."""
    section = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)[number]


FIRST = block("Which files: manifest.json")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`published/flights` with a retired version, `exported/<format>`, and a build that was never published."""
    root = tmp_path_factory.mktemp("consumers")
    catalog = root / "published"
    for rows in (FLIGHTS, FLIGHTS.head(3)):
        build = new_build(catalog, "flights")
        publish(catalog, "flights", build, _filled(build, rows))
    retired = catalog / "flights" / "_retired" / f"{2:020d}.json"
    retired.parent.mkdir()
    retired.write_text('{"format": 1, "version": 2, "reason": "too few rows", "retired_at": "2026-03-01T09:30:00Z"}')
    fill(new_build(catalog, "flights"), FLIGHTS.head(7))
    (root / "exported").mkdir()
    for form in FORMATS:
        export(open_dataset(catalog / "flights", 1), root / "exported" / form, form, rows_per_file=100)
    return root


def _filled(build: Build, rows: pl.DataFrame) -> Manifest:
    path = build.path / "state" / "carriers.parquet"
    path.parent.mkdir(parents=True)
    pl.DataFrame({"value": ["AA", "B6", "UA"], "count": [9, 8, 7]}).write_parquet(path)
    _, digest = sha256_of(path)
    manifest = fill(build, rows)

    def described(column: Column) -> Column:
        if column.name != "carrier":
            return column
        return column.model_copy(update={"vocabulary": Vocabulary(path="state/carriers.parquet", sha256=digest)})

    return manifest.model_copy(update={"columns": tuple(described(column) for column in manifest.columns)})


@pytest.fixture
def run(folder: Path, tmp_path: Path) -> Run:
    """Run a block after the page's first one, in its own Python, and give what an expression then is.

    The process ends without Python's own end: Arrow's threads may still hold files of other libraries that are written
    in Python, and some of those processes abort then, after everything was read.
    """

    def one(code: str, expression: str, *, before: str = "", warnings: str = "error") -> Any:
        script = f"{WITHOUT_HEADRACE}{before}\n{FIRST}\n{code}\nimport json\nprint('\\n' + json.dumps({expression}))"
        script += "\nimport os\nsys.stdout.flush()\nos._exit(0)"
        words = {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "PYTHONPATH": os.environ.get("SPARK", "")}
        done = subprocess.run(
            [sys.executable, "-W", warnings, "-c", script],
            cwd=folder,
            env=os.environ | words,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.strip().splitlines()[-1])

    return one
