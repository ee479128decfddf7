"""The sample data of the ctr pipeline: 200,000 rows of Criteo's shape, made from a seed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from headrace.pipelines.gallery.cache import cache_folder, keep
from headrace.pipelines.gallery.ctr.generator import write_ctr
from headrace.schemas.errors import UsageError

SAMPLE_VERSION: Final = "1"
ROWS: Final = 200_000


def write_sample(folder: Path, *, rows: int = ROWS, seed: int = 0) -> Path:
    """Write rows of Criteo's shape to a folder that appears whole or not at all, or reuse it; returns its path.

    The rows depend on the seed and their numbers alone; see `generator`. About 2 s and 14 MB on disk.

    Raises
    ------
    CapabilityError
        The folder cannot be written.
    ConflictError
        The folder holds something else.
    UsageError
        Fewer rows than one.
    """
    if rows < 1:
        raise UsageError(f"rows: expected 1 or more, got {rows}")
    wanted = {"sample": "headrace ctr", "version": SAMPLE_VERSION, "rows": rows, "seed": seed}

    def write(empty: Path) -> dict[str, object]:
        write_ctr(empty, rows, seed=seed)
        return {}

    folder = Path(folder).absolute()
    keep(folder, wanted, write, name="ctr")
    return folder


def cached_sample() -> Path:
    """The folder of the sample in the user's cache, written on the first call. Raises what `write_sample` raises."""
    return write_sample(cache_folder(f"ctr-{SAMPLE_VERSION}"))
