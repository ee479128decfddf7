"""The Dask-CUDA cluster on real GPUs: a pool and a GPU for each worker, and fresh ones after a device was full."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from headrace.engines import detect
from headrace.engines.cluster import open_cluster
from headrace.engines.gpu.options import GpuOptions
from headrace.engines.remote import RemoteExecutor
from headrace.schemas.errors import GpuMemoryError

POOL = 0.1  # other tests of this process hold memory too


def resource(_: int) -> tuple[int, str, str]:
    """In a worker: its process, its GPU, and the resource that device memory comes from."""
    import rmm

    from headrace.engines.members import member

    return os.getpid(), member().uuids[0], type(rmm.mr.get_current_device_resource()).__name__


def allocate(size: int) -> int:
    """In a worker: take so much device memory, and give it back."""
    import rmm

    from headrace.engines.gpu.memory import device_errors

    with device_errors():
        return int(rmm.DeviceBuffer(size=size).size)


@pytest.fixture(scope="module")
def cuda() -> Iterator[RemoteExecutor]:
    with open_cluster("cuda", "gpu", GpuOptions(pool=POOL, spill=False)) as executor:
        yield executor


def test_each_worker_has_a_gpu_of_its_own_and_a_pool(cuda: RemoteExecutor) -> None:
    gpus = detect.gpus()
    found = cuda.map(resource, range(20 * len(gpus)))
    assert {uuid for _, uuid, _ in found} == {gpu.uuid for gpu in gpus}
    assert {kind for _, _, kind in found} == {"PoolMemoryResource"}
    assert cuda.workers == len(gpus)


@pytest.mark.usefixtures("cuda")
def test_the_pool_is_taken_at_the_start() -> None:
    for gpu in detect.gpus():
        assert gpu.free_bytes is not None
        assert gpu.memory_bytes - gpu.free_bytes >= gpu.memory_bytes * POOL * 0.99


def test_a_full_device_is_an_error_of_ours_and_fresh_workers_have_room(cuda: RemoteExecutor) -> None:
    before = {pid for pid, _, _ in cuda.map(resource, range(20))}
    with pytest.raises(GpuMemoryError):
        cuda.map(allocate, [1 << 44])
    cuda.renew()
    half = int(min(gpu.memory_bytes for gpu in detect.gpus()) * POOL / 2)
    assert cuda.map(allocate, [half]) == [half]
    assert {pid for pid, _, _ in cuda.map(resource, range(20))} & before == set()


def test_spilling_can_be_on() -> None:
    with open_cluster("cuda:1", "gpu", GpuOptions(pool=POOL, spill=True)) as executor:
        assert executor.map(allocate, [1 << 20]) == [1 << 20]
