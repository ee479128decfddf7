"""A stand-in for Dask-CUDA: its cluster's arguments and life, with workers that have no GPU.

It is put first on the path of the process that hosts a cluster. What Dask-CUDA does to a GPU (pool, spilling, CUDA
context, affinity) is left out; what it does to processes and to CUDA_VISIBLE_DEVICES is done the same way.
"""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

from distributed import LocalCluster


class LocalCUDACluster(LocalCluster):
    """Writes what it was called with to the file that STANDIN_CALLS names, a line of JSON for each call."""

    def __init__(  # the arguments of dask_cuda.LocalCUDACluster 26.10; a test compares them
        self,
        CUDA_VISIBLE_DEVICES: Any = None,  # noqa: N803
        n_workers: Any = None,
        threads_per_worker: Any = 1,
        memory_limit: Any = "auto",
        device_memory_limit: Any = "default",
        enable_cudf_spill: Any = False,
        cudf_spill_stats: Any = 0,
        local_directory: Any = None,
        protocol: Any = None,
        enable_tcp_over_ucx: Any = None,
        enable_infiniband: Any = None,
        enable_nvlink: Any = None,
        enable_rdmacm: Any = None,
        rmm_pool_size: Any = None,
        rmm_maximum_pool_size: Any = None,
        rmm_managed_memory: Any = False,
        rmm_async: Any = False,
        rmm_allocator_external_lib_list: Any = None,
        rmm_release_threshold: Any = None,
        rmm_log_directory: Any = None,
        rmm_track_allocations: Any = False,
        log_spilling: Any = False,
        pre_import: Any = None,
        **kwargs: Any,
    ) -> None:
        given = {
            name: value for name, value in locals().items() if name not in ("self", "kwargs", "__class__")
        } | kwargs
        if calls := os.environ.get("STANDIN_CALLS"):
            with Path(calls).open("a") as file:
                file.write(json.dumps(given) + "\n")
        if problem := os.environ.get("STANDIN_FAILS"):
            raise RuntimeError(problem)
        self.cuda_visible_devices = list(CUDA_VISIBLE_DEVICES)
        super().__init__(
            n_workers=0,
            threads_per_worker=threads_per_worker,
            memory_limit=memory_limit,
            processes=True,
            local_directory=local_directory,
            protocol=protocol,
            **kwargs,
        )
        self.scale(n_workers)
        self.sync(self._correct_state)

    def new_worker_spec(self) -> dict[int, Any]:
        name = min(set(self.cuda_visible_devices) - set(self.worker_spec))
        first = self.cuda_visible_devices.index(name)
        visible = self.cuda_visible_devices[first:] + self.cuda_visible_devices[:first]
        spec = copy.deepcopy(self.new_spec)
        spec["options"]["env"] = {"CUDA_VISIBLE_DEVICES": ",".join(map(str, visible))}
        return {name: spec}
