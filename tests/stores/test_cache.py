from __future__ import annotations

import errno
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import obstore
import pytest
from tests.catalog.conftest import FRAME
from tests.stores.servers import Moto

from headrace import open_dataset
from headrace.catalog import cache as caches
from headrace.catalog.cache import cache_folder
from headrace.catalog.files import sha256_of
from headrace.catalog.reader import Dataset
from headrace.catalog.records import File
from headrace.catalog.store import open_store
from headrace.catalog.stored import object_name
from headrace.schemas.errors import CapabilityError, DataError, RunError

Opened = tuple[Dataset, File, str]


@pytest.fixture
def opened(make: Callable[..., Any], catalog: str) -> Opened:
    """A dataset, its first shard, and the shard's name in the store."""
    make()
    dataset = open_dataset(f"{catalog}/demo")
    shard = dataset.manifest.splits["train"].files[0]
    return dataset, shard, object_name(dataset.record.build, shard.path)


def parts(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*") if path.is_file()]


def test_the_folder_is_chosen_or_named_or_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_CACHE", str(tmp_path / "named"))
    assert cache_folder(tmp_path / "chosen") == tmp_path / "chosen"
    assert cache_folder() == tmp_path / "named"
    monkeypatch.delenv("HEADRACE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "headrace"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "headrace"


def test_a_file_lies_under_its_hash(opened: Opened, tmp_path: Path) -> None:
    dataset, shard, _ = opened
    path = dataset.local(shard)
    assert path == tmp_path / "cache" / "files" / shard.sha256[:2] / f"{shard.sha256}.parquet"
    assert sha256_of(path) == (shard.bytes, shard.sha256)
    assert path.stat().st_mode & 0o222 == 0
    assert parts(tmp_path / "cache") == []


def test_equal_files_of_two_versions_are_fetched_once(make: Callable[..., Any], catalog: str, moto: Moto) -> None:
    make()
    make()
    first = open_dataset(f"{catalog}/demo@1").files()
    moto.requests.clear()
    assert open_dataset(f"{catalog}/demo@2").files() == first
    assert not [path for _, path in moto.requests if path.endswith(".parquet")]


def test_large_files_come_in_pieces(opened: Opened, monkeypatch: pytest.MonkeyPatch, moto: Moto) -> None:
    dataset, shard, name = opened
    monkeypatch.setattr(caches, "CHUNK", 100)
    moto.requests.clear()
    assert sha256_of(dataset.local(shard)) == (shard.bytes, shard.sha256)
    gets = [path for method, path in moto.requests if method == "GET" and path.endswith(name)]
    assert len(gets) == -(-shard.bytes // 100)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda _: None, "is missing; expected"),
        (lambda data: data[:-1], r"has \d+ bytes, was published with"),
        (lambda data: data[:9] + bytes([data[9] ^ 4]) + data[10:], "has sha256 .* was published with"),
    ],
)
def test_what_is_wrong_in_the_store_is_named_and_not_kept(
    opened: Opened, tmp_path: Path, spoil: Callable[[bytes], bytes | None], says: str
) -> None:
    dataset, shard, name = opened
    store = open_store(dataset.place)
    spoiled = spoil(bytes(obstore.get(store, name).bytes()))
    if spoiled is None:
        obstore.delete(store, name)
    else:
        obstore.put(store, name, spoiled)
    for ask in (lambda: dataset.local(shard), lambda: dataset.to_polars("train"), lambda: dataset.arrow()):
        with pytest.raises(DataError, match=says) as caught:
            ask()
        assert caught.value.where == f"{dataset.place}/{name}"
        assert "datasets verify" in caught.value.hint
    cached = [path for path in (tmp_path / "cache" / "files").rglob(f"*{shard.sha256}*") if path.suffix == ".parquet"]
    assert cached == []
    assert not [name for name in parts(tmp_path / "cache") if name.endswith(".part")]


def test_a_file_damaged_in_the_cache_is_fetched_again(opened: Opened, catalog: str) -> None:
    dataset, shard, _ = opened
    path = dataset.local(shard)
    data = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(data[:-1])
    assert dataset.local(shard).read_bytes() == data
    path.chmod(0o644)
    path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    assert open_dataset(f"{catalog}/demo", verify="always").local(shard).read_bytes() == data


def test_a_disk_that_is_full(opened: Opened, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    dataset, shard, _ = opened

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match="the disk of the cache is full") as caught:
        dataset.local(shard)
    assert f"{shard.bytes:,} bytes" in caught.value.message
    assert "HEADRACE_CACHE" in caught.value.hint
    assert caught.value.where == str(tmp_path / "cache")
    monkeypatch.undo()
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_a_cache_that_cannot_be_written(opened: Opened, catalog: str, tmp_path: Path) -> None:
    _, shard, _ = opened
    (tmp_path / "file").write_text("")
    with pytest.raises(CapabilityError, match="the cache cannot be written: Not a directory") as caught:
        open_dataset(f"{catalog}/demo", cache_dir=tmp_path / "file").local(shard)
    assert "cache_dir" in caught.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.usefixtures("opened")
def test_a_cache_without_write_permission(catalog: str, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o555)
    with pytest.raises(CapabilityError, match="the cache cannot be written: Permission denied"):
        open_dataset(f"{catalog}/demo", cache_dir=tmp_path / "locked").to_polars("train")


def test_threads_fetch_a_file_once(opened: Opened, moto: Moto) -> None:
    dataset, shard, name = opened
    moto.requests.clear()
    with ThreadPoolExecutor(8) as pool:
        paths = set(pool.map(lambda _: dataset.local(shard), range(16)))
    assert len(paths) == 1
    assert len([path for method, path in moto.requests if method == "GET" and path.endswith(name)]) == 1


def test_what_a_killed_process_left_is_removed(opened: Opened, tmp_path: Path) -> None:
    dataset, shard, _ = opened
    folder = tmp_path / "cache" / "files" / shard.sha256[:2]
    folder.mkdir(parents=True)
    (folder / f".{shard.sha256}.parquet.999999.1.part").write_bytes(b"half")
    (folder / f".{shard.sha256}.parquet.lock").write_bytes(b"")
    assert sha256_of(dataset.local(shard)) == (shard.bytes, shard.sha256)
    assert parts(folder) == []


def _fetch(uri: str, folder: str) -> int:
    return open_dataset(uri, cache_dir=folder).to_polars("train").height


@pytest.mark.slow
@pytest.mark.usefixtures("opened")
def test_processes_share_a_cache(catalog: str, tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        heights = pool.starmap(_fetch, [(f"{catalog}/demo", str(tmp_path / "shared"))] * 6)
    assert heights == [FRAME.height] * 6
    assert parts(tmp_path / "shared") == []


def test_a_name_cannot_lead_out_of_the_build(opened: Opened) -> None:
    dataset, shard, _ = opened
    for path in ("../../x", "/etc/passwd", "a/../../x"):
        with pytest.raises(DataError, match="leads out of the build"):
            dataset.local(shard.model_copy(update={"path": path}))
    with pytest.raises(DataError, match="leads out of the build"):
        dataset.local(shard.model_copy(update={"build": "../../other"}))
