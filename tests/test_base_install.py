"""What the install without extras must do: read datasets. Nothing else is there than the packages it names."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pyarrow as pa
import pytest
from tests.catalog.loader.worlds import published

# Those that a reader goes through; `card` and `shards` are for who makes datasets.
READING = ("catalog.device", "catalog.diff", "catalog.drift", "catalog.export.export", "catalog.listing")
READING += ("catalog.collect", "catalog.leases", "catalog.refs", "catalog.retire", "catalog.pages.site")
READING += (
    "catalog.reader",
    "catalog.verify",
    "catalog.vocabulary",
    "commands.datasets",
    "commands.diff",
    "commands.doctor",
    "commands.drift",
    "commands.export",
    "commands.gc",
    "commands.pages",
    "commands.retire",
    "commands.tag",
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

LOADERS = """
import headrace.catalog.device as device
from importlib import util
found = util.find_spec
util.find_spec = lambda name: None if name in ("numpy", "torch") else found(name)
from headrace import open_dataset
from headrace.schemas.errors import CapabilityError
dataset = open_dataset({place!r})
for loader in (dataset.torch_loader, dataset.numpy_loader):
    try:
        loader("train")
    except CapabilityError as error:
        print(error.message, "|", error.hint)
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


@pytest.mark.slow
def test_loaders_say_what_they_need(tmp_path: Path) -> None:
    published(tmp_path, (pa.table({"id": [1, 2, 3]}), [3]))
    code = WITHOUT_EXTRAS.format(names=packages_of_extras(), modules=()) + LOADERS.format(place=str(tmp_path / "demo"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "torch is not installed | pip install 'headrace[torch]'",
        "numpy is not installed | pip install 'headrace[build]'",
    ]
