"""`headrace transform` on rows and files that it cannot take: an error that says which, and no half output."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from tests.failures.shop import Shop, rows

from headrace.cli import cli

pytestmark = pytest.mark.slow  # each test is a run


@pytest.fixture
def published(shop: Shop) -> Shop:
    shop.build()
    return shop


def transform(shop: Shop, source: Path, code: str, *says: str) -> None:
    output = shop.folder / "features.parquet"
    words = ["transform", "shop", str(source), str(output), "--catalog", str(shop.catalog)]
    result = CliRunner().invoke(cli, words)
    assert f"error[{code}]: " in result.stderr, result.stderr + result.stdout
    assert [text for text in says if text not in result.stderr] == [], result.stderr
    assert result.exit_code == {"data": 1, "usage": 2}[code]
    assert "Traceback" not in result.stderr
    assert not output.exists()
    assert not [path for path in shop.folder.iterdir() if "features" in path.name]


def test_missing(published: Shop) -> None:
    transform(published, published.folder / "new.parquet", "data", "new.parquet", "no such file")


def test_truncated(published: Shop) -> None:
    path = published.write(rows(1))
    path.write_bytes(path.read_bytes()[:-50])
    transform(published, path, "data", str(path), "truncated")


def test_an_unknown_column(published: Shop) -> None:
    transform(published, published.write(rows(1).with_columns(tax=1.5)), "data", "tax")


def test_files_of_different_columns(published: Shop) -> None:
    path = published.write(rows(1).rename({"city": "town"}))
    transform(published, published.source, "data", str(path), "town")


def test_another_type(published: Shop) -> None:
    path = published.write(rows(1).with_columns(pl.col("price").cast(pl.String)))
    transform(published, path, "data", "price", "String", "Float64")


def test_pages_damaged(published: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    path = published.write(rows(1), compression="uncompressed")
    chunk = pq.read_metadata(path).row_group(0).column(1)
    data = bytearray(path.read_bytes())
    data[chunk.data_page_offset + 50] ^= 0xFF  # the number of values
    path.write_bytes(data)
    transform(published, path, "data", str(path), "a page is damaged")
    assert "panicked" in capfd.readouterr().err
