from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from tests.catalog.conftest import fill

from headrace.catalog.build import new_build
from headrace.catalog.commit import publish

Invoke = Callable[..., Result]


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    root = tmp_path / "catalog"
    build = new_build(root, "flights")
    publish(root, "flights", build, fill(build))
    return root


def test_page_writes_one_file(catalog: Path, invoke: Invoke, document: Callable[..., dict[str, Any]]) -> None:
    result = invoke("datasets", "page", "flights@1", "--catalog", catalog, "--out", "flights.html")
    assert result.exit_code == 0
    assert result.stdout.startswith("flights@1: flights.html, ")
    assert "<h1>flights@1</h1>" in Path("flights.html").read_text(encoding="utf-8")
    data = document("datasets", "page", "flights", "--catalog", catalog, "--out", "again.html")["data"]
    assert data == {
        "dataset": "flights",
        "version": 1,
        "path": "again.html",
        "bytes": Path("again.html").stat().st_size,
    }


def test_index_writes_a_page_for_each_dataset(
    catalog: Path, invoke: Invoke, document: Callable[..., dict[str, Any]]
) -> None:
    result = invoke("datasets", "index", "--catalog", catalog, "--out", "site")
    assert result.exit_code == 0
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["site/index.html"],
        ["dataset", "version", "page"],
        ["flights", "1", "site/datasets/flights.html"],
    ]
    data = document("datasets", "index", "--catalog", catalog, "--out", "site")["data"]
    assert (data["path"], data["problems"]) == ("site/index.html", {})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("page", "flight", "--out", "x.html"), "no dataset 'flight'"),
        (("page", "flights@9", "--out", "x.html"), "flights has no version 9"),
        (("page", "flights", "--out", "."), "is a folder, expected the name of a file"),
        (
            ("index", "--out", "p.html"),
            "an index is a folder: index.html, and a page for each dataset beside it\nhint: such as --out p\n",
        ),
        (("page", "flights"), "Missing option '--out'"),
        (("index",), "Missing option '--out'"),
    ],
)
def test_what_cannot_be_done_is_one_clear_error(catalog: Path, invoke: Invoke, words: Any, message: str) -> None:
    result = invoke("datasets", *words, "--catalog", catalog)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not Path("x.html").exists()


def test_no_catalog(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("datasets", "index", "--catalog", tmp_path / "nowhere", "--out", "site")
    assert result.exit_code == 2
    assert "no catalog at" in result.stderr
    assert not Path("site").exists()
