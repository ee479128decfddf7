"""The example of appending in docs/catalog.md, run as it stands there."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from headrace.cli import cli

pytestmark = pytest.mark.slow  # three runs

PAGE = Path(__file__).parents[2] / "docs" / "catalog.md"


def commands() -> Iterator[list[str]]:
    block = PAGE.read_text(encoding="utf-8").partition("## Appending")[2].partition("```sh\n")[2].partition("```")[0]
    return (shlex.split(line, comments=True) for line in block.splitlines())


def test_the_example_of_appending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFECT_API_URL", "")
    monkeypatch.delenv("HEADRACE_CATALOG", raising=False)
    assert CliRunner().invoke(cli, ["init", "shop"]).exit_code == 0
    monkeypatch.chdir(tmp_path / "shop")
    june = pl.read_parquet("data/orders-2025-06.parquet")
    july = june.with_columns(pl.col("order_id") + 1_000_000, pl.col("ordered_at") + timedelta(days=30))
    july.head(500).write_parquet("orders-2025-07.parquet")
    said = []
    for command, *words in commands():
        if command == "cp":
            shutil.copy(*words)
            continue
        assert command == "headrace"
        ran = CliRunner().invoke(cli, words)
        assert ran.exit_code == 0, ran.output
        said.append(ran.stdout)
    first, second, third = said
    assert first.startswith("shop@1 ")
    assert second.startswith("shop@2 ")
    assert "note: appended to shop@1: 1 new of 7 files" in second
    assert third.startswith("shop@2 ")
    assert "note: nothing to append: shop@2 has the rows of all 7 files already" in third
    assert len(list(Path("published/shop/builds").iterdir())) == 2
