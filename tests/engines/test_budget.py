"""How large a partition is where nobody says."""

from __future__ import annotations

import pytest

from headrace.engines.budget import partition_bytes_for


def test_a_cpu_task_gets_the_same_everywhere() -> None:
    assert partition_bytes_for("cpu") == partition_bytes_for("cpu", 80 << 30) == 268_435_456


@pytest.mark.parametrize(
    ("gibibytes", "mebibytes"),
    [(1, 64), (2, 128), (4, 256), (8, 256), (12, 384), (16, 512), (24, 768), (40, 1280), (64, 2048), (141, 2048)],
)
def test_a_gpu_task_gets_a_part_of_the_device(gibibytes: int, mebibytes: int) -> None:
    assert partition_bytes_for("gpu", gibibytes << 30) == mebibytes << 20


@pytest.mark.parametrize("gibibytes", range(1, 65))
def test_it_is_between_a_32nd_and_a_16th_of_a_device(gibibytes: int) -> None:
    memory = gibibytes << 30
    assert memory // 32 <= partition_bytes_for("gpu", memory) <= memory // 16


def test_an_unknown_device_counts_as_one_of_16_gib() -> None:
    assert partition_bytes_for("gpu") == partition_bytes_for("gpu", 0) == 536_870_912
