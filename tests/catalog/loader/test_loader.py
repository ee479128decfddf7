"""Loaders over published files: what comes out, and what is refused."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.catalog.columns import COLUMNS, EXPECTED
from tests.catalog.loader.rows import OPTIONS, check, ids, plain, rows
from tests.catalog.loader.worlds import ENCODED, PAGES, PLAIN, groups, layouts, orders, published, worlds_of

from headrace.catalog.device import Ragged
from headrace.catalog.loader import loader as loader_module
from headrace.catalog.loader import slab
from headrace.catalog.loader.loader import Loader
from headrace.catalog.loader.options import Options
from headrace.catalog.loader.order import Order
from headrace.catalog.loader.shards import LocalShard
from headrace.catalog.reader import Dataset, open_dataset
from headrace.schemas.errors import DataError, RunError, UsageError


@pytest.mark.slow
@pytest.mark.usefixtures("small")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(groups.filter(any), orders, st.integers(1, 3), layouts, st.data())
def test_every_row_of_every_column_comes_once(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[int],
    order: Order,
    threads: int,
    layout: dict[str, Any],
    data: st.DataObject,
) -> None:
    table = rows(sum(sizes))
    cut = data.draw(st.integers(0, len(sizes)))
    first = sum(sizes[:cut])
    shards = [(table.slice(0, first), sizes[:cut]), (table.slice(first), sizes[cut:])]
    root = tmp_path_factory.mktemp("world")
    dataset = published(root, *(shard for shard in shards if shard[1]), layout=layout)
    world = data.draw(st.sampled_from(worlds_of(order.lanes)))
    kept = table.num_rows // order.batch_size * order.batch_size if order.drop_last is True else table.num_rows
    if not kept:
        with pytest.raises(UsageError, match="make no batch"):
            dataset.numpy_loader("train", **loader_options(order))
        return
    found, steps = [], set()
    for rank in range(world):
        loader = dataset.numpy_loader("train", rank=rank, world_size=world, threads=threads, **loader_options(order))
        batches = []
        for batch in loader:
            check(batch)
            batches.append(batch)
        found += ids(batches)
        steps |= {len(batches), len(loader)}
        if order.drop_last == "pad":
            assert {len(batch["id"]) for batch in batches} == {order.batch_size // world}
    assert len(steps) == 1
    assert len(found) == len(set(found)) == kept


def loader_options(order: Order) -> dict[str, Any]:
    names = ("batch_size", "lanes", "shuffle", "seed", "drop_last")
    return {name: getattr(order, name) for name in names}


@pytest.mark.slow
@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("shuffle", ["rows", "blocks", False])
def test_threads_and_prefetch_change_no_byte(demo: Dataset, shuffle: Any) -> None:
    def run(threads: int, prefetch: int | None) -> list[Any]:
        options = OPTIONS | {"shuffle": shuffle, "threads": threads, "prefetch": prefetch}
        return [plain(batch) for batch in demo.numpy_loader("train", **options)]

    first = run(1, 0)
    for threads, prefetch in [(1, 0), (2, None), (5, 1), (3, 100)]:
        assert run(threads, prefetch) == first


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("options", [{"shuffle": "rows"}, {"shuffle": "blocks"}, {"shuffle": False}])
def test_how_shards_are_written_changes_no_byte(tmp_path: Path, options: dict[str, Any]) -> None:
    options = OPTIONS | options | {"drop_last": "pad", "pack": {"both": ["odd", "x"]}}
    cut, found = (rows(300), [100, 130, 70]), []
    for number, layout in enumerate([ENCODED, PLAIN, PAGES]):
        loader = published(tmp_path / str(number), cut, layout=layout).numpy_loader("train", **options)
        found.append([plain(batch) for _ in range(2) for batch in loader])
    assert found[1] == found[0]
    assert found[2] == found[0]


@pytest.mark.parametrize("shuffle", ["rows", "blocks", False])
@pytest.mark.parametrize(
    ("cuts", "layout"),
    [([100, 100], ENCODED), ([100, 100], PLAIN | {"write_page_checksum": False}), ([150, 50], PLAIN), ([200], PLAIN)],
    ids=["encoded", "shorter headers", "other rows", "one row group"],
)
def test_shards_of_two_builds_have_one_path(
    tmp_path: Path, cuts: list[int], layout: dict[str, Any], shuffle: Any
) -> None:
    table = rows(400)
    first = published(tmp_path, (table.slice(0, 200), [100, 100]))
    both = published(tmp_path, (table.slice(200), cuts), layout=layout, older=first)
    assert {file.path for file in both.manifest.splits["train"].files} == {"train/part-00000.parquet"}
    loader = both.numpy_loader("train", batch_size=48, shuffle=shuffle, drop_last=False)
    for _ in range(2):
        batches = list(loader)
        for batch in batches:
            check(batch)
        assert sorted(ids(batches)) == list(range(400))


@pytest.mark.parametrize(
    ("layout", "options", "decoded"),
    [
        (PLAIN, {}, {"odd", "pair", "items"}),
        (PLAIN | {"use_dictionary": ["x"]}, {}, {"x", "odd", "pair", "items"}),
        (ENCODED, {}, {"id", "x", "odd", "pair", "items"}),
        (PLAIN, {"page_checksums": True}, {"id", "x", "odd", "pair", "items"}),
    ],
    ids=["plain", "a dictionary", "compressed", "checksums"],
)
def test_plain_numbers_are_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: dict[str, Any], options: dict[str, Any], decoded: set[str]
) -> None:
    asked: set[str] = set()

    def note(shard: LocalShard, number: int, columns: list[str], use_threads: bool = False) -> pa.Table:
        asked.update(columns)
        return original(shard, number, columns, use_threads)

    original = LocalShard.read_row_group
    monkeypatch.setattr(LocalShard, "read_row_group", note)
    for batch in published(tmp_path, (rows(100), [60, 40]), layout=layout).numpy_loader("train", **OPTIONS, **options):
        check(batch)
    assert asked == decoded


def test_a_column_named_like_a_field_of_another_is_itself(tmp_path: Path) -> None:
    field = pa.array([{"b": -n} for n in range(6)], pa.struct([pa.field("b", pa.int32(), nullable=False)]))
    for number, names in enumerate((["a", "a.b"], ["a.b", "a"])):
        columns = {"a": field, "a.b": pa.array(range(6), pa.int32())}
        table = pa.table({name: columns[name] for name in names})
        loader = published(tmp_path / str(number), (table, [6])).numpy_loader(
            "train", ["a.b"], batch_size=6, shuffle=False
        )
        assert [batch["a.b"].tolist() for batch in loader] == [[0, 1, 2, 3, 4, 5]]


def test_it_says_what_it_is(demo: Dataset) -> None:
    loader = demo.numpy_loader("train", batch_size=80, seed=3, rank=1, world_size=2)
    next(iter(loader))
    options = "batch_size=80, shuffle='rows', seed=3, lanes=8, rank=1 of 2"
    assert repr(loader) == f"Loader(demo@1 train: epoch 0, step 1 of 12; {options})"


def test_unshuffled_rows_keep_their_order(demo: Dataset) -> None:
    assert ids(demo.numpy_loader("train", batch_size=50, shuffle=False, drop_last=False)) == list(range(1_000))


@pytest.mark.parametrize("shuffle", ["rows", "blocks", False])
@pytest.mark.parametrize(("lanes", "world_size"), [(1, 1), (4, 1), (4, 2)])
def test_a_batch_of_more_rows_than_there_are_takes_memory_for_those_alone(
    demo: Dataset, shuffle: Any, lanes: int, world_size: int
) -> None:
    asked = {"shuffle": shuffle, "lanes": lanes, "world_size": world_size, "drop_last": False, "seed": 1}
    for rank in range(world_size):
        [batch] = demo.numpy_loader("train", batch_size=1 << 50, rank=rank, **asked)
        [enough] = demo.numpy_loader("train", batch_size=1_000, rank=rank, **asked)
        assert plain(batch) == plain(enough)
        loader = demo.numpy_loader("train", batch_size=1 << 50, rank=rank, **asked)
        loader.load_state_dict(loader.state_dict() | {"step": 1})
        assert list(loader) == []


def test_a_padded_batch_that_nothing_can_hold_is_one_clear_error(
    demo: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system says how much memory there is, it is refused before."""
    monkeypatch.setattr(loader_module, "machine_bytes", lambda: None)
    with pytest.raises(RunError, match=r"there is no memory for [\d,]+ bytes of batches") as caught:
        list(demo.numpy_loader("train", batch_size=1 << 50, drop_last="pad"))
    assert caught.value.hint == "a smaller batch_size, fewer columns, or less in other processes"


