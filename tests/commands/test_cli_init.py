from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import Result

from headrace.commands.orders import DAMAGED, MONTHS, ROWS_A_MONTH, write_orders


def test_init_writes_a_project(invoke: Callable[..., Result], tmp_path: Path) -> None:
    result = invoke("init", "shop")
    assert result.exit_code == 0
    assert {path.name for path in (tmp_path / "shop").iterdir()} == {
        "README.md",
        "contract.odcs.yaml",
        "data",
        "flow.py",
        "pipeline.yaml",
    }
    assert len(list((tmp_path / "shop" / "data").glob("*.parquet"))) == MONTHS
    assert "$name" not in (tmp_path / "shop" / "pipeline.yaml").read_text()
    compile((tmp_path / "shop" / "flow.py").read_text(), "flow.py", "exec")
    assert "cd shop && headrace run pipeline.yaml" in result.stderr


@pytest.mark.parametrize("name", ["Shop", "-shop", "a b", "x" * 64])
def test_init_refuses_names_that_no_dataset_can_have(invoke: Callable[..., Result], name: str, tmp_path: Path) -> None:
    assert invoke("init", "--", name).exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_init_never_writes_over(invoke: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    result = invoke("init", "shop")
    assert result.exit_code == 4
    assert list((tmp_path / "shop").iterdir()) == []


@pytest.mark.slow  # imports cudf-polars
def test_the_new_project_passes_check(
    invoke: Callable[..., Result], document: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    invoke("init", "shop")
    found = document("check", tmp_path / "shop" / "pipeline.yaml")
    assert found["ok"] is True
    assert found["data"]["source"] == {"files": 6, "rows": MONTHS * ROWS_A_MONTH, "bad_files": []}
    assert found["data"]["target"] == "returned"
    assert len(found["data"]["features"]) == 9


def test_orders_are_the_same_for_the_same_seed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, again = (pl.read_parquet(write_orders(tmp_path / folder)) for folder in "ab")
    assert first.equals(again)
    assert first.height == MONTHS * ROWS_A_MONTH
    assert first.filter((pl.col("price") < 0) | (pl.col("country") == "??")).height == DAMAGED


@pytest.mark.slow
def test_the_new_project_runs_as_it_is(project: Path) -> None:
    record = json.loads((project / "run.json").read_text())["data"]
    assert record["status"] == "done"
    assert record["version"] == 1
    assert record["rows_in"] == MONTHS * ROWS_A_MONTH
    assert record["rows_quarantined"] == DAMAGED
    by_name = {b["name"]: b["metrics"]["test"] for b in record["baselines"]}
    assert by_name["logistic_regression"]["auc"] > by_name["dummy"]["auc"] == 0.5
