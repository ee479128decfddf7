"""Splits as tensors and cuDF frames.

torch, cupy and columns of libcudf are stood in for by NumPy, which speaks DLPack as they do: this shows what is asked
of them. That they do it is shown by tests/gpu, and by the last test where torch is installed.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from importlib import util
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.catalog.columns import COLUMNS, EXPECTED, NUMBERS, plain, written

from headrace.catalog import device
from headrace.catalog.device import Ragged, Wanted, least_bytes
from headrace.catalog.reader import Dataset
from headrace.engines.nvml import Gpu
from headrace.schemas.errors import CapabilityError, DataError, GpuMemoryError, UsageError

GPU = Gpu(0, "GPU-1", "H200", 2 << 30, free_bytes=1 << 30)


class Array(np.ndarray):
    """NumPy's array with the two methods of a tensor that it lacks."""

    def to(self, dtype: Any) -> Any:
        return self.astype(dtype)

    def cuda(self) -> Any:
        return self


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A stand-in for torch, with a GPU; `entered` has the devices that were made the current one."""
    module: Any = ModuleType("torch")
    module.__spec__ = ModuleSpec("torch", None)
    module.__version__ = "0"
    module.from_dlpack = lambda source: np.from_dlpack(source).view(Array)
    module.bool, module.int64 = np.bool_, np.int64
    module.entered = []
    module.cuda = SimpleNamespace(
        is_available=lambda: True, device=lambda index: nullcontext(module.entered.append(index))
    )
    monkeypatch.setitem(sys.modules, "torch", module)
    return module  # type: ignore[no-any-return]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU that NVML sees, RMM's plain resource, and cupy by NumPy."""
    plain = type("CudaMemoryResource", (), {})
    rmm: Any = ModuleType("rmm")
    rmm.mr = SimpleNamespace(CudaMemoryResource=plain, get_current_device_resource=plain)
    monkeypatch.setitem(sys.modules, "rmm", rmm)
    monkeypatch.setitem(sys.modules, "cupy", np)
    monkeypatch.setattr("headrace.engines.detect.choose", lambda *_, **__: None)
    monkeypatch.setattr("headrace.engines.detect.gpus", lambda: (GPU,))
    monkeypatch.setattr(device, "_memory", lambda _: nullcontext())


@pytest.fixture
def dataset(tmp_path: Path) -> Callable[..., Dataset]:
    return partial(written, tmp_path)


def check(made: dict[str, Any]) -> None:
    assert list(made) == COLUMNS.column_names
    assert {name: plain(tensor) for name, tensor in made.items()} == EXPECTED
    assert {name: str(made[name].dtype) for name in NUMBERS} == {name: name for name in NUMBERS}
    assert made["flag"].dtype == made["flags"].values.dtype == bool
    assert made["embedding"].shape == (3, 2)
    assert made["items"].offsets.dtype == made["flags"].offsets.dtype == np.int64


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize("cuts", [[3], [1, 2], [2, 0, 1]])
def test_every_column_is_a_tensor_of_its_own_type(dataset: Any, cuts: list[int]) -> None:
    starts = [sum(cuts[:n]) for n in range(len(cuts))]
    published = dataset(*(COLUMNS.slice(a, n) for a, n in zip(starts, cuts, strict=True)))
    check(published.torch("train", device="cpu"))


