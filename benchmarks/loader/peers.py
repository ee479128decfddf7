"""Who takes part beside headrace's loader. What is not installed is named in the result, with what would install it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

BATCH: Final = 65_536
SMALL: Final = 4_096
"""For those that would give no batch of 65,536 rows in the time there is."""


@dataclass(frozen=True)
class Peer:
    """One way to do the job.

    Attributes
    ----------
    name
        As in the table.
    module
        Of `benchmarks.peers`.
    imports
        What must be there, and `package` as pip knows it.
    environment
        Whose Python runs it: that of this benchmark, or what `--peer-python` gives for the name.
    """

    name: str
    module: str
    imports: str
    package: str
    environment: str = ""
    batch: int = BATCH
    format: str = "parquet"


HEADRACE: Final = "headrace"

PEERS: Final = (
    Peer(HEADRACE, "loader_headrace", "torch", "torch"),
    Peer("pyarrow by hand, 8 row groups mixed", "loader_pyarrow", "torch", "torch"),
    Peer("pyarrow by hand, iter_batches", "loader_batches", "torch", "torch"),
    Peer("torch DataLoader over row groups, 2 workers", "loader_workers", "torch", "torch"),
    Peer("NVIDIA Merlin dataloader, CPU", "loader_merlin", "merlin.dataloader", "merlin-dataloader", "merlin"),
    Peer("Hugging Face datasets, Arrow batches by hand", "loader_datasets_batches", "datasets", "datasets"),
    Peer("Hugging Face datasets, stream", "loader_datasets", "datasets", "datasets"),
    Peer("Hugging Face datasets, Arrow copy", "loader_datasets_arrow", "datasets", "datasets"),
    Peer("Hugging Face datasets, stream, DataLoader", "loader_datasets_workers", "datasets", "datasets", batch=SMALL),
    Peer("LitData, Parquet", "loader_litdata", "litdata", "litdata", "litdata", batch=SMALL),
    Peer("mosaicml-streaming, MDS", "loader_mosaic", "streaming", "mosaicml-streaming", "mds", SMALL, "mds"),
)

ENVIRONMENTS: Final = tuple(dict.fromkeys(peer.environment for peer in PEERS if peer.environment))


def missing(peer: Peer, pythons: Mapping[str, str]) -> str:
    """Why it cannot take part; empty if it can."""
    python = pythons.get(peer.environment, sys.executable)
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({peer.imports!r}) is None)"
    try:
        there = subprocess.run([python, "-c", code], check=False, capture_output=True).returncode == 0
    except OSError as error:
        return f"{python}: {error.strerror}"
    if there:
        return ""
    if not peer.environment:
        return f"not installed: {peer.package}"
    return f"not installed: {peer.package}; in an environment of its own, --peer-python {peer.environment}=PYTHON"
