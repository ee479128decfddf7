"""The result of the comparison on a GPU: what was measured, in which units, and what follows from it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

FLOOR: Final = "floor: cuDF decodes and encodes"
SCHEMA_VERSION: Final = 1


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Run(_Frozen):
    """One process, or one process and those it started. MB are 1e6 bytes.

    Parameters
    ----------
    wall_s
        The whole process, imports and start-up included.
    stages
        Seconds by stage as the process itself took them, start-up excluded; of `headrace run`, its run record's.
    user_s, system_s
        CPU seconds of all processes.
    host_process_mb, host_tree_mb
        Peak resident memory of the largest process, and of all of them (sampled).
    gpu_processes_mb, gpu_device_mb
        Peak of what NVML saw (sampled): memory pools count whole. None where it could not be seen.
    rmm_peak_mb
        Peak of what was allocated from RMM, counted by the process. None where it was not counted.
    disk_mb
        Peak of the room taken on the disk (sampled).
    output_mb
        The Parquet files that it left.
    load
        The machine's load average before the start.
    """

    wall_s: float
    stages: dict[str, float] = {}
    user_s: float
    system_s: float
    host_process_mb: float
    host_tree_mb: float
    gpu_processes_mb: float | None = None
    gpu_device_mb: float | None = None
    rmm_peak_mb: float | None = None
    disk_mb: float = 0.0
    output_mb: float = 0.0
    load: float = 0.0

    @property
    def work_s(self) -> float:
        """The stages together; of a process that told none, the whole."""
        return sum(self.stages.values()) if self.stages else self.wall_s


class Summary(_Frozen):
    """What follows from a side's runs; medians over the rounds.

    Parameters
    ----------
    mrows_per_s
        Millions of rows over `work_s`, and over `wall_s` in `mrows_per_s_whole`.
    input_gb_per_s
        1e9 bytes of the input's Parquet files over `work_s`.
    of_floor
        The floor's decode and encode, once each, over `work_s`. None without a floor.
    of_two_pass_floor
        The same with decode counted twice, as a job of two passes has to, unless it keeps the input on the device.
    """

    wall_s: float
    work_s: float
    mrows_per_s: float
    mrows_per_s_whole: float
    input_gb_per_s: float
    of_floor: float | None
    of_two_pass_floor: float | None


class Case(_Frozen):
    """All sides at one size.

    Parameters
    ----------
    rows, input_mb, compression, generate_s
        The input: its size in Parquet, how it is compressed, and how long making it took.
    compared
        How results were checked: `row by row`, or by `digests` at sizes where that would take too long.
    runs
        By side, one a round.
    checks
        What the check said of each side: `reference`, `equal`, or what differs.
    failed
        Sides whose process failed, and its last words.
    left_out
        Sides, or rounds of them, that were not run or not finished, and why.
    """

    rows: int
    input_mb: float = 0.0
    compression: str = "snappy"
    generate_s: float = 0.0
    compared: Literal["row by row", "digests"] = "digests"
    runs: dict[str, tuple[Run, ...]] = {}
    checks: dict[str, str] = {}
    failed: dict[str, str] = {}
    left_out: dict[str, str] = {}

    def summary(self, side: str) -> Summary:
        """Rates of one side that was run."""
        runs = self.runs[side]
        wall, work = median([run.wall_s for run in runs]), median([run.work_s for run in runs])
        floor = self.runs.get(FLOOR, ())
        once = median([run.work_s for run in floor]) if floor else None
        decode = median([run.stages.get("decode", 0.0) for run in floor]) if floor else 0.0
        return Summary(
            wall_s=round(wall, 3),
            work_s=round(work, 3),
            mrows_per_s=round(self.rows / work / 1e6, 3),
            mrows_per_s_whole=round(self.rows / wall / 1e6, 3),
            input_gb_per_s=round(self.input_mb / 1e3 / work, 3),
            of_floor=None if once is None else round(once / work, 3),
            of_two_pass_floor=None if once is None else round((once + decode) / work, 3),
        )


class Result(_Frozen):
    """One comparison. `summaries` of a written file are by rows and side; they follow from `cases`."""

    schema_version: int = SCHEMA_VERSION
    name: str = "gpu_ctr"
    created_at: str
    machine: dict[str, object]
    settings: dict[str, object]
    cases: tuple[Case, ...]
    summaries: dict[str, dict[str, Summary]] = {}

    def complete(self) -> Result:
        """With its summaries."""
        summaries = {str(case.rows): {side: case.summary(side) for side in case.runs} for case in self.cases}
        return self.model_copy(update={"summaries": summaries})


def median(values: Sequence[float]) -> float:
    """Of at least one value."""
    return float(statistics.median(values))
