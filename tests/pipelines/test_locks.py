from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.pipelines.locks import lock_work
from headrace.schemas.errors import CapabilityError

KEY, OTHER = "0" * 32, "1" * 32


def folders(catalog: Path) -> list[str]:
    return sorted(p.name for p in (catalog / ".headrace" / "work").iterdir())


def test_what_was_left_is_found_again(tmp_path: Path) -> None:
    with lock_work(tmp_path, "demo", KEY) as lock:
        (lock.path / "made").write_text("1")
    with lock_work(tmp_path, "demo", KEY) as lock:
        assert (lock.path / "made").read_text() == "1"
    with lock_work(tmp_path, "demo", KEY, fresh=True) as lock:
        assert [p.name for p in lock.path.iterdir()] == ["lock"]


def test_a_folder_in_use_is_left_alone_and_another_is_made(tmp_path: Path) -> None:
    with lock_work(tmp_path, "demo", KEY) as first, lock_work(tmp_path, "demo", KEY) as second:
        assert first.path != second.path
        with lock_work(tmp_path, "demo", OTHER):
            assert first.path.is_dir()
            assert second.path.is_dir()


def test_other_content_of_the_same_pipeline_is_removed_and_other_pipelines_stay(tmp_path: Path) -> None:
    for name in ("demo", "demo-two", "de"):
        lock_work(tmp_path, name, KEY).release()
    lock_work(tmp_path, "demo", OTHER).release()
    assert folders(tmp_path) == [f"de-{KEY}", f"demo-{OTHER}", f"demo-two-{KEY}"]


def test_removing_leaves_nothing_and_the_next_starts_empty(tmp_path: Path) -> None:
    lock = lock_work(tmp_path, "demo", KEY)
    (lock.path / "made").mkdir()
    lock.remove()
    assert folders(tmp_path) == []
    with lock_work(tmp_path, "demo", KEY) as again:
        assert [p.name for p in again.path.iterdir()] == ["lock"]


def test_what_a_removal_that_was_killed_left_is_swept(tmp_path: Path) -> None:
    gone = tmp_path / ".headrace" / "work" / f".gone-demo-{KEY}.12345678"
    gone.mkdir(parents=True)
    lock_work(tmp_path, "demo", KEY).release()
    assert not gone.exists()


@pytest.mark.slow
def test_a_lock_ends_with_its_process_however_that_ends(tmp_path: Path) -> None:
    code = f"""
import os
from pathlib import Path
from headrace.pipelines.locks import lock_work
lock = lock_work(Path({str(tmp_path)!r}), "demo", {KEY!r})
print(lock.path, flush=True)
os.kill(os.getpid(), 9)
"""
    held = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    with lock_work(tmp_path, "demo", KEY) as lock:
        assert str(lock.path) == held.stdout.strip()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_catalog_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(CapabilityError, match="cannot be written"):
        lock_work(tmp_path / "c", "demo", KEY)


def test_a_catalog_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("")
    with pytest.raises(CapabilityError, match="cannot be written"):
        lock_work(tmp_path / "c", "demo", KEY)