@pytest.mark.usefixtures("torch")
def test_one_chunk_is_not_copied(dataset: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    published = dataset(COLUMNS)
    table = published.arrow("train")
    monkeypatch.setattr(Dataset, "arrow", lambda *_: table)
    made = published.torch("train", device="cpu")
    for name in NUMBERS:
        assert made[name].ctypes.data == table[name].chunk(0).buffers()[1].address
    assert made["embedding"].ctypes.data == table["embedding"].chunk(0).flatten().buffers()[1].address
    assert made["items"].values.ctypes.data == table["items"].chunk(0).values.buffers()[1].address


@pytest.mark.usefixtures("torch")
def test_columns_come_in_the_order_given(dataset: Any) -> None:
    made = dataset(COLUMNS).torch("train", ["uint8", "flag", "int8"], device="cpu")
    assert list(made) == ["uint8", "flag", "int8"]


@pytest.mark.usefixtures("torch")
def test_an_empty_split_gives_empty_tensors(dataset: Any) -> None:
    made = dataset(COLUMNS).torch("empty", device="cpu")
    assert made["int16"].shape == made["flag"].shape == (0,)
    assert made["embedding"].shape == (0, 2)
    assert plain(made["items"]) == Ragged([], [0])


@pytest.mark.usefixtures("torch")
def test_lists_that_begin_in_the_middle_of_their_values() -> None:
    column = COLUMNS["items"].chunk(0).slice(2)
    wanted = Wanted("demo@1 train", COLUMNS.schema, (), 1, 0)
    assert plain(device._on_host(sys.modules["torch"], wanted, "items", column)) == Ragged([8, 9], [0, 2])


def test_names_that_are_not_there_are_answered_with_near_ones(dataset: Any) -> None:
    published = dataset(COLUMNS)
    with pytest.raises(UsageError, match="no split 'trian'; did you mean 'train'"):
        published.torch("trian")
    with pytest.raises(UsageError, match="no column 'embeding'; did you mean 'embedding'"):
        published.cudf("train", ["embeding"])


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:-1", "cuda:a", "CPU", ""])
def test_an_unknown_device_is_refused(dataset: Any, name: str) -> None:
    with pytest.raises(UsageError, match="unknown device"):
        dataset(COLUMNS).torch("train", device=name)


def test_columns_that_no_tensor_holds_are_named_with_what_to_do(dataset: Any) -> None:
    table = pa.table(
        {
            "n": pa.array([1, 2]),
            "gap": pa.array([1, None]),
            "city": ["a", "b"],
            "day": pa.array([1, 2], pa.date32()),
            "deep": pa.array([[[1]], [[2]]], pa.list_(pa.list_(pa.int8()))),
        }
    )
    with pytest.raises(UsageError) as caught:
        dataset(table, nullable=("gap",)).torch("train", device="cpu")
    assert caught.value.where == "demo@1 train"
    assert caught.value.message.splitlines() == [
        "4 of 5 columns cannot be tensors:",
        "  gap: int64 with nulls; fill them in the pipeline (FillNull), or drop the rows (DropNull)",
        "  city: string; turn it into ids in the pipeline (Categorify, HashBucket)",
        "  day: date32[day]; turn it into numbers in the pipeline (DateParts, Cast)",
        "  deep: list<element: list<element: int8>>; only numbers, booleans and lists of them can be",
    ]
    assert caught.value.hint == "name others: columns=['n']"


@pytest.mark.usefixtures("torch")
def test_null_elements_of_lists_are_refused() -> None:
    table = pa.table({"items": pa.array([[1, None, None]])})
    wanted = Wanted("demo@1 train", pa.schema([pa.field("items", pa.list_(pa.int64()), nullable=False)]), (), 1, 0)
    with pytest.raises(DataError, match="column 'items' has 2 nulls in its lists"):
        device.tensors(wanted, "cpu", lambda: table)


@pytest.mark.skipif(util.find_spec("torch") is not None, reason="torch is installed")
def test_without_torch_the_message_says_how_to_get_it(dataset: Any) -> None:
    with pytest.raises(CapabilityError, match="torch is not installed") as caught:
        dataset(COLUMNS).torch("train", device="cpu")
    assert caught.value.hint == "pip install 'headrace[torch]'"


@pytest.mark.usefixtures("torch")
def test_without_a_gpu_the_message_says_what_works_without_one(dataset: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: Any, **__: Any) -> None:
        raise CapabilityError("the GPU engine cannot run here: NVML finds no GPU", hint="run with --engine cpu")

    monkeypatch.setattr("headrace.engines.detect.choose", none)
    published = dataset(COLUMNS)
    with pytest.raises(CapabilityError, match="NVML finds no GPU") as caught:
        published.torch("train")
    assert caught.value.hint == '`headrace doctor` says what is missing; device="cpu" works without one'
    with pytest.raises(CapabilityError, match="NVML finds no GPU") as caught:
        published.cudf("train")
    assert "dataset.to_polars()" in caught.value.hint


@pytest.mark.usefixtures("gpu")
def test_a_torch_without_cuda_is_said(dataset: Any, torch: Any) -> None:
    torch.cuda.is_available = lambda: False
    with pytest.raises(CapabilityError, match="torch 0 does not see the GPU that NVML sees"):
        dataset(COLUMNS).torch("train")


@pytest.mark.usefixtures("gpu", "torch")
def test_a_gpu_that_is_not_there_is_refused(dataset: Any) -> None:
    with pytest.raises(UsageError, match=r"there is no 'cuda:1': 1 GPU\(s\) are visible, from cuda:0"):
        dataset(COLUMNS).torch("train", device="cuda:1")


def large(rows: int) -> Wanted:
    schema = pa.schema([pa.field("x", pa.float32(), nullable=False)])
    return Wanted("demo@1 train", schema, (Path("part"),), rows, least_bytes(schema, rows))


@pytest.mark.usefixtures("gpu", "torch")
def test_what_cannot_fit_is_refused_before_it_is_read() -> None:
    wanted = large(300 << 20)
    with pytest.raises(GpuMemoryError) as caught:
        device.tensors(wanted, "cuda:0", lambda: pytest.fail("was read"))
    assert str(caught.value) == "demo@1 train: needs 1.17 GiB or more on cuda:0 (H200), which has 1.00 GiB free"
    assert caught.value.hint.startswith("name fewer columns (columns=[...])")
    with pytest.raises(GpuMemoryError, match=r"needs 1\.17 GiB or more on the current device"):
        device.frame(wanted)


@pytest.mark.usefixtures("gpu", "torch")
def test_a_pool_is_taken_to_have_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["rmm"].mr, "get_current_device_resource", object)
    device._fits(large(300 << 20), GPU, "cuda:0")
    with pytest.raises(GpuMemoryError, match=r"needs 2\.34 GiB or more on cuda:0 \(H200\), which has 2\.00 GiB$"):
        device._fits(large(600 << 20), GPU, "cuda:0")


