from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import Result
from tests.catalog.conftest import FRAME, fill

from headrace.catalog.build import new_build
from headrace.catalog.commit import publish
from headrace.catalog.manifest import BaselineResult, Input, PipelineRef
from headrace.catalog.retire import retire
from headrace.catalog.store import open_store

Invoke = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("three")


def baseline(auc: float) -> BaselineResult:
    metrics = {"train": {"auc": 0.9}, "test": {"auc": auc, "log_loss": 0.31}}
    return BaselineResult(name="forest", estimator="f", task="classification", target="late", metrics=metrics)


@pytest.fixture
def three(tmp_path: Path) -> None:
    """A catalog with three versions of `demo`: the second is a patch, the third breaks."""
    catalog, rows = tmp_path / "published", pl.concat([FRAME] * 100)
    always = rows.with_columns(pl.lit(4, pl.Int32).alias("carrier"))
    read = Input(path="a.parquet", bytes=9, rows=400, fingerprint="a")
    versions: list[tuple[pl.DataFrame, dict[str, Any]]] = [
        (rows, {"baselines": (baseline(0.7),), "inputs": (read,)}),
        (always, {"baselines": (baseline(0.8),), "inputs": (read,)}),
        (always.drop("carrier"), {"pipeline": PipelineRef(name="x", sha256="ab" * 32)}),
    ]
    for frame, changes in versions:
        build = new_build(catalog, "demo")
        publish(catalog, "demo", build, fill(build, frame, **changes))


def test_two_versions(invoke: Invoke) -> None:
    result = invoke("datasets", "diff", "demo@1", "demo@2")
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[:13] == [
        "demo@1 -> demo@2: patch, only rows and values",
        "",
        "split rows were are files were are",
        "train 400 400 1 1",
        "test 2 2 1 1",
        "",
        "split column drift PSI nulls distinct min mean max",
        "train carrier major 7.2527 0 3 -> 1 2 -> 4 2.75 -> 4 4",
        "test carrier major 17.7249 0 2 -> 1 2 -> 4 2.5 -> 4 3 -> 4",
        "",
        "baseline on test auc",
        "forest 0.7000 -> 0.8000",
        "",
    ]
    assert all(line.startswith("size: ") for line in lines[13:])


def test_with_the_version_before(invoke: Invoke) -> None:
    result = invoke("datasets", "diff", "demo")
    lines = result.stdout.splitlines()
    assert lines[0] == "demo@2 -> demo@3: major, who reads the first may break on the second"
    assert lines[3].split() == ["major", "carrier", "removed", "int32", "not", "null"]
    assert "inputs gone: 1: a.parquet" in lines
    assert "rows read: 400 -> 0" in lines
    assert any(line.startswith("pipeline: ") and line.endswith(" -> abababababab") for line in lines)


def test_as_json(document: Callable[..., dict[str, Any]]) -> None:
    found = document("datasets", "diff", "demo@1", "demo@2")
    assert found["ok"]
    data = found["data"]
    assert (data["first"], data["second"], data["level"]) == ("demo@1", "demo@2", "patch")
    assert data["statistics"][0]["second"]["mean"] == 4.0
    assert data["drift"]["train"]["columns"][0]["verdict"] == "major"


def test_exit_code_is_for_gates(invoke: Invoke, document: Callable[..., dict[str, Any]]) -> None:
    assert invoke("datasets", "diff", "demo@1", "demo@2", "--exit-code").exit_code == 0
    assert invoke("datasets", "diff", "demo").exit_code == 0
    result = invoke("datasets", "diff", "demo", "--exit-code")
    assert result.exit_code == 1
    assert "error[data]: demo@3: the change from demo@2 is major: carrier" in result.stderr
    assert result.stdout.startswith("demo@2 -> demo@3: major")
    failed = document("datasets", "diff", "demo", "--exit-code")
    assert (failed["ok"], failed["data"]["level"]) == (False, "major")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["demo@1"], "there is no version before demo@1"),
        (["demo@1", "demo@7"], "demo has no version 7; it has 1 to 3"),
        (["dmeo"], "did you mean 'demo'?"),
        (["demo@x"], "is not a version"),
        ([], "Missing argument"),
    ],
)
def test_what_is_not_there(invoke: Invoke, words: list[str], message: str) -> None:
    result = invoke("datasets", "diff", *words)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_retired_version_can_still_be_compared(invoke: Invoke, tmp_path: Path) -> None:
    retire(open_store(tmp_path / "published" / "demo"), 1, reason="too few rows")
    assert invoke("datasets", "diff", "demo@1", "demo@3").stdout.startswith("demo@1 -> demo@3: major")
    assert invoke("datasets", "diff", "demo@2").exit_code == 2


def test_no_change(invoke: Invoke) -> None:
    lines = invoke("datasets", "diff", "demo@1", "demo@1").stdout.splitlines()
    assert lines[0] == "demo@1 -> demo@1: no change"
    assert lines[3].split() == ["train", "400", "400", "1", "1", "the", "same"]
    assert len(lines) == 5
