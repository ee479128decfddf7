from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.catalog.listing import history, list_datasets
from headrace.catalog.refs import tag, untag
from headrace.catalog.store import open_store
from headrace.schemas.errors import UsageError


@pytest.mark.slow
def test_datasets_are_listed_by_name_with_their_latest_version(make: Any, catalog: Path) -> None:
    make("flights")
    make("flights")
    make("ctr")
    found = list_datasets(catalog)
    assert [(one.name, one.version, one.rows, one.columns) for one in found] == [
        ("ctr", 1, {"train": 4, "test": 2}, 3),
        ("flights", 2, {"train": 4, "test": 2}, 3),
    ]
    assert found[0].path == str(catalog / "ctr")
    assert found[0].bytes > 2_000


def test_what_was_never_published_is_not_listed(filled: Callable[..., Any], catalog: Path) -> None:
    filled()
    (catalog / "notes").mkdir()
    (catalog / "file").write_text("x")
    assert list_datasets(catalog) == []


def test_a_dataset_is_no_catalog(make: Any, catalog: Path) -> None:
    make("flights")
    with pytest.raises(UsageError) as caught:
        list_datasets(catalog / "flights")
    assert caught.value.message == f"{catalog / 'flights'} is a dataset, not a catalog"
    assert caught.value.hint == f"headrace datasets list --catalog {catalog}"


def test_a_damaged_dataset_is_listed_with_its_problem(make: Any, catalog: Path) -> None:
    make("good")
    make("bad").path.joinpath("manifest.json").unlink()
    bad, good = list_datasets(catalog)
    assert (bad.name, bad.version, bad.rows) == ("bad", 1, {})
    assert "manifest of version 1 cannot be read" in bad.problem
    assert good.problem == ""


def test_names_of_versions_are_listed(make: Any, catalog: Path) -> None:
    make()
    make()
    make("other")
    for name, version in (("prod", 1), ("canary", 2), ("prod", 2), ("old", 1)):
        tag(open_store(catalog / "demo"), name, version)
    untag(open_store(catalog / "demo"), "old")
    demo, other = list_datasets(catalog)
    assert demo.refs == {"canary": 2, "prod": 2}
    assert other.refs == {}


def test_a_damaged_name_is_a_problem(make: Any, catalog: Path) -> None:
    make()
    tag(open_store(catalog / "demo"), "prod", 1)
    (catalog / "demo/_refs/prod/00000001.json").write_text("{")
    [found] = list_datasets(catalog)
    assert "_refs/prod/00000001.json" in found.problem


def test_no_catalog_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no catalog at"):
        list_datasets(tmp_path / "nowhere")


def test_history_is_newest_first_and_says_what_cannot_be_read(make: Any, catalog: Path) -> None:
    first = make(key="run-1")
    make()
    first.path.joinpath("manifest.json").unlink()
    found = history(catalog / "demo")
    assert [(one.record.version, one.rows) for one in found] == [(2, {"train": 4, "test": 2}), (1, None)]
    assert found[1].record.idempotency_key == "run-1"
    with pytest.raises(UsageError, match="no dataset 'dmo'"):
        history(catalog / "dmo")