def test_batches_that_are_kept_keep_their_rows(demo: Dataset) -> None:
    kept = list(demo.numpy_loader("train", batch_size=8, drop_last=False))
    for batch in kept:
        check(batch)
    assert sorted(ids(kept)) == list(range(1_000))


def test_memory_is_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slab, "ROWS", 48)
    made: list[int] = []
    options = Options(batch_size=8, lanes=4, prefetch=0)

    def allocate(size: int) -> Any:
        made.append(size)
        return np.empty(size, np.uint8)

    loader = Loader(published(tmp_path, (rows(4_000), [100] * 40)), "train", options, allocate=allocate)
    assert sum(1 for _ in loader) == 500
    # Of 84 slabs of 6 steps: a row group of a lane, 50 steps, reaches over 10, and another 10 may have been begun.
    assert len(made) <= 22


def test_every_kind_of_column_keeps_its_type(tmp_path: Path) -> None:
    dataset = published(tmp_path, (COLUMNS, [2, 1]))
    (batch,) = dataset.numpy_loader("train", batch_size=3, shuffle=False)
    assert list(batch) == COLUMNS.column_names
    for name, value in batch.items():
        if isinstance(value, Ragged):
            assert Ragged(value.values.tolist(), value.offsets.tolist()) == EXPECTED[name]
        else:
            assert value.tolist() == EXPECTED[name]
            assert value.dtype == (bool if name == "flag" else np.float32 if name == "embedding" else name)


