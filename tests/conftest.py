"""How much hypothesis tries: all of it in `make test`, less in `make check`. No deadlines: machines differ.

A run ends with a count of what was checked of the GPU engine without a GPU.
"""

from __future__ import annotations

import signal
from typing import Final

import pytest
from hypothesis import settings

settings.register_profile("all", deadline=None)
settings.register_profile("check", deadline=None, max_examples=20)
settings.load_profile("all")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as shells start what they put in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

WITHOUT_A_GPU: Final = {
    "translation": ("test_translat", "translates", "test_gpu_engine"),
    "signatures": ("signature", "tests/imitation/"),
    "kernel bodies over an imitation of libcudf": ("tests/engines/gpu/", "test_gpu_matrix", "test_cuml"),
    "cluster, options and plan": ("test_cuda_cluster", "test_members", "test_budget", "test_placement", "test_detect"),
}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count the tests that check the GPU engine on a machine without a GPU, each under the first kind it is of."""
    counts = dict.fromkeys(WITHOUT_A_GPU, 0)
    for report in terminalreporter.stats.get("passed", []):
        kind = next((k for k, words in WITHOUT_A_GPU.items() if any(w in report.nodeid for w in words)), None)
        if kind and report.when == "call":
            counts[kind] += 1
    if any(counts.values()):
        words = ", ".join(f"{kind} {count}" for kind, count in counts.items())
        terminalreporter.write_line(f"GPU engine, checked without a GPU: {words}")
