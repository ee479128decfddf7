from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import Result

from headrace.commands.init import write_project
from headrace.engines import translation
from headrace.pipelines.translate import Finding
from headrace.schemas.errors import CapabilityError


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("projects") / "shop"
    write_project(folder)
    return folder


@pytest.fixture
def shop(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "shop")) / "pipeline.yaml"


@pytest.mark.slow  # imports cudf-polars
def test_check_reports_source_features_and_gpu(invoke: Callable[..., Result], shop: Path) -> None:
    result = invoke("check", shop)
    assert result.exit_code == 0
    assert "6 files, 24,000 rows" in result.stdout
    assert "customer_target" in result.stdout
    assert "GPU       " in result.stdout


def test_without_cudf_polars_the_gpu_is_not_checked_and_it_says_so(
    document: Callable[..., dict[str, Any]], shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent() -> None:
        raise CapabilityError("cudf-polars is not installed", hint="pip install it")

    monkeypatch.setattr(translation, "require", absent)
    gpu = document("check", shop)["data"]["gpu"]
    assert gpu == {"checked": False, "words": "not checked: cudf-polars is not installed (pip install it)", "steps": []}


def test_what_does_not_translate_is_named_by_step(
    invoke: Callable[..., Result], shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(translation, "require", lambda: None)
    monkeypatch.setattr(translation, "untranslatable", lambda _: ["NotImplementedError: cut"])
    result = invoke("check", shop)
    assert "7 of 7 steps do not translate" in result.stdout
    assert "  step 1 Derive(amount): NotImplementedError: cut" in result.stdout


def test_a_contract_that_does_not_translate_is_named_apart_from_the_steps(
    invoke: Callable[..., Result], shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(translation, "require", lambda: None)
    found = [Finding(number=0, part="contract", kernels=(), lacking=("Strptime",))]
    monkeypatch.setattr("headrace.pipelines.translate.translated", lambda _: found)
    result = invoke("check", shop)
    assert "all 7 steps translate, but the contract does not" in result.stdout


def test_a_wrong_step_is_named(invoke: Callable[..., Result], shop: Path) -> None:
    shop.write_text(shop.read_text().replace("columns: [country, product]", "columns: [county]"))
    result = invoke("check", shop)
    assert result.exit_code == 2
    assert result.stderr.startswith("error[pipeline]: ")
    assert "county" in result.stderr


def test_an_unknown_pipeline_is_usage(invoke: Callable[..., Result]) -> None:
    assert invoke("check", "nothing.yaml").exit_code == 2
    assert invoke("check", "flihgts").exit_code == 2


def test_a_damaged_file_is_named(invoke: Callable[..., Result], shop: Path) -> None:
    (shop.parent / "data" / "orders-2025-03.parquet").write_bytes(b"no parquet")
    result = invoke("check", shop)
    assert result.exit_code == 1
    assert "orders-2025-03.parquet" in result.stderr


OWN = """
import polars as pl
from headrace.transforms.base import Transform
from headrace.transforms.columns import Columns

class Twice(Transform):
    columns: Columns

    def apply(self, frame, engine):
        return frame.with_columns(pl.col(column) * 2 for column in self.columns)
"""


def test_operators_of_ones_own_are_imported_where_that_is_allowed(
    invoke: Callable[..., Result], shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(shop.parent)
    (shop.parent / "own_steps.py").write_text(OWN)
    text = shop.read_text().replace("steps:\n", "steps:\n  - own_steps:Twice: {columns: [price]}\n", 1)
    shop.write_text(text)
    refused = invoke("plan", shop)
    assert refused.exit_code == 2
    assert "--allow own_steps" in refused.stderr
    assert invoke("plan", shop, "--allow", "own_steps").exit_code == 0


def test_a_field_called_on_needs_no_quotes(invoke: Callable[..., Result], shop: Path) -> None:
    pl.DataFrame({"country": ["DE", "FR"], "vat": [19, 20]}).write_parquet(shop.parent / "vat.parquet")
    text = shop.read_text()
    text = text.replace("steps:\n", "steps:\n  - LookupJoin: {table: vat, on: country}\n", 1)
    text = text.replace("  path: data/*.parquet", "  tables: {vat: vat.parquet}\n  path: data/*.parquet", 1)
    shop.write_text(text)
    result = invoke("plan", shop)
    assert result.exit_code == 0, result.stderr
