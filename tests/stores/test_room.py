"""A cache with a limit, and one that files are removed from while it is used."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.catalog.loader.worlds import published
from tests.stores.servers import Moto

from headrace import open_dataset
from headrace.catalog import room
from headrace.catalog.access import Access
from headrace.catalog.cache import Cache, cache_limit
from headrace.catalog.reader import Dataset
from headrace.catalog.room import alone, size_of
from headrace.schemas.errors import CapabilityError, RunError, UsageError

ROWS = 2_000
SHARDS = 5


@pytest.fixture
def uri(catalog: str) -> str:
    """Five shards of equal size, of 400 rows each."""
    table = pa.table({"id": np.arange(ROWS), "x": np.arange(ROWS) / 2})
    published(catalog, *((table.slice(start, 400), [200, 200]) for start in range(0, ROWS, 400)))
    return f"{catalog}/demo"


def size(uri: str) -> int:
    """Of the largest shard."""
    return max(file.bytes for file in open_dataset(uri).manifest.splits["train"].files)


def held(folder: Path) -> list[Path]:
    return list((folder / "files").glob("*/[!.]*.parquet"))


def taken(folder: Path) -> int:
    return sum(path.stat().st_size for path in held(folder))


def ids(dataset: Dataset, threads: int = 3) -> list[int]:
    batches = dataset.numpy_loader("train", ["id"], batch_size=80, drop_last=False, threads=threads)
    return sorted(int(one) for batch in batches for one in batch["id"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("200GB", 200_000_000_000),
        ("1.5 TiB", 1_649_267_441_664),
        ("64 mb", 64_000_000),
        ("12k", 12_000),
        ("700", 700),
        (700, 700),
    ],
)
def test_limits_are_sizes(text: str | int, expected: int) -> None:
    assert size_of(text) == expected


@pytest.mark.parametrize("text", ["", "0", "0GB", "-1", "many", "1XB", "nan", "1e9"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no limit of a cache"):
        size_of(text)


def test_the_limit_is_chosen_or_in_the_environment_or_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_limit() is None
    monkeypatch.setenv("HEADRACE_CACHE_LIMIT", "3kB")
    assert cache_limit() == 3_000
    assert cache_limit("5kB") == 5_000
    monkeypatch.setenv("HEADRACE_CACHE_LIMIT", "")
    assert cache_limit() is None


def test_what_was_used_longest_ago_goes(uri: str, tmp_path: Path) -> None:
    dataset = open_dataset(uri, cache_dir=tmp_path / "small", cache_limit=2 * size(uri))
    first, second, third = dataset.manifest.splits["train"].files[:3]
    paths = [dataset.local(first), dataset.local(second)]
    for age, path in zip((200, 100), paths, strict=True):
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - age))
    opened = pq.ParquetFile(paths[1], memory_map=True)
    dataset.local(first)
    assert sorted(held(tmp_path / "small")) == sorted(paths)
    last = dataset.local(third)
    assert sorted(held(tmp_path / "small")) == sorted([paths[0], last])
    assert opened.read()["id"].to_pylist() == list(range(400, 800))  # what is mapped stays readable


def test_all_links_of_a_file_go_with_it(uri: str, tmp_path: Path) -> None:
    dataset = open_dataset(uri, cache_dir=tmp_path / "small", cache_limit=size(uri))
    first, second = dataset.manifest.splits["train"].files[:2]
    assert isinstance(dataset.cache, Cache)
    link = dataset.cache.link(dataset.local(first), "build", "state/x.parquet")
    dataset.local(second)
    assert not link.exists()


def test_a_file_larger_than_the_limit_is_refused_before_it_is_fetched(uri: str, tmp_path: Path, moto: Moto) -> None:
    limit = size(uri) - 1
    dataset = open_dataset(uri, cache_dir=tmp_path / "small", cache_limit=limit)
    largest = max(dataset.manifest.splits["train"].files, key=lambda file: file.bytes)
    moto.sent.clear()
    for ask in (lambda: dataset.local(largest), lambda: dataset.arrow("train"), lambda: ids(dataset)):
        with pytest.raises(CapabilityError, match=f"and the limit of the cache is {limit:,}") as caught:
            ask()
        assert "cache_dir=False" in caught.value.hint


def test_paths_of_more_than_the_limit_are_refused_and_their_rows_are_read(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_CACHE_LIMIT", str(2 * size(uri)))
    dataset = open_dataset(uri, cache_dir=tmp_path / "small")
    with pytest.raises(CapabilityError, match="are wanted at once"):
        dataset.files("train")
    assert dataset.arrow("train", ["id"])["id"].to_pylist() == list(range(ROWS))
    assert taken(tmp_path / "small") <= 2 * size(uri)


@pytest.mark.parametrize("shards", [1, 3])
def test_a_loader_reads_through_a_small_cache(uri: str, tmp_path: Path, shards: int) -> None:
    limit = shards * size(uri)
    dataset = open_dataset(uri, cache_dir=tmp_path / "small", cache_limit=limit)
    for _ in range(2):
        assert ids(dataset) == list(range(ROWS))
        assert taken(tmp_path / "small") <= limit


def test_threads_never_exceed_the_limit(uri: str, tmp_path: Path) -> None:
    limit = 2 * size(uri)
    dataset = open_dataset(uri, cache_dir=tmp_path / "small", cache_limit=limit)
    files = dataset.manifest.splits["train"].files

    def read(number: int) -> int:
        def first(path: Path) -> int:
            with room._locked(tmp_path / "small" / "files"):  # nothing comes or goes
                found = [entry.stat() for entry in (tmp_path / "small" / "files").rglob("*.par*")]
            assert sum({entry.st_ino: entry.st_size for entry in found}.values()) <= limit
            return int(pq.ParquetFile(path).read()["id"][0].as_py())

        file = files[number % SHARDS]
        return dataset.access.read(dataset.build_of(file), file, first)

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(read, range(20))) == [0, 400, 800, 1200, 1600] * 4


def _read(uri: str, folder: str, limit: int) -> list[int]:
    return ids(open_dataset(uri, cache_dir=folder, cache_limit=limit), threads=2)


@pytest.mark.slow
def test_processes_share_a_small_cache(uri: str, tmp_path: Path) -> None:
    limit = 2 * size(uri)
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        for found in pool.starmap(_read, [(uri, str(tmp_path / "small"), limit)] * 6):
            assert found == list(range(ROWS))
    assert taken(tmp_path / "small") <= limit


def test_a_killed_fetch_takes_no_room_and_one_under_way_does(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "PATIENCE", 0.2)
    monkeypatch.setattr(room, "LOOK", 0.01)
    limit = size(uri)
    dataset = open_dataset(uri, cache_dir=tmp_path / "small", cache_limit=limit)
    file = dataset.manifest.splits["train"].files[0]
    other = tmp_path / "small" / "files" / "ab" / "abcd.parquet"
    other.parent.mkdir(parents=True)
    part = other.with_name(".abcd.parquet.999999.1.part")
    part.write_bytes(bytes(limit))
    with alone(other):
        part.write_bytes(bytes(limit))
        with pytest.raises(RunError, match="is taken by files that others fetch") as caught:
            dataset.local(file)
        assert "HEADRACE_CACHE_LIMIT" in caught.value.hint
        assert part.exists()
    assert dataset.local(file).stat().st_size == file.bytes
    assert not part.exists()


def test_a_damaged_file_makes_room_for_itself(uri: str, tmp_path: Path) -> None:
    dataset = open_dataset(uri, cache_dir=tmp_path / "small", cache_limit=size(uri))
    file = dataset.manifest.splits["train"].files[0]
    path = dataset.local(file)
    data = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(data[:-1])
    assert dataset.local(file).read_bytes() == data


def test_a_cache_removed_in_an_epoch_is_fetched_again(uri: str, tmp_path: Path) -> None:
    dataset = open_dataset(uri)
    found: list[int] = []
    for batch in dataset.numpy_loader("train", ["id"], batch_size=80, drop_last=False, prefetch=0, lanes=1):
        found += batch["id"].tolist()
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    assert sorted(found) == list(range(ROWS))


def test_a_path_that_is_gone_when_it_is_opened_is_fetched_again(uri: str, tmp_path: Path) -> None:
    dataset = open_dataset(uri)
    file = dataset.manifest.splits["train"].files[0]
    calls = []

    def gone(path: Path) -> int:
        calls.append(path)
        if len(calls) == 1:
            shutil.rmtree(tmp_path / "cache")
        return path.stat().st_size

    assert dataset.access.read(dataset.build_of(file), file, gone) == file.bytes
    assert len(calls) == 2

    def always(path: Path) -> int:
        path.unlink()
        return path.stat().st_size

    with pytest.raises(RunError, match="was removed from the cache twice"):
        dataset.access.read(dataset.build_of(file), file, always)


def test_paths_that_are_gone_when_polars_opens_them_are_fetched_again(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched, calls = Access.locals, []

    def removing(access: Access, files: Any) -> list[Path]:
        calls.append(len(files))
        found = fetched(access, files)
        if len(calls) == 1:
            shutil.rmtree(tmp_path / "cache")
        return found

    monkeypatch.setattr(Access, "locals", removing)
    assert open_dataset(uri).to_polars("train", ["id"])["id"].to_list() == list(range(ROWS))
    assert len(calls) == 2


def test_a_folder_removed_while_a_file_comes_is_made_again(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = open_dataset(uri)
    file = dataset.manifest.splits["train"].files[0]
    fsync, calls = os.fsync, []

    def removing(handle: int) -> None:
        fsync(handle)
        calls.append(handle)
        if len(calls) == 1:
            shutil.rmtree(tmp_path / "cache")

    monkeypatch.setattr(os, "fsync", removing)
    assert dataset.local(file).stat().st_size == file.bytes
    assert len(calls) == 2


def test_without_a_limit_nothing_goes(uri: str, tmp_path: Path) -> None:
    dataset = open_dataset(uri)
    assert ids(dataset) == list(range(ROWS))
    assert len(held(tmp_path / "cache")) == SHARDS
