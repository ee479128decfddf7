"""What is installed: Python, headrace, its dependencies and its extras, each against what headrace asks for."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Final

from headrace.commands.findings import Finding
from headrace.engines.distributions import Requirement, installed, requirements, satisfies

EXTRAS: Final = {
    "build": "makes datasets: contracts, learning, baselines, report, Prefect, Dask",
    "demo": "the sample data of the gallery's flights and tpch",
    "torch": "the loader for PyTorch",
}


def findings() -> Iterator[Finding]:
    """Python, headrace, base dependencies, extras, and whether the CPU engine gives the right answer."""
    yield _python()
    try:
        version, stated = metadata.version("headrace"), metadata.requires("headrace") or []
    except metadata.PackageNotFoundError:
        yield Finding("headrace", "broken", "not installed", "pip install headrace", needed=True)
        return
    yield Finding("headrace", "ok", version)
    base, extras = requirements(stated)
    for requirement in base:
        yield _package(requirement)
    yield _engine()
    for extra, purpose in EXTRAS.items():
        if extra in extras:
            yield _extra(extra, purpose, extras[extra])


def _python() -> Finding:
    version = platform.python_version()
    name = f"{version} ({sys.executable})"
    if (3, 11) <= sys.version_info[:2] < (3, 14):
        return Finding("Python", "ok", name)
    return Finding("Python", "warning", name, "headrace is tested on 3.11, 3.12 and 3.13")


def _package(requirement: Requirement) -> Finding:
    version = installed(requirement.name)
    advice = f"pip install '{requirement.name}{requirement.versions}'"
    if version is None:
        return Finding(requirement.name, "broken", "not installed", advice, needed=True)
    if not satisfies(version, requirement.versions):
        found = f"{version}, asked for {requirement.versions}"
        return Finding(requirement.name, "broken", found, advice, needed=True)
    return Finding(requirement.name, "ok", version)


def _engine() -> Finding:
    try:
        import polars as pl

        answer = pl.LazyFrame({"x": [1, 2, 3]}).select(pl.col("x").sum()).collect().item()
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        return Finding(
            "CPU engine", "broken", reason, "reinstall polars; old processors need polars[rtcompat]", needed=True
        )
    if answer != 6:
        return Finding("CPU engine", "broken", f"1 + 2 + 3 gave {answer}", "reinstall polars", needed=True)
    return Finding("CPU engine", "ok", f"answers, on {pl.thread_pool_size()} threads")


def _extra(extra: str, purpose: str, wanted: list[Requirement]) -> Finding:
    name = f"extra {extra}"
    versions = {requirement: installed(requirement.name) for requirement in wanted}
    missing = [r.name for r, version in versions.items() if version is None]
    wrong = [
        f"{r.name} {version}, asked for {r.versions}"
        for r, version in versions.items()
        if version is not None and not satisfies(version, r.versions)
    ]
    advice = f"pip install 'headrace[{extra}]'"
    if wrong:
        return Finding(name, "warning", "; ".join(wrong), advice)
    if missing and len(missing) < len(wanted):
        return Finding(name, "absent", f"not whole, without {', '.join(missing)}; {purpose}", advice)
    if missing:
        return Finding(name, "absent", f"not installed; {purpose}", advice)
    return Finding(name, "ok", ", ".join(f"{r.name} {version}" for r, version in versions.items()))