@pytest.mark.usefixtures("gpu", "torch")
def test_more_rows_than_a_column_of_cudf_holds_are_refused() -> None:
    with pytest.raises(CapabilityError, match="2,147,483,648 rows, and a column of cuDF holds at most 2,147,483,647"):
        device.frame(large(2**31))


def test_the_least_memory_of_columns() -> None:
    assert least_bytes(COLUMNS.select(["int8", "flag", "float64"]).schema, 10) == 100
    assert least_bytes(COLUMNS.select(["embedding"]).schema, 10) == 80
    assert least_bytes(COLUMNS.select(["items"]).schema, 10) == 40


def test_all_columns_need_as_much_as_their_files_are_large(dataset: Any) -> None:
    published = dataset(pa.table({"city": [f"{n:0100}" for n in range(50)]}))
    assert published._wanted("train", None).least_bytes == published.manifest.splits["train"].files[0].bytes > 500
    assert published._wanted("train", ["city"]).least_bytes > 500


def test_some_columns_need_at_least_their_values(dataset: Any) -> None:
    assert dataset(COLUMNS)._wanted("train", ["int8"]).least_bytes == 3


class Column:
    """A column of libcudf, over memory of this process. Its values begin in the middle of its buffer."""

    def __init__(self, kind: str, values: Any, children: tuple[Column, ...] = (), nulls: int = 0) -> None:
        self._kind, self._values, self._children, self._nulls = kind, np.asarray(values), children, nulls
        self.buffer = np.concatenate([self._values[:1], self._values]).view("uint8")

    def type(self) -> Any:
        return SimpleNamespace(id=lambda: SimpleNamespace(name=self._kind))

    def size(self) -> int:
        return len(self._children[0]._values) - 1 if self._children else len(self._values)

    def offset(self) -> int:
        return 1

    def null_count(self) -> int:
        return self._nulls

    def data(self) -> Any:
        return SimpleNamespace(__array_interface__=self.buffer.__array_interface__, owner=self.buffer)

    def list_view(self) -> Any:
        return SimpleNamespace(offsets=lambda: self._children[0], child=lambda: self._children[1])


def lists(offsets: list[int], kind: str, values: Any, nulls: int = 0) -> Column:
    return Column("LIST", [], (Column("INT32", np.array(offsets, "int32")), Column(kind, values, nulls=nulls)))


def on_the_device(monkeypatch: pytest.MonkeyPatch, columns: dict[str, Column]) -> None:
    def column_names(include_children: bool) -> list[str]:
        assert not include_children
        return list(columns)

    table = SimpleNamespace(column_names=column_names, columns=tuple(columns.values()))
    monkeypatch.setattr(device, "_decoded", lambda _: table)


