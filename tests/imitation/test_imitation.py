"""What the imitation has is called as in the installed pylibcudf, and has all that the kernels use."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pylibcudf
import pytest
import tests.imitation

import headrace
from headrace.engines import gpu

STUBS = Path(pylibcudf.__file__).parent
GPU = Path(next(iter(gpu.__path__)))
FOLDERS = [Path(headrace.__file__).parent / folder for folder in ("engines", "transforms", "catalog", "pipelines")]
USERS = sorted(p for folder in FOLDERS for p in folder.rglob("*.py") if "import pylibcudf as plc" in p.read_text())
_TYPE_PARAMETERS = re.compile(r"^(\s*(?:def|class) \w+)\[[^\]]*\]", re.MULTILINE)  # Python 3.11 cannot parse them
PRIVATE_ONLY = {"query"}
"""Modules whose own functions the imitation takes the place of."""


def test_every_signature_is_that_of_the_stub() -> None:
    found = list(_imitated())
    assert len(found) > 30
    differing = []
    for module, name, made in found:
        stub = _stub(module, name)
        if stub is None:
            differing.append(f"{module}.{name}: not in pylibcudf's stubs")
            continue
        imitated, real = _parameters(made), _parameters_of_stub(stub)
        if len(imitated) != len(real) or not all(map(_agree, imitated, real)):
            differing.append(f"{module}.{name}: {imitated}, in pylibcudf {real}")
    assert differing == []


def test_the_stubs_call_parameters_as_the_functions_do() -> None:
    differing = []
    for module, name, made in _imitated():
        stub, function = _stub(module, name), _resolved(pylibcudf, f"{module}.{name}")
        if stub is None or not inspect.isroutine(function):
            continue
        names = [parameter for parameter, _ in _parameters_of_stub(stub)]
        real = [p for p in inspect.signature(function).parameters if p not in ("self", "cls")]
        called = [p for p, _ in _parameters(made)]
        if real != ["args", "kwargs"] and any(
            c is not None and n != r for c, n, r in zip(called, names, real, strict=False)
        ):
            differing.append(f"{module}.{name}: {real}, in the stub {names}")
    assert differing == []


@pytest.mark.parametrize("path", USERS, ids=lambda path: path.stem)
def test_all_that_a_module_uses_is_in_pylibcudf(path: Path) -> None:
    lacking = [name for name in _used(path) if not _exists(name)]
    assert lacking == [], f"{path.name} uses what pylibcudf has not, has only inside, or calls deprecated"


@pytest.mark.parametrize(
    "path", sorted(p for p in GPU.glob("*.py") if p.stem not in PRIVATE_ONLY), ids=lambda p: p.stem
)
def test_all_that_a_module_uses_is_imitated(path: Path) -> None:
    lacking = [name for name in _used(path) if _resolved(tests.imitation, name) is None]
    assert lacking == []


def _imitated() -> Iterator[tuple[str, str, Any]]:
    """Functions and methods: the module's name, their own in it, and themselves."""
    for found in pkgutil.walk_packages(tests.imitation.__path__, "tests.imitation."):
        name = found.name.removeprefix("tests.imitation.")
        if name in tests.imitation.HOST or name.startswith("test_"):
            continue
        for own, made in vars(importlib.import_module(found.name)).items():
            if own.startswith("_") or getattr(made, "__module__", "") != found.name:
                continue
            if own not in _definitions(name):  # the host's own: a kernel that used it would fail the test below
                continue
            if inspect.isfunction(made):
                yield name, own, made
            else:
                for method, function in vars(made).items():
                    function = getattr(function, "__func__", function)
                    if inspect.isfunction(function) and (
                        not method.startswith("_") or f"{own}.{method}" in _definitions(name)
                    ):
                        yield name, f"{own}.{method}", function


_ANY = object()
_NONE = inspect.Parameter.empty


def _parameters(function: Any) -> list[tuple[str | None, Any]]:
    """Names and defaults; no name where it cannot be used, because the stub and the module differ in it."""
    return [
        (None if parameter.kind is inspect.Parameter.POSITIONAL_ONLY else name, parameter.default)
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in ("self", "cls")
    ]


def _parameters_of_stub(stub: ast.FunctionDef) -> list[tuple[str, Any]]:
    arguments = [a.arg for a in stub.args.args]
    defaults = [_NONE] * (len(arguments) - len(stub.args.defaults)) + [_default(d) for d in stub.args.defaults]
    return [(name, d) for name, d in zip(arguments, defaults, strict=True) if name not in ("self", "cls")]


def _default(written: ast.expr) -> Any:
    value = eval(ast.unparse(written), vars(pylibcudf.types) | vars(pylibcudf.copying))
    return _ANY if value is ... else value


def _agree(imitated: tuple[str | None, Any], real: tuple[str, Any]) -> bool:
    same = real[1] == imitated[1] if real[1] is not _ANY else imitated[1] is not _NONE
    return imitated[0] in (None, real[0]) and same


@cache
def _definitions(module: str) -> dict[str, ast.stmt]:
    stub = STUBS / f"{module.replace('.', '/')}.pyi"
    if not stub.exists():
        return {}
    found: dict[str, ast.stmt] = {}
    for statement in ast.parse(_TYPE_PARAMETERS.sub(r"\1", stub.read_text())).body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            found[statement.name] = statement
        if isinstance(statement, ast.ClassDef):
            methods = (s for s in statement.body if isinstance(s, ast.FunctionDef))
            found |= {f"{statement.name}.{method.name}": method for method in methods}
    return found


def _stub(module: str, name: str) -> ast.FunctionDef | None:
    stub = _definitions(module).get(name)
    return stub if isinstance(stub, ast.FunctionDef) else None


def _used(path: Path) -> list[str]:
    """Every dotted name after `plc.` in a file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        while isinstance(node, ast.Attribute):
            names.insert(0, node.attr)
            node = node.value
        if names and isinstance(node, ast.Name) and node.id == "plc":
            found.add(".".join(names))
    return sorted(found)


def _resolved(package: Any, name: str) -> Any:
    for part in name.split("."):
        package = getattr(package, part, None)
    return package


def _exists(name: str) -> bool:
    found = _resolved(pylibcudf, name)
    if found is None or _deprecated(found):
        return False
    places = [name[:dot] for dot in range(len(name)) if name[dot] == "."]
    stubs = [(place, name[len(place) + 1 :]) for place in places if _definitions(place)]
    # What is no function or class (constants, enumerations made by Cython) need not be in a stub.
    return all(own.split(".")[0] in _definitions(place) or not inspect.isroutine(found) for place, own in stubs)


def _deprecated(found: Any) -> bool:
    documented = [line for line in (getattr(found, "__doc__", None) or "").splitlines() if line.strip()]
    return any("deprecated" in line.lower() for line in documented[:2])  # the first may be the signature
