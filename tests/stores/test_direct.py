"""Datasets that are read straight from a store: what comes over the network, and that nothing is kept."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal
from tests.catalog.dtypes import every_dtype
from tests.catalog.loader.worlds import published
from tests.stores.conftest import Make
from tests.stores.servers import Moto

from headrace import open_dataset
from headrace.catalog import direct
from headrace.catalog.direct import LEAST, requests
from headrace.catalog.reader import Dataset
from headrace.catalog.store import open_store
from headrace.schemas.errors import CapabilityError, DataError, UsageError

ROWS = 40_000
NAMES = ("a", "b", "c", "d")


@pytest.fixture
def cached(catalog: str) -> Dataset:
    """Two shards of two row groups; a column of a row group takes some 80 kB."""
    random = np.random.default_rng(3)
    table = pa.table({"id": np.arange(ROWS, dtype=np.int32), **{name: random.random(ROWS) for name in NAMES}})
    half = ROWS // 2
    return published(catalog, *((table.slice(n * half, half), [half // 2, half // 2]) for n in range(2)))


@pytest.fixture
def dataset(cached: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """The same, opened where no cache can be."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HEADRACE_CACHE", str(tmp_path / "file"))
    return open_dataset(str(cached.place), cache_dir=False)


def objects(dataset: Dataset) -> list[bytes]:
    """The shards, whole."""
    store = open_store(dataset.place)
    names = [f"builds/{dataset.record.build}/{file.path}" for file in dataset.manifest.splits["train"].files]
    return [bytes(obstore.get(store, name).bytes()) for name in names]


def expected_bytes(dataset: Dataset, columns: set[str]) -> int:
    """Of the chunks of some columns, as pyarrow finds them in the whole shards, and of the ends of the shards."""
    total = 0
    for data in objects(dataset):
        footer = pq.read_metadata(io.BytesIO(data))
        assert len(data) > LEAST + 160 * 5 * 2
        total += LEAST + 160 * 5 * 2
        for group in (footer.row_group(number) for number in range(2)):
            chunks = [group.column(at) for at in range(group.num_columns)]
            total += sum(chunk.total_compressed_size for chunk in chunks if chunk.path_in_schema in columns)
    return total


def sent(moto: Moto) -> int:
    return sum(size for path, size in moto.sent if path.endswith(".parquet"))


@pytest.mark.parametrize(
    "read",
    [
        lambda dataset: dataset.arrow("train", ["b", "d"]),
        lambda dataset: dataset.to_polars("train", ["b", "d"]),
        lambda dataset: list(dataset.numpy_loader("train", ["b", "d"], batch_size=800, lanes=1, threads=2)),
    ],
)
def test_chosen_columns_and_footers_are_all_that_comes(
    dataset: Dataset, moto: Moto, read: Callable[[Dataset], Any]
) -> None:
    expected = expected_bytes(dataset, {"b", "d"})
    moto.sent.clear()
    moto.requests.clear()
    read(dataset)
    assert sent(moto) == expected
    asked = [method for method, path in moto.requests if path.endswith(".parquet")]
    assert asked == ["GET"] * (2 + 2 * 2 * 2)  # a footer a shard, two columns of two row groups of two shards


def test_rows_are_those_of_the_cache(cached: Dataset, dataset: Dataset) -> None:
    assert dataset.arrow("train").equals(cached.arrow("train"))
    assert dataset.arrow("train", ["c", "id"]).equals(cached.arrow("train", ["c", "id"]))
    assert dataset.to_polars(columns=["d"]).equals(cached.to_polars(columns=["d"]))
    assert dataset.to_polars("empty").equals(cached.to_polars("empty"))
    assert dataset.to_polars("train", ["id"])["id"].to_list() == list(range(ROWS))


@pytest.mark.parametrize("shuffle", ["rows", "blocks", False])
def test_batches_are_those_of_the_cache(cached: Dataset, dataset: Dataset, shuffle: Any) -> None:
    options: dict[str, Any] = {"batch_size": 3_000, "shuffle": shuffle, "drop_last": False, "lanes": 3, "seed": 5}
    pack = {"both": ["c", "a"]}
    ours = dataset.numpy_loader("train", ["id", *NAMES], pack=pack, threads=3, **options)
    theirs = cached.numpy_loader("train", ["id", *NAMES], pack=pack, **options)
    for one, other in zip(ours, theirs, strict=True):
        assert list(one) == ["id", "b", "d", "both"]
        assert all(np.array_equal(one[name], other[name]) for name in other)


def test_every_dtype_and_lists(make: Make, catalog: str, tmp_path: Path) -> None:
    frame = every_dtype(20, 60)
    make(frame=frame)
    kept = open_dataset(f"{catalog}/demo", cache_dir=tmp_path / "kept")
    straight = open_dataset(f"{catalog}/demo", cache_dir=False)
    assert_frame_equal(straight.to_polars("train"), kept.to_polars("train"))
    assert_frame_equal(straight.to_polars("train", ["struct", "list"]), frame.select("struct", "list"))
    assert straight.arrow().schema == kept.arrow().schema


