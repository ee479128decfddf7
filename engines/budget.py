"""How much of a source one task works on, where nobody says."""

from __future__ import annotations

from typing import Final

from headrace.engines.engine import EngineName

CPU_BYTES: Final = 256 << 20
GPU_MOST_BYTES: Final = 2 << 30
_SMALL_DEVICE: Final = 16 << 30


def partition_bytes_for(engine: EngineName, device_memory_bytes: int | None = None) -> int:
    """Bytes in memory of the source rows of one partition.

    On a GPU 1/32 of the device's memory: a query holds several copies of its rows at a time. At most 2 GiB, until a
    larger one is measured to be faster; and not below what a CPU task gets, while that is at most 1/16 of the device.

    Parameters
    ----------
    device_memory_bytes
        What the smallest GPU of the run has. None or 0 where that is not known, for workers on other machines or a
        GPU without memory of its own: as for a device of 16 GiB.

    Examples
    --------
    >>> [partition_bytes_for("gpu", gibibytes << 30) >> 20 for gibibytes in (2, 6, 16, 80)]
    [128, 256, 512, 2048]
    """
    if engine == "cpu":
        return CPU_BYTES
    memory = device_memory_bytes or _SMALL_DEVICE
    return min(GPU_MOST_BYTES, max(memory // 32, min(CPU_BYTES, memory // 16)))
