"""The RAPIDS packages that the GPU engine is written against, and what they need of driver and GPU.

The versions are not written here: they are those of headrace's extras `cuda13` and `cuda12`, and what the packages in
them pin of each other, read from the installed metadata. Nothing of RAPIDS is imported.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from headrace.engines.distributions import Requirement, installed, requirements, satisfies, stated_by


class Platform(NamedTuple):
    """The oldest driver, the CUDA that it does, and the oldest compute capability that RAPIDS runs on."""

    driver: int
    cuda: tuple[int, int]
    capability: tuple[int, int]


PLATFORMS: Final = {"13": Platform(580, (13, 0), (7, 5)), "12": Platform(535, (12, 2), (7, 0))}
"""By the CUDA that the packages are built for, newest first. Source: RAPIDS Platform Support, release 26.10,
https://docs.nvidia.com/datascience/platform-support/"""

_PIN: Final = re.compile(r"==\d+\.\d+\.\*")  # as packages of one release pin each other


class Problem(NamedTuple):
    """A package that is not as it is pinned; `got` is empty where it is not installed."""

    package: str
    got: str
    expected: str

    def __str__(self) -> str:
        got = self.got or "not installed"
        return f"{self.package}: got {got}, expected {self.expected.removeprefix('==')}"


def extra(cuda: str) -> str:
    """The name of the extra for a major version of CUDA."""
    return f"cuda{cuda}"


def installed_for() -> tuple[str, ...]:
    """The major versions of CUDA that RAPIDS packages are installed for; more than one is one too many."""
    return tuple(cuda for cuda in PLATFORMS if any(installed(r.name) for r in _own(cuda)))


def installed_of(cuda: str) -> tuple[str, ...]:
    """Packages of the extra that are installed and are for this CUDA alone."""
    return tuple(r.name for r in _own(cuda) if installed(r.name))


def pins(cuda: str) -> tuple[Requirement, ...]:
    """The packages of the extra, and those that they pin to their own release, sorted by name.

    What a package pins is known where the right version of it is installed. Empty where headrace's own metadata are
    not there. Takes some 50 ms: files of metadata are read.
    """
    found: dict[str, Requirement] = {}
    waiting = list(_asked_for(cuda))
    while waiting:
        requirement = waiting.pop()
        if requirement.name in found:
            continue
        found[requirement.name] = requirement
        if not satisfies(installed(requirement.name) or "0", requirement.versions):
            continue
        base, by_extra = requirements(stated_by(requirement.name))
        wanted = [*base, *(r for name in requirement.extras for r in by_extra.get(name, []))]
        waiting += [r for r in wanted if _PIN.fullmatch(r.versions)]
    return tuple(sorted(found.values()))


def problems(cuda: str) -> tuple[Problem, ...]:
    """The pinned packages that are missing or of another version, sorted by name; none if all is well."""
    pinned = pins(cuda)
    if not pinned:
        return (Problem("headrace", "", "installed with pip: its metadata say which RAPIDS it is written against"),)
    versions = {requirement: installed(requirement.name) for requirement in pinned}
    return tuple(
        Problem(requirement.name, version or "", requirement.versions)
        for requirement, version in versions.items()
        if version is None or not satisfies(version, requirement.versions)
    )


def _asked_for(cuda: str) -> list[Requirement]:
    return requirements(stated_by("headrace"))[1].get(extra(cuda), [])


def _own(cuda: str) -> list[Requirement]:
    return [r for r in _asked_for(cuda) if r.name.endswith(f"-cu{cuda}")]
