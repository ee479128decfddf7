"""The repository's shape: real folders at the root, symlinks to them in src, what README and Makefile promise."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from headrace.cli import COMMANDS, cli

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "headrace"
FOLDERS = ("schemas", "engines", "transforms", "catalog", "pipelines", "flows")
SOURCES = sorted(
    path for name in (*FOLDERS, "src/headrace/commands", "src/headrace/testing") for path in (ROOT / name).rglob("*.py")
)


@pytest.mark.parametrize("name", FOLDERS)
def test_the_package_links_to_the_folder(name: str) -> None:
    link = PACKAGE / name
    assert (ROOT / name).is_dir()
    assert not (ROOT / name).is_symlink()
    assert link.readlink() == Path("../../") / name


def test_every_package_folder_has_an_init() -> None:
    folders = {path.parent for path in SOURCES}
    assert [str(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_there_is_one_copy_of_a_class() -> None:
    code = f"import headrace.schemas.errors, sys; print([m for m in sys.modules if m.split('.')[0] in {FOLDERS!r}])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert result.stdout == "[]\n"


@pytest.mark.slow
def test_inside_the_package_imports_are_absolute() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").split(".")[0] in FOLDERS))
        or (isinstance(node, ast.Import) and any(alias.name.split(".")[0] in FOLDERS for alias in node.names))
    ]
    assert wrong == []


def test_no_file_is_too_long_to_read() -> None:
    assert {p.name: n for p in SOURCES if (n := len(p.read_text(encoding="utf-8").splitlines())) > 500} == {}


def test_no_module_is_a_drawer_for_the_rest() -> None:
    assert [str(p) for p in SOURCES if p.stem in ("utils", "util", "helpers", "common", "misc")] == []


def test_nothing_is_pickled() -> None:
    named = re.compile(r"^\s*(import|from) (pickle|cloudpickle|joblib|dill)\b", re.MULTILINE)
    assert [str(p) for p in SOURCES if named.search(p.read_text(encoding="utf-8"))] == []


def test_make_help_lists_the_targets_that_the_readme_names() -> None:
    listed = subprocess.run(["make", "-s", "help"], capture_output=True, text=True, cwd=ROOT, timeout=60).stdout
    targets = set(re.findall(r"^  make ([a-z-]+) ", listed, re.MULTILINE))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {"demo", "test", "check", "bench", "clean", "help"} <= targets
    assert set(re.findall(r"\bmake ([a-z-]+)\b", readme)) <= targets


def test_the_readme_names_commands_and_files_that_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"^    .*$|`[^`]+`", readme, re.MULTILINE))
    for words in re.findall(r"(?<!from )\bheadrace ([a-z]+)(?: ([a-z]+))?", code):
        assert words[0] in COMMANDS, words
        command = cli.get_command(click.Context(cli), words[0])
        if isinstance(command, click.Group):
            assert words[1] in command.commands, words
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", readme):
        assert (ROOT / link).exists(), link
