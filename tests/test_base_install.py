"""What the install without extras must do: read datasets. Nothing else is there than the packages it names."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import requires

import pytest

# Those that a reader goes through; `card` and `shards` are for who makes datasets.
READING = ("catalog.device", "catalog.diff", "catalog.drift", "catalog.export.export", "catalog.listing")
READING += (
    "catalog.reader",
    "catalog.verify",
    "catalog.vocabulary",
    "commands.datasets",
    "commands.doctor",
    "commands.vocabulary",
)

WITHOUT_EXTRAS = """
import importlib, sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
for module in {modules!r}:
    importlib.import_module("headrace." + module)
"""


def packages_of_extras() -> set[str]:
    """Import names of what extras bring in, and of NumPy, which comes only with them."""
    names = {"numpy"}
    for requirement in requires("headrace") or ():
        if "extra ==" in requirement:
            names.add(re.split(r"[^A-Za-z0-9_.-]", requirement)[0].lower().replace("-", "_"))
    return (names | {"sklearn", "polars_hash", "distributed", "pandas", "torch"}) - {"headrace"}


@pytest.mark.slow
def test_reading_needs_no_package_of_an_extra() -> None:
    code = WITHOUT_EXTRAS.format(names=packages_of_extras(), modules=READING)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
