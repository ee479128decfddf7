from __future__ import annotations

from typing import Any

import pytest
from tests.catalog.pages.manifests import SCRIPT
from tests.catalog.pages.test_dataset_page import Page

from headrace.catalog.listing import Summary

pytest.importorskip("jinja2")
from headrace.catalog.pages.index_page import index_page


def summary(name: str, **more: Any) -> Summary:
    parts: dict[str, Any] = {
        "version": 3,
        "created_at": "2026-03-01T09:30:00.000Z",
        "rows": {"train": 1000, "test": 500},
        "columns": 44,
        "bytes": 54_400_000,
        "path": f"published/{name}",
    }
    return Summary(name, **(parts | more))


def test_a_line_for_each_dataset() -> None:
    found = Page(index_page([summary("ctr"), summary("flights", version=12)], "published", frozenset({"flights"})))
    rest = ["2026-03-01 09:30 UTC", "1,500", "train 1,000, test 500", "44", "51.9 MiB"]
    assert found.row("ctr") == ["ctr", "3", *rest]
    assert found.row("flights") == ["flights", "12", *rest]
    assert [a["href"] for tag, a in found.elements if tag == "a"] == ["datasets/flights.html"]
    assert "3,000" in found.text
    assert "103.8 MiB" in found.text


def test_names_stand_beside_the_version_if_there_are_any() -> None:
    found = Page(index_page([summary("ctr"), summary("flights", refs={"canary": 3, "prod": 2})], "published"))
    assert found.row("flights")[:4] == ["flights", "3", "canary 3, prod 2", "2026-03-01 09:30 UTC"]
    assert found.row("ctr")[:4] == ["ctr", "3", "", "2026-03-01 09:30 UTC"]
    assert "Names" in found.text
    assert "Names" not in Page(index_page([summary("ctr")], "published")).text


def test_one_is_singular() -> None:
    found = Page(index_page([summary("ctr", rows={"train": 1}, columns=1)], "published"))
    words = " ".join(found.text.split())
    assert "dataset1 row1of the latest version on disk51.9 MiBof the latest version" in words
    two = " ".join(Page(index_page([summary("ctr"), summary("flights")], "published")).text.split())
    assert "datasets2 rows3,000of the latest versions" in two


def test_a_dataset_that_cannot_be_read_says_why() -> None:
    broken = summary("broken", created_at="", rows={}, columns=0, bytes=0, problem="manifest.json: is missing")
    assert Page(index_page([broken], "published")).row("broken") == ["broken", "3", "manifest.json: is missing"]


def test_an_empty_catalog() -> None:
    found = Page(index_page([], "published"))
    assert "Nothing was published here yet." in found.text
    assert found.rows == []


def test_nothing_from_the_data_is_markup() -> None:
    text = index_page([summary("x", rows={SCRIPT: 1}, refs={SCRIPT: 3}), summary("y", problem=SCRIPT)], SCRIPT)
    assert text.count("<script") == 1
    assert Page(text).text.count(SCRIPT) == 5  # title, address, name, split and problem


def test_many_datasets_and_twice_the_same_bytes() -> None:
    many = [summary(f"dataset-{number:04d}") for number in range(1000)]
    text = index_page(many, "published", frozenset(found.name for found in many))
    assert len(text.encode()) < 500_000
    assert text == index_page(list(many), "published", frozenset(found.name for found in many))
