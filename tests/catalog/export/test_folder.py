from __future__ import annotations

import errno
from pathlib import Path

import pytest

from headrace.catalog.export.folder import new_folder
from headrace.schemas.errors import CapabilityError, RunError, UsageError


def test_appears_when_it_is_whole(tmp_path: Path) -> None:
    with new_folder(tmp_path / "out") as folder:
        (folder / "x").write_text("x")
        assert not (tmp_path / "out").exists()
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["out", "out/x"]


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(1)])
def test_is_gone_after_any_error(tmp_path: Path, error: BaseException) -> None:
    def fill() -> None:
        with new_folder(tmp_path / "out") as folder:
            (folder / "x").write_text("x")
            raise error

    with pytest.raises(type(error)):
        fill()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "kind", "hint"),
    [
        (errno.ENOSPC, RunError, "free space on that disk"),
        (errno.EDQUOT, RunError, "free space on that disk"),
        (errno.EIO, RunError, ""),
        (errno.EACCES, CapabilityError, "choose another folder"),
        (errno.EROFS, CapabilityError, "choose another folder"),
    ],
)
def test_what_the_disk_says(tmp_path: Path, number: int, kind: type[RunError], hint: str) -> None:
    with pytest.raises(kind, match="nothing was left behind") as caught, new_folder(tmp_path / "out"):
        raise OSError(number, "no")
    assert caught.value.hint.startswith(hint)
    assert bool(caught.value.hint) == bool(hint)


def test_what_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("empty", "full"):
        (tmp_path / name / "inner").mkdir(parents=True)
    (tmp_path / "empty" / "inner").rmdir()
    (tmp_path / "other").symlink_to(tmp_path / "empty")
    for name, words, hint in (
        ("file", ", and is no folder", "name a folder that does not exist"),
        ("link", ", and is no folder", "name a folder that does not exist"),
        ("empty", ", though it is empty", "remove it, or name a folder that does not exist"),
        ("full", ", and is not empty", "name a folder that does not exist"),
        ("other", "", "name a folder that does not exist"),
    ):
        with pytest.raises(UsageError) as caught, new_folder(tmp_path / name):
            raise AssertionError("not reached")
        assert caught.value.message == f"{tmp_path / name} is there already{words}"
        assert caught.value.hint == hint
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file", "full", "link", "other"]