def test_columns_come_in_the_order_given_and_matrices_after_them(demo: Dataset) -> None:
    pack = {"dense": ["x", "odd"], "wide": ["pair", "id"]}
    for shuffle in ("rows", "blocks", False):
        for batch in demo.numpy_loader("train", ["items", "id", "x"], pack=pack, **OPTIONS, shuffle=shuffle):
            assert list(batch) == ["items", "dense", "wide"]
            number = batch["wide"][:, 2]
            assert (batch["dense"].dtype, batch["dense"].shape) == (np.float32, (48, 2))
            assert batch["dense"].tolist() == np.stack([number / 2, number % 2], axis=1).tolist()
            assert batch["wide"].dtype == np.float64  # int64 beside float32
            assert batch["wide"].tolist() == np.stack([number, -number, number], axis=1).tolist()


def test_keys_times_and_groups_are_left_out(make: Any, catalog: Path) -> None:
    make()
    dataset = open_dataset(catalog / "demo")
    column = dataset.manifest.columns[1].model_copy(update={"role": "key"})
    dataset.__dict__["manifest"] = dataset.manifest.model_copy(update={"columns": (column,)})
    (batch,) = dataset.numpy_loader("train", batch_size=4)
    assert list(batch) == ["delay", "late"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "trian"}, r"demo@1 has no split 'trian'; did you mean 'train'\?"),
        ({"split": "empty"}, "the split has no rows"),
        ({"columns": ["idd"]}, r"demo@1 has no column 'idd'; did you mean 'id'"),
        ({"split": 3}, "demo@1 has no split 3; there are train, empty"),
        ({"columns": []}, "there is no column to read"),
        ({"columns": "id"}, "columns is 'id'; expected a list of names"),
        ({"columns": 3}, "columns is 3; expected a list of names"),
        ({"columns": [3]}, "demo@1 has no column 3; there are id,"),
        ({"pack": "x"}, "pack is 'x'; expected names of matrices, each with its columns"),
        ({"pack": ["x"]}, r"pack is \['x'\]; expected names of matrices, each with its columns"),
        ({"pack": {3: ["x"]}}, r"pack is {3: \['x'\]}; expected names of matrices, each with its columns"),
        ({"pack": {"m": "x"}}, r"pack\['m'\] is 'x'; expected a list of names"),
        ({"columns": ["id", "id"]}, "columns: 'id' more than once"),
        ({"pack": {"m": ["y"]}}, r"demo@1 has no column 'y'"),
        ({"pack": {"m": []}}, "matrix 'm' has no columns"),
        ({"pack": {"m": ["items"]}}, "column 'items' has lists of any length, and cannot be in matrix 'm'"),
        ({"pack": {"m": ["x"], "n": ["x"]}}, "pack: 'x' more than once"),
        ({"pack": {"id": ["x"]}}, "columns and the names of matrices: 'id' more than once"),
        ({"pack": {"_valid": ["x"]}}, "'_valid' is what rows that are real are told by"),
        ({"batch_size": 1_008}, "1,000 rows make no batch of 1,008, and drop_last=True drops them all"),
        (
            {"batch_size": 1 << 44, "drop_last": "pad", "columns": ["id", "x"]},
            r"train: a batch has 17,592,186,044,416 rows for this rank, which take 192\.0 TiB, and this machine has ",
        ),
        ({"batch_size": 0}, "batch_size is 0; expected a whole number from 1"),
        ({"batch_size": -8}, "batch_size is -8; expected a whole number from 1"),
        ({"batch_size": 2.5}, r"batch_size is 2\.5; expected a whole number from 1"),
        ({"batch_size": 50, "lanes": 4}, "a batch of 50 rows cannot be shared by 4 lanes"),
        ({"batch_size": 64, "world_size": 3, "lanes": None}, "a batch of 64 rows cannot be shared by 3 ranks"),
        ({"world_size": 3}, "4 lanes cannot be shared by 3 ranks; world_size can be 1, 2, 4"),
        (
            {"batch_size": 1 << 40, "lanes": 1 << 40, "world_size": 3},
            r"1099511627776 lanes cannot be shared by 3 ranks; world_size can be 1, 2, 4, .*, 2048, 4096, \.\.\.$",
        ),
        ({"world_size": 0}, "world_size is 0; expected a whole number from 1"),
        ({"rank": 1}, "rank is 1, and there are 1 ranks, from 0"),
        ({"rank": -1}, "rank is -1, and there are 1 ranks, from 0"),
        ({"rank": 0.0}, r"rank is 0\.0, and there are 1 ranks, from 0"),
        ({"rank": False}, "rank is False, and there are 1 ranks, from 0"),
        ({"batch_size": np.float64(40)}, r"batch_size is np\.float64\(40\.0\); expected a whole number from 1"),
        ({"world_size": np.True_}, r"world_size is np\.True_; expected a whole number from 1"),
        ({"threads": "2"}, "threads is '2'; expected a whole number from 1"),
        ({"lanes": -4}, "lanes is -4; expected a whole number from 1"),
        ({"threads": 0}, "threads is 0; expected a whole number from 1"),
        ({"prefetch": -1}, "prefetch is -1; expected a whole number from 0"),
        ({"seed": -1}, "seed is -1; expected a whole number from 0"),
        ({"shuffle": True}, "shuffle is True; expected 'rows' or 'blocks' or False"),
        ({"drop_last": "no"}, "drop_last is 'no'; expected True or False or 'pad'"),
    ],
)
def test_what_does_not_fit_is_refused_before_a_file_is_opened(
    demo: Dataset, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr(Dataset, "local", lambda *_: pytest.fail("a file was asked for"))
    with pytest.raises(UsageError, match=message):
        demo.numpy_loader(**({"split": "train"} | OPTIONS | options))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("headrace-loader")]


