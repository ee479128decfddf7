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

from headrace.schemas.errors import CapabilityError

# Those that a reader goes through, and who keeps a catalog in order; `card` and `shards` are for who makes datasets.
READING = ("catalog.device", "catalog.diff", "catalog.drift", "catalog.export.export", "catalog.listing")
READING += (
    "catalog.append",
    "catalog.collect",
    "catalog.leases",
    "catalog.refs",
    "catalog.retire",
    "catalog.pages.site",
)
READING += (
    "catalog.loader.loaders",
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

COMMANDS = (
    "list",
    "show demo",
    "verify demo@1 --level pages",
    "diff demo@1 demo@2",
    "drift demo@1 demo@2",
    "tag demo prod 1",
    "tag demo",
    "export demo@prod {out}/arrow --format arrow",
    "export demo {out}/webdataset --format webdataset",
    "retire demo@2 --reason late",
    "gc",
    "gc --delete",
)
NEED_BUILD = ("page demo --out {out}/demo.html", "index --out {out}/pages")
"""Commands that say which extra they need: pages are made with Jinja."""

RUN = """
from headrace.cli import cli
for command, code in {commands!r}:
    try:
        cli.main(["datasets", *command.split(), "--catalog", {catalog!r}])
    except SystemExit as ended:
        assert ended.code == code, command
    else:
        raise AssertionError(command)
"""

READ = """
from headrace import open_dataset
dataset = open_dataset({place!r})
frame = dataset.to_polars("train", ["id"])
print(frame["id"].to_list(), dataset.arrow("train").num_rows, dataset.scan().collect().height)
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


def without_extras(code: str, *modules: str) -> list[str]:
    """What a process prints in which no package of an extra can be imported."""
    whole = WITHOUT_EXTRAS.format(names=packages_of_extras(), modules=modules) + code
    done = subprocess.run([sys.executable, "-c", whole], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_reading_needs_no_package_of_an_extra() -> None:
    without_extras("", *READING)


@pytest.mark.slow
def test_commands_and_reads_need_no_package_of_an_extra(tmp_path: Path) -> None:
    catalog, out = tmp_path / "catalog", tmp_path / "out"
    out.mkdir()
    for last in (3, 4):
        published(catalog, (pa.table({"id": [1, 2, last]}), [3]))
    commands = [(command.format(out=out), 0) for command in COMMANDS]
    commands += [(command.format(out=out), CapabilityError.exit_code) for command in NEED_BUILD]
    done = without_extras(
        RUN.format(commands=commands, catalog=str(catalog)) + READ.format(place=str(catalog / "demo"))
    )
    assert done[-1] == "[1, 2, 3] 3 3"  # version 2 is retired
    assert {path.name for path in out.iterdir()} == {"arrow", "webdataset"}


@pytest.mark.slow
def test_loaders_say_what_they_need(tmp_path: Path) -> None:
    published(tmp_path, (pa.table({"id": [1, 2, 3]}), [3]))
    assert without_extras(LOADERS.format(place=str(tmp_path / "demo"))) == [
        "torch is not installed | pip install 'headrace[torch]'",
        "numpy is not installed | pip install 'headrace[torch]'",
    ]
