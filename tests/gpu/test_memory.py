"""A device's memory: the retreat of a run that does not fit, what spills and what does not, and how much a run takes.

Limits and counts are RMM's own adaptors over this process's pool; the retreat on fresh workers is in `test_cluster.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pytest
from tests.engines.parity import assert_same_dataset
from tests.gpu.conftest import POOL
from tests.pipelines.conftest import published
from tests.pipelines.families import every_family

from headrace.catalog.manifest import Manifest
from headrace.engines import detect
from headrace.engines.cluster import open_cluster
from headrace.engines.gpu.options import GpuOptions
from headrace.engines.kernels.lookup import Lookup
from headrace.engines.open import close_engines
from headrace.pipelines.model import Pipeline
from headrace.schemas.errors import GpuMemoryError

WHOLE: Final = 1 << 40
"""Partition bytes: one partition a file."""
SMALL_POOL: Final = 0.02
"""Of a worker whose device is to be full soon."""
ENOUGH: Final = 7
"""Frames of a quarter of that pool: more than it holds."""

Published = tuple[Manifest, Path]


@contextmanager
def adapted(make: Callable[[Any], Any]) -> Iterator[Any]:
    """RMM's resource of this process under an adaptor, for a block; its engine is opened and closed inside."""
    import rmm

    before = rmm.mr.get_current_device_resource()
    close_engines()
    resource = make(before)
    rmm.mr.set_current_device_resource(resource)
    try:
        yield resource
    finally:
        close_engines()
        rmm.mr.set_current_device_resource(before)


def limited(limit: int) -> Callable[[Any], Any]:
    import rmm

    return lambda upstream: rmm.mr.LimitingResourceAdaptor(upstream, allocation_limit=limit)


def counted(upstream: Any) -> Any:
    import rmm

    return rmm.mr.StatisticsResourceAdaptor(upstream)


def run(pipeline: Pipeline, catalog: Path, **options: Any) -> Published:
    return published(pipeline, catalog, engine="gpu", cluster="inline", gpu=GpuOptions(pool=POOL), **options)


def peak(pipeline: Pipeline, catalog: Path, **options: Any) -> int:
    """The most device memory that a run holds at a time; next to none is left behind it."""
    with adapted(counted) as resource:
        run(pipeline, catalog, **options)
        close_engines()
        after = resource.allocation_counts
    assert after.current_bytes < 1 << 20
    return int(after.peak_bytes)


