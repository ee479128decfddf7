"""Samples that are kept: whole folders, used again, replaced when outdated, never over something else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from headrace.pipelines.gallery.cache import MARKER, cache_folder, keep
from headrace.schemas.errors import CapabilityError, ConflictError

WANTED = {"sample": "small", "version": "1"}


class Writer:
    """Writes one file and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, folder: Path) -> Mapping[str, Any]:
        self.calls += 1
        (folder / "below").mkdir()
        pl.DataFrame({"call": [self.calls]}).write_parquet(folder / "below" / "rows.parquet")
        return {"rows": 1}


def test_a_sample_is_written_once_and_its_facts_are_kept(tmp_path: Path) -> None:
    write = Writer()
    first = keep(tmp_path / "s", WANTED, write, name="small")
    assert first == {**WANTED, "rows": 1, "files": {"below/rows.parquet": first["files"]["below/rows.parquet"]}}
    assert keep(tmp_path / "s", WANTED, write, name="small") == first
    assert write.calls == 1
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


@pytest.mark.parametrize("damage", ["outdated", "a file is gone", "a file is cut", "no facts", "other facts"])
def test_an_outdated_or_damaged_sample_is_made_anew(damage: str, tmp_path: Path) -> None:
    write, folder, wanted = Writer(), tmp_path / "s", dict(WANTED)
    keep(folder, wanted, write, name="small")
    match damage:
        case "outdated":
            wanted["version"] = "2"
        case "a file is gone":
            (folder / "below" / "rows.parquet").unlink()
        case "a file is cut":
            (folder / "below" / "rows.parquet").write_bytes(b"PAR1")
        case "no facts":
            (folder / MARKER).write_text("{")
        case _:
            (folder / MARKER).write_text("[]")
    keep(folder, wanted, write, name="small")
    assert write.calls == 2
    assert pl.read_parquet(folder / "below" / "rows.parquet")["call"].to_list() == [2]
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ConflictError, match="other files"):
        keep(tmp_path, WANTED, Writer(), name="small")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    assert keep(tmp_path / "s", WANTED, Writer(), name="small")["rows"] == 1


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def write(folder: Path) -> Mapping[str, Any]:
        (folder / "half.parquet").write_bytes(b"PAR1")
        raise OSError(28, "No space left on device")

    with pytest.raises(CapabilityError, match="cannot write the small sample: No space left on device"):
        keep(tmp_path / "s", WANTED, write, name="small")
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_was_faster_wins(tmp_path: Path) -> None:
    slow, fast = Writer(), Writer()

    def overtaken(folder: Path) -> Mapping[str, Any]:
        keep(tmp_path / "s", WANTED, fast, name="small")
        return slow(folder)

    facts = keep(tmp_path / "s", WANTED, overtaken, name="small")
    assert facts["rows"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_the_cache_follows_xdg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("small-1") == tmp_path / "headrace" / "small-1"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # to be ignored, says the XDG specification
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_folder("small-1") == Path("/home/someone/.cache/headrace/small-1")
