"""What a distribution's metadata ask for, and what is installed of it."""

from __future__ import annotations

import re
from importlib import metadata
from typing import NamedTuple


class Requirement(NamedTuple):
    """A distribution, the versions of it that are asked for, such as `>=1.35,<1.45`, and extras of it."""

    name: str
    versions: str
    extras: tuple[str, ...] = ()


def requirements(stated: list[str]) -> tuple[list[Requirement], dict[str, list[Requirement]]]:
    """What a distribution's metadata ask for: always, and by extra. A requirement for some systems only is left out."""
    base: list[Requirement] = []
    by_extra: dict[str, list[Requirement]] = {}
    for line in stated:
        wanted, _, marker = line.partition(";")
        match = re.match(r"\s*([A-Za-z0-9._-]+)\s*(?:\[([^\]]*)\])?\s*\(?([^()]*)\)?\s*$", wanted)
        extra = re.fullmatch(r"\s*extra\s*==\s*['\"]([^'\"]+)['\"]\s*", marker)
        if match is None or match[1] == "headrace" or (marker.strip() and extra is None):
            continue
        extras = tuple(e.strip() for e in (match[2] or "").split(",") if e.strip())
        requirement = Requirement(match[1], match[3].replace(" ", ""), extras)
        (by_extra.setdefault(extra[1], []) if extra else base).append(requirement)
    return base, by_extra


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


def stated_by(name: str) -> list[str]:
    """The requirements of an installed distribution, as its metadata write them; none if it is not installed."""
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0]))
