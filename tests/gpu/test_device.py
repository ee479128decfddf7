"""Published splits handed to a job on a GPU: equal to what the host reads, and the very memory that was decoded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.catalog.columns import COLUMNS, EXPECTED, NUMBERS, plain, written

from headrace.catalog import device
from headrace.catalog.device import Ragged
from headrace.schemas.errors import DataError, GpuMemoryError


@pytest.fixture
def torch() -> Any:
    module = pytest.importorskip("torch", reason="torch is not installed: pip install 'headrace[torch]'")
    if not module.cuda.is_available():
        pytest.skip(f"torch {module.__version__} is built without CUDA, or for another one")
    return module


@pytest.mark.parametrize("cuts", [[3], [2, 0, 1]], ids=str)
def test_every_column_is_a_tensor_of_its_own_type(torch: Any, tmp_path: Path, cuts: list[int]) -> None:
    starts = [sum(cuts[:n]) for n in range(len(cuts))]
    dataset = written(tmp_path, *(COLUMNS.slice(a, n) for a, n in zip(starts, cuts, strict=True)))
    made, host = dataset.torch("train"), dataset.torch("train", device="cpu")
    assert {name: plain(tensor) for name, tensor in made.items()} == EXPECTED
    for name, tensor in made.items():
        parts = zip(tensor, host[name], strict=True) if isinstance(tensor, Ragged) else [(tensor, host[name])]
        for there, here in parts:
            assert there.device == torch.device("cuda", 0)
            assert there.dtype == here.dtype
            assert torch.equal(there.cpu(), here)


@pytest.mark.usefixtures("torch")
def test_tensors_are_the_memory_that_was_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = []

    def decoded(wanted: device.Wanted) -> Any:
        kept.append(original(wanted))
        return kept[0]

    original = device._decoded
    monkeypatch.setattr(device, "_decoded", decoded)
    made = written(tmp_path, COLUMNS).torch("train")
    [table] = kept
    columns = dict(zip(table.column_names(include_children=False), table.columns, strict=True))
    for name in (*NUMBERS, "flag"):
        assert made[name].data_ptr() == _pointer(columns[name]), name
    assert made["embedding"].data_ptr() == _pointer(columns["embedding"].list_view().child())
    for name in ("items", "flags"):
        assert made[name].values.data_ptr() == _pointer(columns[name].list_view().child()), name


def _pointer(column: Any) -> int:
    pointer: int = column.data().ptr
    return pointer


def test_tensors_keep_their_memory_alive(torch: Any, tmp_path: Path) -> None:
    made = written(tmp_path, COLUMNS).torch("train", ["int64"])["int64"]
    other = [written(tmp_path / str(n), COLUMNS).torch("train", ["float64"]) for n in range(8)]
    torch.cuda.synchronize()
    assert len(other) == 8
    assert made.tolist() == [0, 1, 100]


def test_an_empty_split(torch: Any, tmp_path: Path) -> None:
    dataset = written(tmp_path, COLUMNS)
    made = dataset.torch("empty")
    assert made["embedding"].shape == (0, 2)
    assert made["flag"].dtype == torch.bool
    assert made["items"].offsets.tolist() == [0]
    assert all(t.is_cuda for t in (made["int8"], made["items"].values))
    assert len(dataset.cudf("empty")) == 0


def test_frames_of_cudf_are_what_the_host_reads(tmp_path: Path) -> None:
    table = pa.table(
        {
            "city": ["a", "é", ""],
            "gap": pa.array([1, None, 3]),
            "moment": pa.array([0, 1, -1], pa.timestamp("us")),
            "items": pa.array([[1], [], [2, 3]], pa.list_(pa.int32())),
        }
    )
    dataset = written(tmp_path, table.slice(0, 2), table.slice(2), nullable=("gap",))
    frame = dataset.cudf("train")
    assert list(frame.columns) == ["city", "gap", "moment", "items"]
    assert frame.to_arrow().to_pydict() == table.to_pydict()
    assert list(dataset.cudf("train", ["moment", "city"]).columns) == ["moment", "city"]


def test_folders_that_look_like_partitions_add_no_columns(tmp_path: Path) -> None:
    dataset = written(tmp_path / "env=prod", COLUMNS)
    assert list(dataset.cudf("train", ["int8"]).columns) == ["int8"]


@pytest.mark.usefixtures("torch")
def test_null_elements_of_lists_are_refused(tmp_path: Path) -> None:
    dataset = written(tmp_path, pa.table({"items": pa.array([[1, None], [None]])}))
    with pytest.raises(DataError, match="column 'items' has 2 nulls in its lists"):
        dataset.torch("train")


def test_a_split_that_cannot_fit_is_refused(tmp_path: Path) -> None:
    dataset = written(tmp_path, COLUMNS)
    wanted = dataset._wanted("train", ["float64"])
    too_large = device.Wanted(wanted.where, wanted.schema, wanted.files, wanted.rows, 1 << 50)
    with pytest.raises(GpuMemoryError, match=r"needs 1,125,899\.91 GB or more on the current device"):
        device.frame(too_large)