@pytest.mark.usefixtures("gpu")
def test_columns_on_the_device_are_not_copied(dataset: Any, torch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = {name: Column(name.upper(), np.array([0, 1, 100], name)) for name in NUMBERS}
    columns["flag"] = Column("BOOL8", np.array([1, 0, 1], "uint8"))
    columns["embedding"] = lists([0, 2, 4, 6], "FLOAT32", np.arange(1, 7, dtype="float32"))
    columns["items"] = lists([0, 1, 1, 3], "INT32", np.array([7, 8, 9], "int32"))
    columns["flags"] = lists([0, 1, 3, 3], "BOOL8", np.array([1, 0, 1], "uint8"))
    on_the_device(monkeypatch, dict(reversed(columns.items())))  # libcudf need not keep the order
    made = dataset(COLUMNS).torch("train")
    check(made)
    assert torch.entered == [0]
    for name in (*NUMBERS, "flag"):
        assert made[name].ctypes.data == columns[name].buffer.ctypes.data + made[name].itemsize


@pytest.mark.usefixtures("gpu", "torch")
def test_null_elements_on_the_device_are_refused(dataset: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    on_the_device(monkeypatch, {"items": lists([0, 1, 1, 3], "INT32", np.array([7, 8, 9], "int32"), nulls=2)})
    with pytest.raises(DataError, match="column 'items' has 2 nulls in its lists"):
        dataset(COLUMNS).torch("train", ["items"])


@pytest.mark.usefixtures("gpu", "torch")
def test_an_empty_split_or_column_on_the_device(dataset: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    published = dataset(COLUMNS)
    assert plain(published.torch("empty", ["items", "int8"])["items"]) == Ragged([], [0])
    on_the_device(monkeypatch, {"items": lists([0, 0, 0, 0], "INT32", np.array([], "int32"))})
    assert plain(published.torch("train", ["items"], "cuda")["items"]) == Ragged([], [0, 0, 0, 0])


def parameters(package: str, file: str, name: str) -> list[str]:
    """The parameters of a function as an installed package's source or stub has them; the package is not imported."""
    spec = util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"{package} is not installed")
    body = ast.parse((Path(spec.submodule_search_locations[0]) / file).read_text()).body
    owner, _, own = name.rpartition(".")
    if owner:
        [body] = [n.body for n in body if isinstance(n, ast.ClassDef) and n.name == owner]
    found = [n for n in body if isinstance(n, ast.FunctionDef) and n.name == own]
    return [a.arg for a in found[-1].args.args + found[-1].args.kwonlyargs if a.arg not in ("self", "cls")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("package", "file", "name", "expected"),
    [
        ("pylibcudf", "io/parquet.pyi", "read_parquet", ["options", "stream"]),
        ("pylibcudf", "io/parquet.pyi", "ParquetReaderOptions.builder", ["source"]),
        ("pylibcudf", "io/parquet.pyi", "ParquetReaderOptionsBuilder.column_names", ["col_names"]),
        ("pylibcudf", "io/parquet.pyi", "ParquetReaderOptionsBuilder.build", []),
        ("pylibcudf", "io/types.pyi", "SourceInfo.__init__", ["sources"]),
        ("pylibcudf", "io/types.pyi", "TableWithMetadata.column_names", ["include_children"]),
        ("pylibcudf", "io/types.pyi", "TableWithMetadata.columns", []),
        ("pylibcudf", "column.pyi", "Column.data", []),
        ("pylibcudf", "column.pyi", "Column.offset", []),
        ("pylibcudf", "column.pyi", "Column.list_view", []),
        ("pylibcudf", "column.pyi", "ListsColumnView.child", []),
        ("pylibcudf", "column.pyi", "ListsColumnView.offsets", []),
        ("pylibcudf", "gpumemoryview.pyi", "gpumemoryview.__cuda_array_interface__", []),
        ("rmm", "pylibrmm/stream.pyi", "Stream.synchronize", []),
        ("cudf", "core/dataframe.py", "DataFrame.from_pylibcudf", ["table"]),
        ("cudf", "core/dataframe.py", "DataFrame.from_arrow", ["table"]),
        ("cupy", "_creation/from_data.py", "asarray", ["a"]),
        ("cupy", "_creation/basic.py", "empty", ["shape", "dtype"]),
    ],
)
def test_what_is_called_is_there(package: str, file: str, name: str, expected: list[str]) -> None:
    got = parameters(package, file, name)
    assert [parameter for parameter in got if parameter in expected] == expected


def test_tensors_of_torch_itself(dataset: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: stood in for by NumPy in the tests above")
    published = dataset(COLUMNS)
    table = published.arrow("train")
    monkeypatch.setattr(Dataset, "arrow", lambda *_: table)
    made = published.torch("train", device="cpu")
    assert {name: plain(tensor) for name, tensor in made.items()} == EXPECTED
    assert {name: made[name].dtype for name in NUMBERS} == {name: getattr(torch, name) for name in NUMBERS}
    assert made["flag"].dtype == torch.bool
    assert made["items"].offsets.dtype == torch.int64
    for name in NUMBERS:
        assert made[name].data_ptr() == table[name].chunk(0).buffers()[1].address
