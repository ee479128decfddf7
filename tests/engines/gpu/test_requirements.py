from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from headrace.engines.gpu.requirements import PLATFORMS, Problem, extra, installed_for, installed_of, pins, problems

RELEASE = "26.10.2"
STATED = {
    "headrace": [
        "polars<1.45,>=1.44",
        *(
            f'{name}==26.10.*; extra == "cuda{cuda}"'
            for cuda in ("13", "12")
            for name in (f"cudf-cu{cuda}", f"cuml-cu{cuda}[dask]", "dask-cuda")
        ),
        'headrace[build]; extra == "cuda13"',
    ],
    "cudf-cu13": ["pylibcudf-cu13==26.10.*", "rmm-cu13==26.10.*", "numpy<3.0,>=2.0", 'pytest; extra == "test"'],
    "pylibcudf-cu13": ["rmm-cu13==26.10.*", "cuda-toolkit[nvrtc]==13.*", "libnvcomp-cu13==5.3.0.16"],
    "cuml-cu13": ["cudf-cu13==26.10.*", 'raft-dask-cu13==26.10.*; extra == "dask"'],
    "raft-dask-cu13": ["distributed-ucxx-cu13==0.52.*"],
}
WHOLE = {
    "cudf-cu13": RELEASE,
    "cuml-cu13": "26.10.0",
    "dask-cuda": "26.10.0",
    "distributed-ucxx-cu13": "0.52.0",
    "pylibcudf-cu13": RELEASE,
    "raft-dask-cu13": "26.10.0",
    "rmm-cu13": "26.10.0",
}


def install(monkeypatch: pytest.MonkeyPatch, versions: dict[str, str], stated: dict[str, list[str]] = STATED) -> None:
    def version(name: str) -> str:
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    def requires(name: str) -> list[str]:
        if name not in stated or (name not in versions and name != "headrace"):
            raise metadata.PackageNotFoundError(name)
        return stated[name]

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(metadata, "requires", requires)


def test_what_is_whole_has_no_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, WHOLE)
    assert installed_for() == ("13",)
    assert [pin.name for pin in pins("13")] == sorted(WHOLE)
    assert {pin.versions for pin in pins("13")} == {"==26.10.*", "==0.52.*"}
    assert problems("13") == ()


def test_packages_of_other_versions_and_missing_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {**WHOLE, "rmm-cu13": "26.8.1", "distributed-ucxx-cu13": "0.48.0"}
    del versions["pylibcudf-cu13"]
    install(monkeypatch, versions)
    assert problems("13") == (
        Problem("distributed-ucxx-cu13", "0.48.0", "==0.52.*"),
        Problem("pylibcudf-cu13", "", "==26.10.*"),
        Problem("rmm-cu13", "26.8.1", "==26.10.*"),
    )
    assert [str(problem) for problem in problems("13")] == [
        "distributed-ucxx-cu13: got 0.48.0, expected 0.52.*",
        "pylibcudf-cu13: got not installed, expected 26.10.*",
        "rmm-cu13: got 26.8.1, expected 26.10.*",
    ]


def test_a_package_of_another_version_does_not_say_what_is_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    older = {**STATED, "cudf-cu13": ["pylibcudf-cu13==26.8.*", "gone-cu13==26.8.*"]}
    install(monkeypatch, {**WHOLE, "cudf-cu13": "26.8.0"}, older)
    assert problems("13") == (Problem("cudf-cu13", "26.8.0", "==26.10.*"),)


def test_nothing_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, {"dask-cuda": "26.10.0"})  # it is for any CUDA
    assert installed_for() == ()
    assert [problem.package for problem in problems("12")] == ["cudf-cu12", "cuml-cu12"]


def test_packages_for_both(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, {**WHOLE, "cudf-cu12": RELEASE})
    assert installed_for() == ("13", "12")
    assert installed_of("12") == ("cudf-cu12",)
    assert installed_of("13") == ("cudf-cu13", "cuml-cu13")


def test_headrace_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, WHOLE, {})
    assert [problem.package for problem in problems("13")] == ["headrace"]


@pytest.mark.parametrize("cuda", ["13", "12"])
def test_the_extras_pin_one_release(cuda: str) -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    stated = [line for line in project["optional-dependencies"][extra(cuda)] if not line.startswith("headrace")]
    assert len(stated) == 6
    assert {line.partition("==")[2] for line in stated} == {"26.10.*"}
    assert [line.partition("==")[0] for line in stated if f"-cu{cuda}" in line] == [
        f"cudf-cu{cuda}",
        f"cudf-polars-cu{cuda}",
        f"dask-cudf-cu{cuda}",
        f"cuml-cu{cuda}[dask]",
    ]


def test_what_the_platforms_need() -> None:
    assert PLATFORMS == {"13": (580, (13, 0), (7, 5)), "12": (535, (12, 2), (7, 0))}
