from __future__ import annotations

from pathlib import Path
from typing import Any

import obstore
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.catalog.conftest import FRAME
from tests.stores.servers import Moto

from headrace import open_dataset
from headrace.catalog import refs
from headrace.catalog.listing import history, list_datasets
from headrace.catalog.place import Place
from headrace.catalog.store import names, open_store
from headrace.catalog.verify import verify
from headrace.schemas.errors import CapabilityError, DataError, UsageError


def test_a_published_dataset_is_read_back(make: Any, catalog: str) -> None:
    published = make()
    dataset = open_dataset(f"{catalog}/demo")
    assert (dataset.version, dataset.uri) == (1, f"{catalog}/demo/builds/{published.build}")
    assert published.uri == dataset.uri
    assert dataset.rows == {"train": 4, "test": 2}
    assert_frame_equal(dataset.to_polars("train"), FRAME)
    assert_frame_equal(dataset.to_polars(), pl.concat([FRAME, FRAME.head(2)]))
    assert dataset.arrow("train", ["late"]).column("late").to_pylist() == [0, 0, 0, 1]
    assert repr(dataset).endswith(f"{dataset.uri})")


def test_what_is_of_folders_only_says_what_to_do(make: Any, catalog: str) -> None:
    published = make()
    dataset = open_dataset(f"{catalog}/demo")
    for ask in (lambda: dataset.path, lambda: dataset.folder, lambda: published.path):
        with pytest.raises(CapabilityError, match="lies in an object store, not in a folder") as caught:
            ask()
        assert "files()" in caught.value.hint
        assert caught.value.where.startswith(catalog)


def test_files_are_fetched_once_and_into_the_cache_alone(make: Any, catalog: str, moto: Moto, tmp_path: Path) -> None:
    make()
    before = names(open_store(Place.of(catalog)), "")
    dataset = open_dataset(f"{catalog}/demo", cache_dir=tmp_path / "other")
    first = dataset.files("train")
    assert all(path.is_relative_to(tmp_path / "other" / "files") for path in first)
    moto.requests.clear()
    assert dataset.files("train") == first
    assert open_dataset(f"{catalog}/demo", cache_dir=tmp_path / "other").files("train") == first
    shard = dataset.manifest.splits["train"].files[0]
    assert not [path for method, path in moto.requests if path.endswith(shard.path)]
    assert names(open_store(Place.of(catalog)), "") == before


def test_the_state_lies_beside_its_files(make: Any, catalog: str) -> None:
    make()
    state = open_dataset(f"{catalog}/demo").state_path
    assert state is not None
    assert state.read_bytes() == b'{"steps": []}'
    assert sorted(path.name for path in state.parent.iterdir()) == ["carrier.parquet", "pipeline.json"]


def test_versions_are_asked_for_by_number_and_name(make: Any, catalog: str) -> None:
    make(frame=FRAME.head(3))
    make()
    refs.tag(open_store(Place.of(catalog) / "demo"), "prod", 1)
    for uri, version in (
        (f"{catalog}/demo@1", "latest"),
        (f"{catalog}/demo", "prod"),
        (f"{catalog}/demo@prod", "latest"),
    ):
        assert open_dataset(uri, version).rows["train"] == 3
    assert open_dataset(f"{catalog}/demo").version == 2


def test_the_catalog_is_listed(make: Any, catalog: str) -> None:
    make("one")
    make("two")
    make("two", frame=FRAME.head(3))
    found = {d.name: (d.version, d.rows["train"], d.path) for d in list_datasets(catalog)}
    assert found == {"one": (1, 4, f"{catalog}/one"), "two": (2, 3, f"{catalog}/two")}
    assert [(v.record.version, v.rows) for v in history(f"{catalog}/two")] == [
        (2, {"train": 3, "test": 2}),
        (1, {"train": 4, "test": 2}),
    ]


def test_what_is_not_there_is_said_with_near_names(make: Any, catalog: str) -> None:
    make("flights")
    with pytest.raises(UsageError, match=r"no dataset 'flight' in s3://.*did you mean 'flights'"):
        open_dataset(f"{catalog}/flight")
    with pytest.raises(UsageError, match="is a catalog, not a dataset; it holds flights"):
        open_dataset(catalog)
    with pytest.raises(UsageError, match="no catalog at s3://"):
        open_dataset(f"{catalog}-2/flights")
    with pytest.raises(UsageError, match="no catalog at s3://"):
        list_datasets(f"{catalog}-2")
    with pytest.raises(UsageError, match="has no version 7; it has 1"):
        open_dataset(f"{catalog}/flights@7")
    with pytest.raises(UsageError, match="no dataset 'flight'"):
        history(f"{catalog}/flight")


def test_a_dataset_as_published_has_no_damage(make: Any, catalog: str, moto: Moto, tmp_path: Path) -> None:
    make()
    moto.requests.clear()
    assert verify(f"{catalog}/demo", "size") == []
    assert not [path for _, path in moto.requests if path.endswith(".parquet")]
    assert verify(f"{catalog}/demo", "sha256") == []
    assert verify(f"{catalog}/demo", "pages") == []
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").glob("files/*/*"))


def test_any_damage_is_found_and_named(make: Any, catalog: str) -> None:
    published = make()
    store = open_store(Place.of(catalog) / "demo")
    files = names(store, f"builds/{published.build}")
    assert len(files) == 9
    for name in files:
        data = bytes(obstore.get(store, name).bytes())
        path = name.split("/", 2)[2]
        for spoiled, problem in ((data[:-1], "size"), (bytes([data[0] ^ 1]) + data[1:], "sha256"), (None, "missing")):
            if spoiled is None:
                obstore.delete(store, name)
            else:
                obstore.put(store, name, spoiled)
            expected = "manifest" if path == "manifest.json" else problem
            found = verify(f"{catalog}/demo")
            assert [(damage.path, damage.problem) for damage in found] == [(path, expected)], (path, problem)
        obstore.put(store, name, data)
    obstore.put(store, f"builds/{published.build}/stranger", b"x")
    assert [(damage.path, damage.problem) for damage in verify(f"{catalog}/demo")] == [("stranger", "unlisted")]


def test_a_missing_manifest_is_named(make: Any, catalog: str) -> None:
    published = make()
    obstore.delete(open_store(Place.of(catalog) / "demo"), f"builds/{published.build}/manifest.json")
    with pytest.raises(DataError, match="manifest of version 1 cannot be read: it is missing"):
        open_dataset(f"{catalog}/demo")