def test_tensors_need_no_cache(dataset: Dataset) -> None:
    torch = pytest.importorskip("torch")
    assert torch.equal(dataset.torch("train", ["id"], device="cpu")["id"], torch.arange(ROWS, dtype=torch.int32))


def test_what_needs_a_file_says_so(make: Make, catalog: str) -> None:
    make()
    dataset = open_dataset(f"{catalog}/demo", cache_dir=False)
    for ask in (
        lambda: dataset.files("train"),
        lambda: dataset.scan("train"),
        lambda: dataset.local(dataset.manifest.splits["train"].files[0]),
        lambda: dataset.state_path,
    ):
        with pytest.raises(CapabilityError, match=r"was opened without a cache \(cache_dir=False\)") as caught:
            ask()
        assert "to_polars()" in caught.value.hint


def test_hashes_of_whole_files_are_not_promised(catalog: str) -> None:
    with pytest.raises(UsageError, match="cache_dir=False reads parts of them"):
        open_dataset(f"{catalog}/demo", cache_dir=False, verify="always")


def test_on_disk_there_is_no_cache_to_do_without(tmp_path: Path) -> None:
    made = published(tmp_path, (pa.table({"id": [1, 2, 3]}), [3]))
    for verify in ("cache", "always"):
        dataset = open_dataset(made.place, cache_dir=False, verify=verify)
        assert dataset.to_polars("train")["id"].to_list() == [1, 2, 3]
        assert dataset.files("train")[0].is_file()


def spoil(dataset: Dataset, change: Callable[[bytes], bytes | None]) -> str:
    """Change the second shard in the store; its name."""
    store = open_store(dataset.place)
    name = f"builds/{dataset.record.build}/{dataset.manifest.splits['train'].files[1].path}"
    data = change(objects(dataset)[1])
    if data is None:
        obstore.delete(store, name)
    else:
        obstore.put(store, name, data)
    return f"{dataset.place}/{name}"


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]


def in_column(data: bytes) -> bytes:
    """A bit in the middle of column `b` of the second row group."""
    chunk = pq.read_metadata(io.BytesIO(data)).row_group(1).column(2)
    start = min(chunk.data_page_offset, chunk.dictionary_page_offset or chunk.data_page_offset)
    return flipped(data, start + chunk.total_compressed_size // 2)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (in_column, "CRC"),
        (lambda data: data[:-1], "bytes, was published with"),
        (lambda data: data[:100], "has 100 bytes, was published with"),
        (lambda data: data + b"x", "bytes, was published with"),
        (lambda _: None, "is missing"),
        (lambda data: data[:-12] + b"\xff" * 8 + data[-4:], "has a footer that cannot be decoded"),
    ],
)
def test_damage_is_found_and_named(dataset: Dataset, change: Callable[[bytes], bytes | None], says: str) -> None:
    where = spoil(dataset, change)
    for ask in (
        lambda: dataset.arrow("train", ["b"]),
        lambda: dataset.to_polars("train", ["b"]),
        lambda: list(dataset.numpy_loader("train", ["b"], batch_size=800)),
    ):
        with pytest.raises(DataError, match=says) as caught:
            ask()
        assert caught.value.where == where
        assert "datasets verify" in caught.value.hint


def test_a_shard_in_the_place_of_another_is_found(dataset: Dataset) -> None:
    """Of the same size, with other columns."""
    other = io.BytesIO()
    table = pa.table({"id": np.zeros(ROWS // 2, np.int32), **{name: np.zeros(ROWS // 2, np.float32) for name in NAMES}})
    pq.write_table(table, other, row_group_size=ROWS // 4)
    found = other.getvalue()

    def padded(data: bytes) -> bytes:
        return b"PAR1" + bytes(len(data) - len(found)) + found[4:]

    spoil(dataset, padded)
    for ask in (
        lambda: dataset.arrow("train", ["b", "id"]),
        lambda: list(dataset.numpy_loader("train", ["b", "id"], batch_size=800)),
    ):
        with pytest.raises(DataError, match=r"'b'.* manifest says"):
            ask()


def test_requests_are_joined_and_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct, "GAP", 10)
    monkeypatch.setattr(direct, "CHUNK", 100)
    assert list(requests([(50, 60), (0, 40), (71, 300), (400, 400)])) == [(0, 60), (71, 171), (171, 271), (271, 300)]
    assert list(requests([])) == []


def test_a_footer_that_is_long_takes_a_second_request(
    dataset: Dataset, moto: Moto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "LEAST", 9)
    monkeypatch.setattr(direct, "CHUNK_BYTES", 0)
    moto.requests.clear()
    dataset.arrow("train", ["id"])
    assert len([path for _, path in moto.requests if path.endswith(".parquet")]) == 2 * (2 + 2)
