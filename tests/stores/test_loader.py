"""The loader on a dataset in an object store."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import obstore
import polars as pl
import pyarrow as pa
import pytest
from tests.catalog.loader.worlds import published
from tests.stores.conftest import Make
from tests.stores.servers import Moto

from headrace import open_dataset
from headrace.catalog.loader import fill
from headrace.catalog.loader.shards import Checked
from headrace.catalog.records import File
from headrace.catalog.store import open_store
from headrace.schemas.errors import DataError

ROWS = 1_000
FRAME = pl.DataFrame({"id": range(ROWS), "x": [n / 2 for n in range(ROWS)]})


def shards(moto: Moto) -> int:
    return sum(method == "GET" and ".parquet" in path for method, path in moto.requests)


def test_every_row_once_and_every_shard_fetched_once(make: Make, catalog: str, moto: Moto) -> None:
    make(frame=FRAME)
    loader = open_dataset(f"{catalog}/demo").numpy_loader("train", ["id", "x"], batch_size=128, drop_last=False)
    assert shards(moto) == 0
    orders = []
    for epoch in range(2):
        loader.set_epoch(epoch)
        batches = list(loader)
        ids = np.concatenate([batch["id"] for batch in batches])
        assert sorted(ids) == list(range(ROWS))
        assert (np.concatenate([batch["x"] for batch in batches]) == ids / 2).all()
        orders.append(ids)
    assert (orders[0] != orders[1]).any()
    files = open_dataset(f"{catalog}/demo").manifest.splits["train"].files
    assert shards(moto) == len(files)


def test_a_shard_that_is_gone_is_named_and_no_thread_waits(make: Make, catalog: str) -> None:
    made = make(frame=FRAME)
    dataset = open_dataset(f"{catalog}/demo")
    path = dataset.manifest.splits["train"].files[0].path
    obstore.delete(open_store(f"{catalog}/demo"), f"builds/{made.build}/{path}")
    with pytest.raises(DataError, match=path):
        list(dataset.numpy_loader("train", ["id"], batch_size=128))


def test_shards_come_while_one_before_them_is_read(catalog: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table({"id": np.arange(2_000)})
    dataset = published(catalog, *((table.slice(start, 400), [400]) for start in range(0, 2_000, 400)))
    came = threading.Semaphore(0)

    def path(checked: Checked, file: File) -> Path | str:
        found = located(checked, file)
        came.release()
        return found

    def waiting(*arguments: Any) -> Any:
        if not first.is_set():
            first.set()
            # The reader's own, and beside it the same and two more: while nothing is decoded.
            assert all(came.acquire(timeout=20) for _ in range(4))
        return decoded(*arguments)

    located, decoded, first = Checked.path, fill.decoded, threading.Event()
    monkeypatch.setattr(Checked, "path", path)
    monkeypatch.setattr(fill, "decoded", waiting)
    batches = dataset.numpy_loader("train", batch_size=100, shuffle=False, threads=1, prefetch=0)
    assert [int(one) for batch in batches for one in batch["id"]] == list(range(2_000))


def test_a_state_goes_on_where_a_copy_of_the_dataset_lies(catalog: str, tmp_path: Path) -> None:
    local = published(tmp_path, (pa.table({"id": np.arange(400)}), [100] * 4))
    store = open_store(f"{catalog}/demo")
    for path in filter(Path.is_file, (tmp_path / "demo").rglob("*")):
        obstore.put(store, str(path.relative_to(tmp_path / "demo")), path)
    loaders = [one.numpy_loader("train", batch_size=40) for one in (local, open_dataset(f"{catalog}/demo"))]
    whole = [batch["id"].tolist() for batch in loaders[0]]
    for saved, resumed in (loaders, loaders[::-1]):
        batches = iter(saved)
        begun = [next(batches)["id"].tolist() for _ in range(3)]
        resumed.load_state_dict(saved.state_dict())
        assert begun + [batch["id"].tolist() for batch in resumed] == whole
