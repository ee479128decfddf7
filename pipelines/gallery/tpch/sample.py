"""The sample data of the tpch pipeline: five of TPC-H's tables at a small scale factor, made by tpchgen-cli.

The files are what `tpchgen-cli parquet -s SCALE_FACTOR --output-dir FOLDER` writes, so that a folder of any scale
factor made with it is a source of the pipeline as it is. Scale factor 1 has 6 M order lines.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from headrace.pipelines.gallery.cache import cache_folder, keep
from headrace.schemas.errors import CapabilityError, UsageError

SAMPLE_VERSION: Final = "1"
SCALE_FACTOR: Final = 0.05
TABLES: Final = ("lineitem", "orders", "customer", "part", "supplier")


def write_sample(folder: Path, *, scale_factor: float = SCALE_FACTOR) -> Path:
    """Have tpchgen-cli write the five tables, a Parquet file each, to a folder that appears whole; returns its path.

    The rows depend on the scale factor alone. At 0.05: 299,814 order lines, 14 MB on disk, 2 s.

    Raises
    ------
    CapabilityError
        tpchgen-cli is not installed or failed, or the folder cannot be written.
    ConflictError
        The folder holds something else.
    UsageError
        A scale factor that is not above 0.
    """
    if not scale_factor > 0:
        raise UsageError(f"scale_factor: expected more than 0, got {scale_factor}")
    wanted = {"sample": "headrace tpch", "version": SAMPLE_VERSION, "scale_factor": scale_factor}

    def write(empty: Path) -> dict[str, object]:
        _generate(empty, scale_factor)
        return {}

    folder = Path(folder).absolute()
    keep(folder, wanted, write, name="tpch")
    return folder


def cached_sample() -> Path:
    """The folder of the sample in the user's cache, written on the first call. Raises what `write_sample` raises."""
    return write_sample(cache_folder(f"tpch-{SAMPLE_VERSION}"))


def _generate(folder: Path, scale_factor: float) -> None:
    program = _program()
    words = [program, "parquet", "--scale-factor", f"{scale_factor:g}", "--output-dir", str(folder)]
    words += ["--tables", ",".join(TABLES), "--quiet"]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    missing = [table for table in TABLES if not (folder / f"{table}.parquet").is_file()]
    if ended.returncode or missing:
        said = " ".join((ended.stderr or ended.stdout).split())[:300] or f"it wrote no {', '.join(missing)}"
        raise CapabilityError(
            f"tpchgen-cli ended with status {ended.returncode}: {said}",
            where=program,
            hint="pip install --upgrade 'headrace[demo]'; or give a source of your own: --set source=FOLDER",
        )


def _program() -> str:
    """tpchgen-cli of this environment, activated or not, else the one on the PATH."""
    found = shutil.which("tpchgen-cli", path=str(Path(sys.executable).parent)) or shutil.which("tpchgen-cli")
    if found is None:
        raise CapabilityError(
            "the tpch sample is made by tpchgen-cli, which is not installed",
            hint="pip install 'headrace[demo]', or give a source of your own: --set source=FOLDER",
        )
    return found
