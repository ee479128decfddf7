"""Names, leases, retirement, garbage collection and appends in an object store."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from tests.catalog.conftest import FRAME, fill

from headrace import open_dataset
from headrace.catalog import append as module
from headrace.catalog.append import append
from headrace.catalog.build import Build, new_build
from headrace.catalog.collect import collect
from headrace.catalog.commit import Published, publish
from headrace.catalog.leases import leased, leases
from headrace.catalog.manifest import Manifest
from headrace.catalog.refs import refs, tag, untag
from headrace.catalog.retire import retire
from headrace.catalog.sketch import sketch_rows
from headrace.catalog.sketch_files import FOLDER, save_sketches
from headrace.catalog.store import get, names, open_store
from headrace.catalog.verify import verify
from headrace.schemas.errors import ConflictError, DataError

MORE = FRAME.with_columns(pl.col("delay") + 100)
LATER = datetime.now(UTC) + timedelta(days=8)


def filled(catalog: str, frame: pl.DataFrame) -> tuple[Build, Manifest]:
    build = new_build(catalog, "demo")
    save_sketches(build.path / FOLDER, {"train": sketch_rows(frame), "test": sketch_rows(frame.head(2))})
    return build, fill(build, frame)


def first(catalog: str) -> Published:
    return publish(catalog, "demo", *filled(catalog, FRAME))


def test_names_move_and_readers_follow(catalog: str, make: Any) -> None:
    make()
    make()
    store = open_store(f"{catalog}/demo")
    tag(store, "prod", 1, expected=None)
    assert open_dataset(f"{catalog}/demo@prod").version == 1
    tag(store, "prod", 2, expected=1)
    with pytest.raises(ConflictError, match="prod is version 2, expected version 1"):
        tag(store, "prod", 1, expected=1)
    assert open_dataset(f"{catalog}/demo", "prod").version == 2
    untag(store, "prod")
    assert refs(store) == {}
    assert [name.rpartition("/")[2] for name in names(store, "_refs/prod")] == [f"{n:08d}.json" for n in (1, 2, 3)]


def test_movers_at_once_lose_no_record(catalog: str, make: Any) -> None:
    make()
    make()
    store = open_store(f"{catalog}/demo")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: tag(store, "prod", 1 + n % 2), range(16)))
    records = [json.loads(get(store, name) or b"") for name in names(store, "_refs/prod")]
    assert [record["number"] for record in records] == list(range(1, len(records) + 1))
    assert [record["before"] for record in records] == [None, *(record["version"] for record in records[:-1])]


def test_an_append_lists_the_older_shards_and_they_outlive_their_version(catalog: str) -> None:
    old = first(catalog)
    new = append(catalog, "demo", *filled(catalog, MORE))
    store = open_store(f"{catalog}/demo")
    assert leases(store) == {}
    retire(store, 1, reason="superseded")
    found = collect(store, remove=True, at=LATER)
    assert [one.path for one in found.garbage] == [f"builds/{old.build}"]
    assert names(store, f"builds/{old.build}") == [
        f"builds/{old.build}/test/part-00000.parquet",
        f"builds/{old.build}/train/part-00000.parquet",
    ]
    dataset = open_dataset(f"{catalog}/demo")
    assert (dataset.version, dataset.record.build) == (2, new.build)
    assert dataset.to_polars("train").equals(pl.concat([FRAME, MORE]))
    assert dataset.manifest.columns[0].statistics["train"].max == 108.5
    assert verify(dataset) == []
    with pytest.raises(DataError, match="was retired on"):
        open_dataset(f"{catalog}/demo@1")


def test_a_lost_race_uploads_what_belongs_to_the_new_head(catalog: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first(catalog)
    whole = module._whole

    def late(*arguments: Any) -> Manifest:
        monkeypatch.setattr(module, "_whole", whole)
        described = whole(*arguments)
        append(catalog, "demo", *filled(catalog, MORE.head(2)))
        return described

    monkeypatch.setattr(module, "_whole", late)
    assert append(catalog, "demo", *filled(catalog, MORE.tail(2))).version == 3
    dataset = open_dataset(f"{catalog}/demo")
    assert dataset.to_polars("train").equals(pl.concat([FRAME, MORE.head(2), MORE.tail(2)]))
    assert dataset.manifest.columns[0].statistics["train"].count == 8
    assert verify(dataset) == []


def test_what_is_leased_is_not_collected(catalog: str, make: Any) -> None:
    make()
    make()
    store = open_store(f"{catalog}/demo")
    with leased(store, 1, "train", last=timedelta(days=9)):
        retire(store, 1, reason="x", force=True)
        assert collect(store, remove=True, at=LATER).garbage == ()
        assert verify(open_dataset(f"{catalog}/demo@1", allow_retired=True)) == []
    assert len(collect(store, remove=True, at=LATER).garbage) == 1
    assert verify(open_dataset(f"{catalog}/demo")) == []
    assert collect(store, remove=True, at=LATER).garbage == ()


def test_a_build_that_was_uploaded_and_never_committed_goes_when_it_is_old(catalog: str, make: Any) -> None:
    make()
    build, manifest = filled(catalog, FRAME)
    build.finish(manifest)
    store = open_store(f"{catalog}/demo")
    assert collect(store, remove=True).garbage == ()
    (found,) = collect(store, remove=True, at=LATER).garbage
    assert (found.path, found.files) == (f"builds/{build.id}", len(manifest.files) + 3)
    assert names(store, f"builds/{build.id}") == []
