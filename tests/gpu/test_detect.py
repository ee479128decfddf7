"""What NVML says of the GPUs, beside what CUDA says, and the doctor's trial."""

from __future__ import annotations

import subprocess
import sys

from headrace.commands.gpu_findings import findings, self_test
from headrace.engines.detect import choose, gpus

_ASKED_OF_CUDA = """
import rmm
from rmm._cuda.gpu import getDeviceCount
print(getDeviceCount(), rmm.mr.available_device_memory()[1])
"""


def test_the_gpus_are_those_of_cuda() -> None:
    words = [sys.executable, "-P", "-c", _ASKED_OF_CUDA]
    answer = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True).stdout.split()
    found = gpus()
    assert int(answer[0]) == len(found)
    # CUDA counts what it can give away, NVML what is built in.
    assert 0.9 * found[0].memory_bytes < int(answer[1]) <= found[0].memory_bytes


def test_a_gpu_says_all_that_is_asked_of_it() -> None:
    assert choose("gpu", 0.1).engine == "gpu"
    for gpu in gpus():
        assert gpu.free_bytes is not None
        assert gpu.capability is not None
        assert gpu.capability >= (7, 0)


def test_the_trial_of_the_doctor() -> None:
    finding = self_test()
    assert (finding.state, finding.found) == ("ok", "16 columns of 1000 rows equal the CPU's")


def test_the_doctor_finds_nothing_broken() -> None:
    assert [finding for finding in findings(0.1) if finding.state == "broken"] == []
