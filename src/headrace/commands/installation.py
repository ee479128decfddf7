"""What is installed: Python, headrace, its dependencies and its extras, each against what headrace asks for."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Final, NamedTuple

from headrace.commands.findings import Finding

EXTRAS: Final = {
    "build": "makes datasets: contracts, learning, baselines, report, Prefect, Dask",
    "demo": "the sample data of the flights pipeline",
    "torch": "the loader for PyTorch",
    "cuda13": "the GPU engine, for CUDA 13",
    "cuda12": "the GPU engine, for CUDA 12",
}


class Requirement(NamedTuple):
    """A distribution and the versions of it that are asked for, such as `>=1.35,<1.45`."""

    name: str
    versions: str


def findings() -> Iterator[Finding]:
    """Python, headrace, base dependencies, extras, RAPIDS, and whether the CPU engine gives the right answer."""
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
    from headrace.engines.detect import gpus

    for extra, purpose in EXTRAS.items():
        if extra in extras:
            yield _extra(extra, purpose, extras[extra], gpu=bool(gpus()))


def requirements(stated: list[str]) -> tuple[list[Requirement], dict[str, list[Requirement]]]:
    """What a distribution's metadata ask for, by extra."""
    base: list[Requirement] = []
    extras: dict[str, list[Requirement]] = {}
    for line in stated:
        wanted, _, marker = line.partition(";")
        match = re.match(r"\s*([A-Za-z0-9._-]+)\s*(?:\[[^\]]*\])?\s*\(?([^()]*)\)?\s*$", wanted)
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)['\"]", marker)
        if match is None or match[1] == "headrace":
            continue
        requirement = Requirement(match[1], match[2].replace(" ", ""))
        (extras.setdefault(extra[1], []) if extra else base).append(requirement)
    return base, extras


def satisfies(version: str, versions: str) -> bool:
    """Whether a version is within `versions`; the operators are those of headrace's own requirements.

    >>> satisfies("1.44.2", ">=1.35,<1.45"), satisfies("26.12.0", "==26.10.*"), satisfies("2026.7.1", "==2026.7.1")
    (True, False, True)
    """
    have = _numbers(version)
    for part in filter(None, versions.split(",")):
        match = re.fullmatch(r"(>=|<=|==|!=|~=|<|>)([0-9.]+?)(\.\*)?", part)
        if match is None:
            continue  # a form that headrace does not use
        operator, bound = match[1], _numbers(match[2])
        if match[3]:
            if have[: len(bound)] != bound:
                return False
            continue
        size = max(len(have), len(bound))
        left, right = have + (0,) * (size - len(have)), bound + (0,) * (size - len(bound))
        if not {
            ">=": left >= right,
            "<": left < right,
            "==": left == right,
            "<=": left <= right,
            ">": left > right,
        }.get(operator, True):
            return False
    return True


def installed(name: str) -> str | None:
    """The installed version of a distribution, None if there is none."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


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


def _extra(extra: str, purpose: str, wanted: list[Requirement], *, gpu: bool) -> Finding:
    name = f"extra {extra}"
    versions = {requirement: installed(requirement.name) for requirement in wanted}
    missing = [r.name for r, version in versions.items() if version is None]
    wrong = [
        f"{r.name} {version}, asked for {r.versions}"
        for r, version in versions.items()
        if version is not None and not satisfies(version, r.versions)
    ]
    # Without a GPU the extras for one are nothing to install.
    advice = f"pip install 'headrace[{extra}]'" if gpu or not extra.startswith("cuda") else ""
    if wrong:
        return Finding(name, "warning", "; ".join(wrong), advice)
    if missing and len(missing) < len(wanted):
        return Finding(name, "absent", f"not whole, without {', '.join(missing)}; {purpose}", advice)
    if missing:
        return Finding(name, "absent", f"not installed; {purpose}", advice)
    return Finding(name, "ok", ", ".join(f"{r.name} {version}" for r, version in versions.items()))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0]))
