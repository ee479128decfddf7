"""Threads that fail, are left or interrupted; shards that are missing or damaged."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.catalog.loader.worlds import published

from headrace.catalog.loader import feed
from headrace.catalog.loader.band import Band
from headrace.catalog.loader.shards import Checked, LocalShard, Shards, groups_of
from headrace.catalog.reader import Dataset
from headrace.schemas.errors import DataError, RunError


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("headrace-loader")]


@pytest.fixture
def demo(tmp_path: Path) -> Dataset:
    table = pa.table({"id": np.arange(4_000), "x": np.arange(4_000, dtype=np.float32)})
    return published(tmp_path, (table.slice(0, 2_000), [200] * 10), (table.slice(2_000), [200] * 10))


def test_no_thread_is_left_after_an_epoch(demo: Dataset) -> None:
    loader = demo.numpy_loader("train", batch_size=80, threads=3)
    assert not threads()
    for _ in loader:
        assert len(threads()) <= 3
    assert not threads()


@pytest.mark.slow
def test_no_thread_is_left_where_an_iteration_is_left(tmp_path: Path) -> None:
    # More rows than a slab has, so that threads wait for the reader.
    large = published(tmp_path, (pa.table({"id": np.arange(400_000)}), [20_000] * 20))
    loader = large.numpy_loader("train", batch_size=800, prefetch=0)
    for _ in loader:
        break
    gc.collect()
    assert not threads()
    iterator: Any = iter(loader)
    next(iterator)
    assert threads()
    iterator.close()
    assert not threads()
    with pytest.raises(TypeError):
        sum(loader)  # type: ignore[arg-type]
    gc.collect()
    assert not threads()


def test_two_iterations_of_one_loader_do_not_meet(demo: Dataset) -> None:
    loader = demo.numpy_loader("train", batch_size=80)
    whole = [batch["id"].tolist() for batch in loader]
    pairs = [(a["id"].tolist(), b["id"].tolist()) for a, b in zip(loader, loader, strict=True)]
    assert pairs == [(rows, rows) for rows in whole]


@pytest.mark.parametrize("error", [ValueError("torn"), MemoryError("full"), SystemExit(3)])
def test_a_thread_that_fails_raises_where_batches_are_read(
    demo: Dataset, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    calls = []

    def fail(*arguments: Any) -> None:
        calls.append(1)
        if len(calls) > 8:
            raise error
        original(*arguments)

    original = Band.write
    monkeypatch.setattr(Band, "write", fail)
    with pytest.raises(RunError, match=f"a thread of the loader failed: {type(error).__name__}: {error}") as caught:
        list(demo.numpy_loader("train", batch_size=80))
    assert caught.value.__cause__ is error
    assert not threads()


def test_threads_that_end_without_a_word_are_noticed(demo: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed.Feed, "_run", lambda _: None)
    monkeypatch.setattr(feed, "_LOOK", 0.01)
    with pytest.raises(RunError, match=r"the loader's threads ended, and [\d,]+ rows are missing"):
        list(demo.numpy_loader("train", batch_size=80))


def test_a_thread_that_cannot_let_go_at_the_end_takes_no_row_away(
    demo: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(shards: Shards) -> None:
        original(shards)
        raise OSError("stuck")

    original, told = Shards.close, []
    monkeypatch.setattr(Shards, "close", fail)
    monkeypatch.setattr(threading, "excepthook", told.append)
    found = np.concatenate([batch["id"] for batch in demo.numpy_loader("train", batch_size=80, threads=1)])
    assert sorted(found.tolist()) == list(range(4_000))
    assert told == []


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> list[LocalShard]:
    """Shards that say that they cannot be closed when they are."""
    found: list[LocalShard] = []
    close = LocalShard.close

    def fail(shard: LocalShard) -> None:
        close(shard)
        found.append(shard)
        raise OSError("stuck")

    monkeypatch.setattr(LocalShard, "close", fail)
    return found


def test_the_first_error_is_told_though_letting_go_fails_too(
    demo: Dataset, monkeypatch: pytest.MonkeyPatch, stuck: list[LocalShard]
) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("the first")

    monkeypatch.setattr(Band, "write", fail)
    with pytest.raises(RunError, match="a thread of the loader failed: ValueError: the first"):
        list(demo.numpy_loader("train", batch_size=80, threads=1))
    assert len(stuck) == 1


def test_shards_are_closed_though_one_cannot_be(demo: Dataset, stuck: list[LocalShard]) -> None:
    shards = Shards(Checked(demo, pa.schema([]), False, {}))
    for group in groups_of(demo.manifest.splits["train"].files):
        shards.read(group, [])
    with pytest.raises(OSError, match="stuck"):
        shards.close()
    assert len(stuck) == 2


def shard(dataset: Dataset, number: int = 1) -> Path:
    path = dataset.files("train")[number]
    path.chmod(0o644)
    return path


def test_a_missing_shard_is_named_with_what_was_expected(demo: Dataset) -> None:
    path = shard(demo)
    size = path.stat().st_size
    path.unlink()
    with pytest.raises(DataError, match=f"expected {size:,} bytes, 2,000 rows") as caught:
        list(demo.numpy_loader("train", batch_size=80))
    assert caught.value.where == str(path)
    assert caught.value.hint.startswith("headrace datasets verify ")


@pytest.mark.parametrize("checksums", [True, False])
@pytest.mark.parametrize("torn", [True, False])
def test_a_shard_that_is_refused_is_closed(demo: Dataset, checksums: bool, torn: bool) -> None:
    path, split = shard(demo), demo.manifest.splits["train"]
    if torn:
        path.write_bytes(b"\0" * path.stat().st_size)
    else:
        files = [file.model_copy(update={"row_groups": (2_000,)}) for file in split.files]
        splits = {"train": split.model_copy(update={"files": tuple(files)})}
        demo = replace(demo, manifest=demo.manifest.model_copy(update={"splits": splits}))
    with pytest.raises(DataError):
        list(demo.numpy_loader("train", batch_size=80, page_checksums=checksums))
    gc.collect()
    opened = [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]
    assert not [name for name in opened if name.startswith(str(demo.folder))]


def test_a_shard_of_another_size_is_refused_before_it_is_read(demo: Dataset) -> None:
    path = shard(demo)
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(b"x")
    with pytest.raises(DataError, match=f"has {size + 1:,} bytes, and its manifest says {size:,}"):
        list(demo.numpy_loader("train", batch_size=80))


def test_a_footer_that_is_torn_is_named(demo: Dataset) -> None:
    path = shard(demo)
    data = bytearray(path.read_bytes())
    data[-12:-4] = b"\xff" * 8
    path.write_bytes(data)
    with pytest.raises(DataError, match="cannot be decoded: ") as caught:
        list(demo.numpy_loader("train", batch_size=80))
    assert caught.value.where == str(path)


def test_a_shard_in_the_place_of_another_is_refused(demo: Dataset, tmp_path: Path) -> None:
    other = published(tmp_path / "other", (pa.table({"id": np.arange(2_000.0), "x": np.ones(2_000)}), [1_000, 1_000]))
    path = shard(demo)
    data = shard(other, 0).read_bytes()
    path.write_bytes(data + b"\0" * (path.stat().st_size - len(data)) if len(data) < path.stat().st_size else data)
    with pytest.raises(DataError):
        list(demo.numpy_loader("train", batch_size=80))


def test_page_checksums_find_a_flipped_bit(demo: Dataset) -> None:
    path = shard(demo)
    data = bytearray(path.read_bytes())
    data[2_000] ^= 1  # among the first row group's ids
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"cannot be decoded: .*CRC"):
        list(demo.numpy_loader("train", batch_size=80, page_checksums=True))


INTERRUPTED = """
import sys, threading
from headrace import open_dataset
from headrace.catalog.loader.band import Band
Band.write = lambda *_: threading.Event().wait(0.2)
print("ready", flush=True)
for batch in open_dataset(sys.argv[1]).numpy_loader("train", batch_size=80):
    pass
"""


@pytest.mark.slow
def test_an_interrupt_ends_it_at_once(demo: Dataset) -> None:
    command = [sys.executable, "-c", INTERRUPTED, str(demo.place.uri)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    assert process.returncode in (-signal.SIGINT, 130, 1)
    assert "KeyboardInterrupt" in errors


class Unspeakable(Exception):
    """An error that cannot be put in words."""

    def __str__(self) -> str:
        raise ValueError("no words")


def test_an_error_that_cannot_be_told_ends_the_iteration_all_the_same(
    demo: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise Unspeakable

    monkeypatch.setattr(Band, "write", fail)
    with pytest.raises((RunError, ValueError)):
        list(demo.numpy_loader("train", batch_size=80, lanes=1, prefetch=0))
    assert not threads()
