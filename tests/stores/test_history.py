"""Names, retirement and collection of versions in a store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.catalog.conftest import fill

from headrace import open_dataset
from headrace.catalog import refs
from headrace.catalog.build import new_build
from headrace.catalog.collect import collect
from headrace.catalog.place import Place
from headrace.catalog.retire import retire
from headrace.catalog.store import names, open_store
from headrace.schemas.errors import DataError


def test_a_retired_version_and_a_build_without_a_commit_are_collected(make: Callable[..., Any], catalog: str) -> None:
    first, second = make(), make()
    orphan = new_build(catalog, "demo")
    orphan.finish(fill(orphan))
    store = open_store(Place.of(catalog) / "demo")
    retire(store, 1, reason="wrong labels")
    with pytest.raises(DataError, match=r"demo@1 was retired .*: wrong labels"):
        open_dataset(f"{catalog}/demo@1")
    later = datetime.now(UTC) + timedelta(days=30)
    found = collect(store, remove=True, at=later)
    assert {one.path for one in found.garbage} == {f"builds/{first.build}", f"builds/{orphan.id}"}
    left = {name.split("/")[1] for name in names(store, "builds")}
    assert left == {second.build}
    assert open_dataset(f"{catalog}/demo").to_polars("train").height == 4


def test_a_name_moves(make: Callable[..., Any], catalog: str) -> None:
    make()
    make()
    store = open_store(Place.of(catalog) / "demo")
    for version in (1, 2, 1):
        refs.tag(store, "prod", version)
        assert open_dataset(f"{catalog}/demo@prod").version == version