@pytest.fixture(scope="module")
def ctr(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """A file of four row groups, so a partition of four units; shards are small, for they are not cut."""
    from benchmarks.ctr_pipeline import pipeline

    from headrace.pipelines.gallery.ctr.generator import FILE_ROWS, write_ctr

    folder = tmp_path_factory.mktemp("ctr")
    write_ctr(folder, FILE_ROWS)
    source = pipeline.source.model_copy(update={"root": str(folder)})
    output = pipeline.output.model_copy(update={"shard_bytes": 1 << 20})
    return pipeline.model_copy(update={"source": source, "output": output})


def test_a_partition_that_does_not_fit_is_cut_and_the_dataset_is_the_same(
    ctr: Pipeline, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = peak(ctr, tmp_path / "whole", partition_bytes=WHOLE)
    quarter = peak(ctr, tmp_path / "quarter", partition_bytes=1)
    assert quarter < 0.7 * whole
    with adapted(limited((whole + quarter) // 2)), caplog.at_level(logging.WARNING, "headrace"):
        gpu = run(ctr, tmp_path / "gpu", partition_bytes=WHOLE, strict_gpu=True)
    assert any("it runs again in 2 pieces" in record.message for record in caplog.records)
    assert gpu[0].producer.fallbacks == ()
    assert_same_dataset(published(ctr, tmp_path / "cpu", cluster="inline"), gpu)


def test_where_nothing_fits_the_cpu_does_it_and_it_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pipeline = every_family(tmp_path / "source", 600)
    with adapted(limited(4096)), caplog.at_level(logging.WARNING, "headrace"):
        gpu = run(pipeline, tmp_path / "gpu")
    assert_same_dataset(published(pipeline, tmp_path / "cpu", cluster="inline"), gpu)
    passes = [f"pass 0 over partition {n}: the device had no memory left for its rows" for n in range(3)]
    assert set(passes) < set(gpu[0].producer.fallbacks)
    assert any("it runs on the CPU" in record.message for record in caplog.records)


def test_a_strict_run_fails_there(tmp_path: Path) -> None:
    pipeline = every_family(tmp_path / "source", 600)
    with (
        adapted(limited(4096)),
        pytest.raises(GpuMemoryError, match="pass 0 over partition 0: the device has no memory left"),
    ):
        run(pipeline, tmp_path / "gpu", strict_gpu=True)


def bounded(folder: Path, files: int) -> Pipeline:
    """Files of 262,144 rows with a number, a category of 1,000 values and a label; shards of a fixed size."""
    from headrace.pipelines.model import Source
    from headrace.schemas.contract import Column, Contract

    folder.mkdir(parents=True)
    rows = 1 << 18
    random = np.random.default_rng(files)
    for file in range(files):
        category = random.integers(0, 1000, rows)
        frame = pl.DataFrame({"x": random.normal(size=rows), "y": category % 2})
        frame = frame.with_columns(c=pl.format("category-{}", pl.Series(category)))
        frame.write_parquet(folder / f"part-{file:02}.parquet", row_group_size=rows)
    checked: dict[str, Any] = {
        "steps": [
            {"Standardize": {"columns": ["x"]}},
            {"HashBucket": {"columns": ["c"], "n": 64, "output": "bucket"}},
            {"Categorify": {"columns": ["c"]}},
        ],
        "split": {"by": "fraction", "fractions": {"train": 1.0}},
        "output": {"shard_bytes": 1 << 20},
    }
    columns = tuple(Column(name=name, dtype=dtype) for name, dtype in frame.schema.items())
    return Pipeline(
        name="bounded",
        source=Source(path="*.parquet", root=str(folder)),
        contract=Contract(name="bounded", columns=columns),
        target="y",
        **checked,
    )


def test_eight_times_the_rows_take_no_more_of_the_device(tmp_path: Path) -> None:
    few = peak(bounded(tmp_path / "few", 2), tmp_path / "one", partition_bytes=WHOLE)
    many = peak(bounded(tmp_path / "many", 16), tmp_path / "other", partition_bytes=WHOLE)
    assert many <= 1.2 * few


def quarter_of_pool() -> int:
    return int(min(gpu.memory_bytes for gpu in detect.gpus()) * SMALL_POOL) // 4


def frames_of_cudf(size: int) -> tuple[str, int, list[bool]]:
    """In a worker: more cuDF frames than its pool holds. How memory is had, how much is spilled, and what is right."""
    import cudf
    import rmm
    from cudf.core.buffer.spill_manager import get_global_manager

    rows = size // 8
    # Made on the device: what comes from the host counts as spilled until it is used.
    made = [cudf.DataFrame({"n": cudf.Series(range(number, rows + number))}) for number in range(ENOUGH)]
    manager = get_global_manager()
    assert manager is not None
    spilled = sum(buffer.size for buffer in manager.buffers() if buffer.is_spilled)
    sums = [int(frame["n"].sum()) for frame in made]  # on the device: what is spilled comes back
    right = [total == rows * (rows - 1) // 2 + rows * number for number, total in enumerate(sums)]
    return type(rmm.mr.get_current_device_resource()).__name__, int(spilled), right


def query_beside_frames_of_cudf(size: int) -> tuple[int, int]:
    """In a worker: rows of a query on a device that cuDF frames fill."""
    import cudf
    from cudf.core.buffer.spill_manager import get_global_manager

    rows = size // 8
    made = [cudf.DataFrame({"n": cudf.Series(range(rows))}) for _ in range(3)]
    manager = get_global_manager()
    assert manager is not None
    before = [buffer.is_spilled for buffer in manager.buffers()]
    held = tables_of_queries(size, 2)
    spilled = [buffer.is_spilled for buffer in manager.buffers()]
    assert len(made) == 3
    return held, sum(spilled) - sum(before)


def tables_of_queries(size: int, count: int = ENOUGH) -> int:
    """In a worker: hold the rows of so many queries at a time."""
    from headrace.engines.open import EngineSpec, open_engine

    engine = open_engine(EngineSpec(name="gpu", strict=True))
    numbers = pl.LazyFrame({"n": np.arange(size // 8, dtype="int64")})
    held = [engine.hold(numbers) for _ in range(count)]
    return sum(rows.height for rows in held)


def test_cudf_frames_spill_and_come_back_and_rows_of_queries_do_not() -> None:
    """As `--gpu spill=true` says: rows that queries hold are no frames of cuDF, and a device full of them is full."""
    size = quarter_of_pool()
    with open_cluster("cuda:1", "gpu", GpuOptions(pool=SMALL_POOL, spill=True)) as executor:
        [(resource, spilled, right)] = executor.map(frames_of_cudf, [size])
        assert resource == "FailureCallbackResourceAdaptor"  # cuDF's, over the pool of Dask-CUDA
        assert spilled >= (ENOUGH - 4) * size * 0.99
        assert all(right)
        [(rows, moved)] = executor.map(query_beside_frames_of_cudf, [size])
        assert rows == 2 * (size // 8)
        assert moved > 0
        with pytest.raises(GpuMemoryError, match="the device has no memory left"):
            executor.map(tables_of_queries, [size])


def test_without_spilling_a_device_full_of_cudf_frames_is_full() -> None:
    with open_cluster("cuda:1", "gpu", GpuOptions(pool=SMALL_POOL, spill=False)) as executor:
        [manager] = executor.map(spill_manager, [0])
        assert manager is None
        with pytest.raises(GpuMemoryError, match="the device has no memory left"):
            executor.map(too_many_frames_of_cudf, [quarter_of_pool()])


def spill_manager(_: int) -> str | None:
    """In a worker: whether cuDF spills."""
    from cudf.core.buffer.spill_manager import get_global_manager

    manager = get_global_manager()
    return None if manager is None else type(manager).__name__


def too_many_frames_of_cudf(size: int) -> int:
    """In a worker: as `frames_of_cudf`, with the device's errors as ours."""
    import cudf

    from headrace.engines.gpu.memory import device_errors

    with device_errors():
        return len([cudf.DataFrame({"n": cudf.Series(range(size // 8))}) for _ in range(ENOUGH)])


def test_a_process_gets_one_pool_and_keeps_a_resource_that_it_has() -> None:
    import rmm

    from headrace.engines.gpu.memory import use_pool

    with adapted(lambda _: rmm.mr.CudaMemoryResource()):
        free, _ = rmm.mr.available_device_memory()
        use_pool(0.01)
        pool = rmm.mr.get_current_device_resource()
        assert isinstance(pool, rmm.mr.PoolMemoryResource)
        assert 0.009 * free <= pool.pool_size() <= 0.01 * free
        use_pool(0.02)
        assert rmm.mr.get_current_device_resource() is pool
        with pytest.raises(MemoryError):  # it does not grow
            rmm.DeviceBuffer(size=2 * pool.pool_size())
    with adapted(limited(1 << 20)) as resource:
        use_pool(0.01)
        assert rmm.mr.get_current_device_resource() is resource


def test_a_pool_that_does_not_fit_is_a_full_device() -> None:
    import rmm

    from headrace.engines.gpu.memory import use_pool

    with adapted(lambda _: rmm.mr.CudaMemoryResource()), pytest.raises(GpuMemoryError, match="no memory left"):
        use_pool(8.0)


@pytest.mark.parametrize("kind", ["CudaMemoryResource", "PoolMemoryResource", "LimitingResourceAdaptor"])
def test_a_failed_allocation_is_a_full_device_and_the_next_one_is_tried(kind: str) -> None:
    import rmm

    from headrace.engines.gpu.memory import device_errors

    make: dict[str, Callable[[Any], Any]] = {
        "CudaMemoryResource": lambda _: rmm.mr.CudaMemoryResource(),
        "PoolMemoryResource": lambda _: rmm.mr.PoolMemoryResource(
            rmm.mr.CudaMemoryResource(), initial_pool_size=1 << 20, maximum_pool_size=1 << 20
        ),
        "LimitingResourceAdaptor": limited(1 << 20),
    }
    with adapted(make[kind]):
        with pytest.raises(GpuMemoryError, match="the device has no memory left") as caught, device_errors():
            rmm.DeviceBuffer(size=1 << 50)
        assert isinstance(caught.value.__cause__, MemoryError)
        assert rmm.DeviceBuffer(size=1 << 10).size == 1 << 10


def test_so_is_one_inside_of_libcudf() -> None:
    import pylibcudf as plc

    from headrace.engines.gpu.memory import device_errors

    with adapted(limited(1 << 20)):
        one = plc.Scalar.from_py(1, plc.DataType(plc.TypeId.INT64))
        with pytest.raises(GpuMemoryError, match="the device has no memory left") as caught, device_errors():
            plc.Column.from_scalar(one, 1 << 30)
        assert isinstance(caught.value.__cause__, MemoryError)


def test_a_column_of_more_rows_than_libcudf_has_is_one_that_fewer_rows_mend() -> None:
    import pylibcudf as plc

    from headrace.engines.gpu.memory import device_errors

    zero = plc.Scalar.from_py(0, plc.DataType(plc.TypeId.INT8))
    table = plc.Table([plc.Column.from_scalar(zero, 1 << 30)])
    with pytest.raises(GpuMemoryError, match="a column is longer than the device's can be"), device_errors():
        plc.concatenate.concatenate([table] * 3)


def test_an_engine_that_is_closed_leaves_no_vocabulary_on_the_device() -> None:
    """Though the frame that it was made of is still there."""
    from headrace.engines.open import EngineSpec, open_engine

    vocabulary = pl.DataFrame({"value": [f"value {n}" for n in range(100_000)]})
    rows = pl.LazyFrame({"a": ["value 7", "none", None]})
    with adapted(counted) as resource:
        engine = open_engine(EngineSpec(name="gpu", strict=True))
        [ids] = engine.collect([engine.kernel(rows, Lookup("a", vocabulary, "id"))])
        assert ids["id"].to_list() == [7, None, None]
        assert resource.allocation_counts.current_bytes > 100_000
        del engine
        close_engines()
        assert resource.allocation_counts.current_bytes < 10_000
    assert vocabulary.height == 100_000
