"""Matrices of more columns than are kept at once: each value is where its row and its column are."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.catalog.loader.worlds import PLAIN, published

from headrace.catalog.loader import band, plan, slab
from headrace.catalog.loader.loader import Loader, Options

ROWS = 600
TYPES = ["float32", "int16", "float32", "float32", "uint16"]


def table(columns: int) -> pa.Table:
    """In column n of row r stands 100 * n + r % 100; `id` is r, and `pair` is [-r, r]."""
    numbers = np.arange(ROWS)
    made = {f"c{n}": (100 * n + numbers % 100).astype(TYPES[n % len(TYPES)]) for n in range(columns)}
    pair = pa.array(np.stack([-numbers, numbers], axis=1).tolist(), pa.list_(pa.float32(), 2))
    return pa.table({"id": numbers, "pair": pair, "odd": numbers % 2 == 1, **made})


@pytest.mark.parametrize("shuffle", ["rows", "blocks", False])
@pytest.mark.parametrize("together", [8, 2, 1])
def test_every_value_is_in_its_row_and_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shuffle: Any, together: int
) -> None:
    monkeypatch.setattr(band, "COLUMNS", together)
    monkeypatch.setattr(plan, "WINDOW_ROWS", 16)
    monkeypatch.setattr(slab, "ROWS", 100)
    encoded = PLAIN | {"use_dictionary": ["c3", "c4", "c11"]}
    dataset = published(tmp_path, (table(19), [250, 350]), layout=encoded)
    names = [f"c{n}" for n in range(19)]
    pack = {"wide": [*names[:7], "pair", *names[7:15], "odd"], "few": names[15:]}
    seen: list[int] = []
    for batch in dataset.numpy_loader("train", ["id"], pack=pack, batch_size=48, shuffle=shuffle, drop_last="pad"):
        ids = batch["id"][batch["_valid"]]
        expected = 100 * np.arange(19) + (ids % 100)[:, None]
        wide, few = batch["wide"][batch["_valid"]], batch["few"][batch["_valid"]]
        assert (wide.dtype, wide.shape, few.shape) == (np.float32, (len(ids), 18), (len(ids), 4))
        assert np.array_equal(wide[:, :7], expected[:, :7])
        assert np.array_equal(wide[:, 7:9], np.stack([-ids, ids], axis=1))
        assert np.array_equal(wide[:, 9:17], expected[:, 7:15])
        assert np.array_equal(wide[:, 17], ids % 2)
        assert np.array_equal(few, expected[:, 15:])
        assert not batch["wide"][~batch["_valid"]].any()
        seen += ids.tolist()
    assert sorted(seen) == list(range(ROWS))


def test_what_is_kept_does_not_grow_with_the_matrix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def note(memory: slab.Memory, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        sizes.append(prod(shape) * dtype.itemsize)
        return original(memory, shape, dtype)

    original = slab.Memory.of
    monkeypatch.setattr(slab.Memory, "of", note)
    wide = pa.table({f"c{n}": np.arange(ROWS, dtype=np.float32) for n in range(100)})
    options = Options(batch_size=8, lanes=1, pack={"wide": wide.column_names})
    assert sum(1 for _ in Loader(published(tmp_path, (wide, [ROWS])), "train", options)) == ROWS // 8
    assert max(sizes) == 8 * ROWS * 4


@pytest.mark.parametrize("shuffle", ["rows", "blocks", False])
@pytest.mark.parametrize("layout", [PLAIN, PLAIN | {"use_dictionary": True}], ids=["plain", "dictionary"])
def test_unsigned_numbers_stay_what_they_are(tmp_path: Path, shuffle: Any, layout: dict[str, Any]) -> None:
    """They are stored as signed ones: the upper half of them would be negative."""
    numbers = np.arange(60)
    names = {dtype: (np.iinfo(dtype).max - numbers).astype(dtype) for dtype in ("uint8", "uint16", "uint32")}
    huge = np.iinfo(np.uint64).max - numbers.astype(np.uint64)
    dataset = published(tmp_path, (pa.table({"id": numbers, "huge": huge, **names}), [60]), layout=layout)
    alone = dict(next(iter(dataset.numpy_loader("train", batch_size=60, shuffle=shuffle))))
    packed = dataset.numpy_loader("train", ["id"], pack={"m": [*names], "h": ["huge"]}, batch_size=60, shuffle=shuffle)
    (batch,) = packed
    for at, (name, values) in enumerate(names.items()):
        assert np.array_equal(alone[name], values[alone["id"]])
        assert np.array_equal(batch["m"][:, at], values[batch["id"]])
    assert np.array_equal(alone["huge"], huge[alone["id"]])
    assert np.array_equal(batch["h"][:, 0], huge[batch["id"]])
    (batch,) = dataset.numpy_loader("train", [], pack={"f": ["uint32", "huge", "id"]}, batch_size=60)
    ids = batch["f"][:, 2].astype(np.int64)
    assert batch["f"].dtype == np.float64
    assert np.array_equal(batch["f"][:, 0], names["uint32"][ids].astype(np.float64))
    assert np.array_equal(batch["f"][:, 1], huge[ids].astype(np.float64))


@pytest.mark.parametrize("shuffle", ["rows", "blocks", False])
def test_lists_without_a_name_are_read_by_themselves(tmp_path: Path, shuffle: Any) -> None:
    made = pa.table(
        {"id": np.arange(4, dtype=np.uint64), "": [[0], [], [2, 2], [3]], "n": np.arange(4, dtype=np.uint64)}
    )
    dataset = published(tmp_path, (made, [4]), layout=PLAIN | {"use_dictionary": True})
    (batch,) = dataset.numpy_loader("train", ["id", "", "n"], batch_size=4, shuffle=shuffle)
    assert batch["id"].tolist() == batch["n"].tolist()
    lists = np.split(batch[""].values, batch[""].offsets[1:-1])
    assert [one.tolist() for one in lists] == [[[0], [], [2, 2], [3]][row] for row in batch["id"].tolist()]
