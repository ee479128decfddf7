"""A made-up result, for the tests of what is written. Its figures are nobody's."""

from __future__ import annotations

from benchmarks.gpu.model import FLOOR, Case, Result, Run


def made_up() -> Result:
    """One GPU that does not exist, two sizes."""
    usage = {"user_s": 5.0, "system_s": 1.0, "host_process_mb": 900.0, "host_tree_mb": 1000.0}

    def run(wall: float, rmm: float | None = None, nvml: float | None = None, **stages: float) -> Run:
        return Run(wall_s=wall, stages=stages, rmm_peak_mb=rmm, gpu_device_mb=nvml, **usage)

    small = Case(
        rows=4_000_000,
        input_mb=290.0,
        compared="row by row",
        runs={
            "cuDF script": (run(11, 5000, 90_000, fit=1, apply=1),),
            FLOOR: (run(9, 3000, 90_000, decode=0.25, encode=0.5),),
            "headrace run, GPU": (run(15, None, 91_000, fit=1, apply=2), run(17, None, 91_000, fit=2, apply=3)),
        },
        checks={"cuDF script": "reference", "headrace run, GPU": "equal"},
        failed={"dask-cudf script": "status 1\n  no luck"},
    )
    large = Case(rows=40_000_000, compression="zstd", left_out={"cuDF script": "no input: it would take too long"})
    machine: dict[str, object] = {
        "processor": "P",
        "cores": 16,
        "memory_gb": 128.0,
        "system": "Linux",
        "gpus": [{"name": "Nobody's GPU", "memory_gb": 1.5}],
        "driver": "1.2.3",
        "cuda_of_driver": "13.0",
    }
    return Result(
        created_at="2000-01-01T00:00:00+00:00",
        machine=machine,
        settings={"budget_seconds": 540.0},
        cases=(small, large),
    )