def test_whole_numbers_may_be_of_any_type(demo: Dataset) -> None:
    numbers = {"batch_size": 40, "rank": 1, "world_size": 2, "seed": 3, "lanes": 4, "threads": 1, "prefetch": 0}
    for kind in (np.int64, np.uint8, np.array):
        own = demo.numpy_loader("train", **numbers)
        loader = demo.numpy_loader("train", **{name: kind(value) for name, value in numbers.items()})
        loader.set_epoch(kind(1))
        own.set_epoch(1)
        assert [plain(batch) for batch in loader] == [plain(batch) for batch in own]
        assert repr(loader) == repr(own)
        assert json.dumps(loader.state_dict()) == json.dumps(own.state_dict())
        own.load_state_dict({**own.state_dict(), "step": kind(2), "lanes": kind(4), "epoch": kind(1)})
        assert json.dumps(own.state_dict()) == json.dumps({**loader.state_dict(), "step": 2})
    for epoch in (1.0, True, "1", np.float32(1)):
        with pytest.raises(UsageError, match=r"^epoch is .*; expected a whole number from 0$"):
            own.set_epoch(epoch)  # type: ignore[arg-type]


def test_nulls_and_text_are_refused_with_what_to_do(tmp_path: Path) -> None:
    table = pa.table({"x": [1.0, None], "y": [1, 2]})
    with pytest.raises(UsageError, match=r"2 of 2 columns cannot be tensors:\n  x: double with nulls; fill them"):
        published(tmp_path, (table, [2]), required=False).numpy_loader("train", batch_size=2)
    dataset = published(tmp_path, (pa.table({"name": ["a"], "x": [1]}), [1]))
    with pytest.raises(UsageError, match=r"name: string; turn it into ids") as caught:
        dataset.numpy_loader("train", batch_size=1)
    assert caught.value.hint == "name others: columns=['x']"


def test_a_null_in_a_list_is_named(tmp_path: Path) -> None:
    table = pa.table({"items": pa.array([[1], [None, 2]], pa.list_(pa.int32()))})
    with pytest.raises(DataError, match="column 'items' has 1 nulls in its lists, and tensors have no nulls"):
        list(published(tmp_path, (table, [2])).numpy_loader("train", batch_size=2))
