"""Where the gallery's sample data lie: folders that appear whole, are used again, and are made anew when outdated."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from headrace.schemas.errors import CapabilityError, ConflictError

MARKER: Final = "sample.json"
"""The file in a sample's folder that says what it is."""


def cache_folder(name: str) -> Path:
    """`$XDG_CACHE_HOME/headrace/<name>`, where the variable is set to an absolute path, else below `~/.cache`."""
    root = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not root.is_absolute():
        root = Path.home() / ".cache"
    return root / "headrace" / name


def keep(
    folder: Path, wanted: Mapping[str, Any], write: Callable[[Path], Mapping[str, Any]], *, name: str
) -> dict[str, Any]:
    """Write a sample to `folder`, or reuse the folder if it holds this very sample already.

    The folder appears whole or not at all; a process that writes the same folder meanwhile does no harm.

    Parameters
    ----------
    folder
        Must not exist, or be empty, or hold a sample (an outdated or incomplete one is replaced).
    wanted
        What makes it this sample and no other: its name, its version, the arguments.
    write
        Writes Parquet files to a folder that is there and empty, and returns facts about them.
    name
        How messages call the sample.

    Returns
    -------
    dict
        `wanted`, what `write` said, and `files`: the path of each Parquet file below the folder and its bytes.

    Raises
    ------
    CapabilityError
        The folder cannot be written.
    ConflictError
        The folder holds something else.
    """
    existing = _read(folder, wanted)
    if existing is not None:
        return existing
    if folder.exists() and not _replaceable(folder):
        raise ConflictError(
            "the folder holds other files", where=str(folder), hint="choose another folder for the sample, or empty it"
        )
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    try:
        temporary.mkdir(parents=True)
        facts = write(temporary)
        sizes = {str(path.relative_to(temporary)): path.stat().st_size for path in sorted(temporary.rglob("*.parquet"))}
        text = json.dumps({**wanted, **facts, "files": sizes}, indent=2) + "\n"
        (temporary / MARKER).write_text(text, encoding="utf-8")
        _install(temporary, folder, wanted)
    except OSError as error:
        raise CapabilityError(
            f"cannot write the {name} sample: {error.strerror or error}",
            where=str(folder),
            hint="choose a folder that can be written, or set XDG_CACHE_HOME to one",
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    written = _read(folder, wanted)
    if written is None:
        raise ConflictError("another process changed the folder meanwhile", where=str(folder), hint="run it again")
    return written


def _install(temporary: Path, folder: Path, wanted: Mapping[str, Any]) -> None:
    """Give the finished folder its name; where another process was faster, keep that one's."""
    if folder.exists() and _read(folder, wanted) is None and _replaceable(folder):
        outdated = temporary.with_name(f"{temporary.name}.outdated")
        folder.rename(outdated)
        shutil.rmtree(outdated, ignore_errors=True)
    try:
        temporary.rename(folder)
    except OSError:
        if _read(folder, wanted) is None:
            raise


def _replaceable(folder: Path) -> bool:
    return folder.is_dir() and ((folder / MARKER).is_file() or not any(folder.iterdir()))


def _read(folder: Path, wanted: Mapping[str, Any]) -> dict[str, Any] | None:
    """The facts of the sample in `folder`, if it is the wanted one and no file is missing or of another size."""
    try:
        facts: dict[str, Any] = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        if any(facts.get(name) != value for name, value in wanted.items()):
            return None
        if any((folder / path).stat().st_size != size for path, size in facts["files"].items()):
            return None
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    return facts
