"""Versions that list the shards of the one before, in an object store."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.catalog.conftest import FRAME, fill
from tests.failures.shop import Shop, rows
from tests.stores.servers import Moto

from headrace import open_dataset
from headrace.catalog.append import append
from headrace.catalog.build import Build, new_build
from headrace.catalog.commit import publish
from headrace.catalog.leases import leases
from headrace.catalog.manifest import Manifest
from headrace.catalog.sketch import sketch_rows
from headrace.catalog.sketch_files import FOLDER, save_sketches
from headrace.catalog.staging import work_folder
from headrace.catalog.store import open_store
from headrace.catalog.verify import verify
from headrace.pipelines.build import build
from headrace.pipelines.options import RunOptions

pytestmark = pytest.mark.slow


def shards_sent(moto: Moto, method: str = "PUT") -> int:
    return sum(asked == method and ".parquet" in path and "/train/" in path for asked, path in moto.requests)


def filled(catalog: str, frame: pl.DataFrame) -> tuple[Build, Manifest]:
    made = new_build(catalog, "demo")
    save_sketches(made.path / FOLDER, {"train": sketch_rows(frame), "test": sketch_rows(frame.head(2))})
    return made, fill(made, frame)


def test_a_run_appends_and_the_loader_reads_the_rows_of_both(
    shop: Shop, catalog: str, moto: Moto, tmp_path: Path
) -> None:
    shop.plain["output"] = {"keep": ["id"]}
    options: dict[str, Any] = {"catalog": catalog, "engine": "cpu"}
    assert build(shop.pipeline(), RunOptions(**options)).version == 1
    first = open_dataset(f"{catalog}/shop")
    shop.write(rows(2), "part-2.parquet")
    moto.requests.clear()
    record = build(shop.pipeline(), RunOptions(**options, append=True))
    assert (record.version, record.rows_in, record.rows_published) == (2, 80, 80)
    assert record.notes == ("appended to shop@1: 1 new of 3 files",)
    assert shards_sent(moto) == 1, "the older shards stay where they are"
    second = open_dataset(f"{catalog}/shop")
    builds = [file.build for file in second.manifest.splits["train"].files]
    assert builds == [first.record.build, None]
    assert [source.path for source in second.manifest.inputs] == ["part-0.parquet", "part-1.parquet", "part-2.parquet"]
    for level in ("size", "sha256", "pages"):
        assert verify(second, level=level) == []
    shutil.rmtree(tmp_path / "cache")
    loaders = [
        second.numpy_loader(split, ["id", "price", "city"], batch_size=8, drop_last=False) for split in second.splits
    ]
    batches = [batch for loader in loaders for batch in loader]
    found = pl.concat([pl.DataFrame(batch) for batch in batches]).sort("id")
    assert found["id"].to_list() == list(range(240))
    published = pl.concat([second.to_polars(split) for split in second.splits]).sort("id")
    assert found.equals(published.select("id", "price", "city"))
    assert build(shop.pipeline(), RunOptions(**options, append=True)).version == 2
    assert not [path for path in work_folder(catalog).rglob("*") if path.is_file()]


def test_a_build_of_ones_own_is_appended(catalog: str, moto: Moto) -> None:
    more = FRAME.with_columns(pl.col("delay") + 100)
    first = publish(catalog, "demo", *filled(catalog, FRAME))
    moto.requests.clear()
    made, manifest = filled(catalog, more)
    second = append(catalog, "demo", made, manifest)
    assert (second.version, second.created) == (2, True)
    assert shards_sent(moto) == 1
    assert not made.path.exists()
    dataset = open_dataset(f"{catalog}/demo")
    assert [file.build for file in dataset.manifest.splits["train"].files] == [first.build, None]
    assert verify(dataset, level="pages") == []
    rows_of_both = pl.concat([FRAME, more])
    assert dataset.to_polars("train").equals(rows_of_both)
    loader = dataset.numpy_loader("train", list(FRAME.columns), batch_size=2, shuffle=False, drop_last=False)
    assert pl.concat([pl.DataFrame(batch) for batch in loader]).rows() == rows_of_both.rows()
    assert list(leases(open_store(f"{catalog}/demo"))) == []
    assert open_dataset(f"{catalog}/demo", 1).to_polars("train").equals(FRAME)
