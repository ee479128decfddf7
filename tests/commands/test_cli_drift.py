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

Invoke = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("two")


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A catalog with two versions of `demo`; in the second the carrier is always 4."""
    catalog = tmp_path / "published"
    rows = pl.concat([FRAME] * 100)
    for frame in (rows, rows.with_columns(pl.lit(4, pl.Int32).alias("carrier"))):
        build = new_build(catalog, "demo")
        publish(catalog, "demo", build, fill(build, frame))
    return catalog


def test_two_versions(invoke: Invoke) -> None:
    result = invoke("datasets", "drift", "demo@1", "demo@2")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "demo@1/train: 400 rows; demo@2/train: 400 rows"
    assert lines[2].split()[:2] == ["carrier", "major"]
    assert lines[2].endswith("3 -> 1    -2 -3")
    assert [line.split()[0] for line in lines[2:]] == ["carrier", "delay", "late"]


def test_as_json(document: Callable[..., dict[str, Any]]) -> None:
    data = document("datasets", "drift", "demo@1", "demo@2")["data"]
    assert (data["first"], data["second"], data["rows"]) == ("demo@1/train", "demo@2/train", [400, 400])
    assert data["columns"][0]["vanished"] == [2, 3]


@pytest.mark.parametrize(
    ("words", "first", "second"),
    [
        (["demo@1/train", "demo@1/test"], "demo@1/train", "demo@1/test"),
        (["demo/test", "demo@1"], "demo@2/test", "demo@1/test"),
        (["demo@1", "demo", "--split", "test"], "demo@1/test", "demo@2/test"),
        (["published/demo@1", "published/demo/test"], "demo@1/train", "demo@2/test"),
    ],
)
def test_how_both_are_named(document: Callable[..., dict[str, Any]], words: list[str], first: str, second: str) -> None:
    data = document("datasets", "drift", *words)["data"]
    assert (data["first"], data["second"]) == (first, second)


def test_a_gate(invoke: Invoke, document: Callable[..., dict[str, Any]]) -> None:
    gate = ("datasets", "drift", "demo@1", "demo@2", "--max-psi")
    assert invoke(*gate, "10").exit_code == 0
    result = invoke(*gate, "0.2")
    assert result.exit_code == 1
    assert "1 of 3 columns have a PSI of more than 0.2: carrier" in result.stderr
    assert result.stdout.startswith("demo@1/train")
    failed = document(*gate, "0.2")
    assert failed["data"]["columns"][0]["name"] == "carrier"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["demo/trian", "demo"], "demo@2 has no split 'trian'; did you mean 'train'?"),
        (["demo/train", "demo", "--split", "test"], "--split test is for both, and demo/train names a split as well"),
        (["demo", "demo", "--split", "valid"], "demo@2 has no split 'valid'"),
        (["demo@1", "demo@9"], "demo has no version 9; it has 1 to 2"),
        (["demo", "dmeo"], "dmeo"),
        (["demo", "demo", "--max-psi", "-1"], "-1"),
    ],
)
def test_what_is_not_there(invoke: Invoke, words: list[str], message: str) -> None:
    result = invoke("datasets", "drift", *words)
    assert result.exit_code == 2
    assert message in result.stderr


def test_columns_that_are_out_of_fold_in_one_of_the_two_are_named(
    tmp_path: Path, invoke: Invoke, document: Callable[..., dict[str, Any]]
) -> None:
    rows = pl.concat([FRAME.head(2)] * 50 + [FRAME.tail(2)] * 1000)  # of which `test` has the first two
    for _ in range(2):
        build = new_build(tmp_path / "published", "encoded")
        manifest = fill(build, rows)
        columns = tuple(
            column.model_copy(update={"source": "TargetEncode" if column.name == "delay" else "Clip"})
            for column in manifest.columns
        )
        publish(tmp_path / "published", "encoded", build, manifest.model_copy(update={"columns": columns}))
    apart = document("datasets", "drift", "encoded/train", "encoded/test")["data"]
    assert apart["out_of_fold"] == ["delay"]
    assert document("datasets", "drift", "encoded@1", "encoded@2")["data"]["out_of_fold"] == []
    shown = invoke("datasets", "drift", "encoded/train", "encoded/test").stdout
    assert shown.splitlines()[-1].startswith("note: delay: encoded by the label, in one of the two out of fold")
