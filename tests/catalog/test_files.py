from __future__ import annotations

import errno
from pathlib import Path
from typing import BinaryIO

import pytest

from headrace.catalog.files import disk_error, durable_file, sha256_of
from headrace.schemas.errors import CapabilityError, DataError, RunError


def test_a_file_is_there_whole_and_read_only_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.bin"
    with durable_file(path) as out:
        out.write(b"abc")
        assert not path.exists()
    assert path.read_bytes() == b"abc"
    assert path.stat().st_mode & 0o222 == 0
    assert sha256_of(path) == (3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")


def test_nothing_is_left_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), durable_file(tmp_path / "b.bin") as out:
        _write_and_stop(out)
    assert list(tmp_path.iterdir()) == []


def _write_and_stop(out: BinaryIO) -> None:
    out.write(b"abc")
    raise KeyboardInterrupt


def test_a_file_is_written_once(tmp_path: Path) -> None:
    with durable_file(tmp_path / "b.bin") as out:
        out.write(b"abc")
    with pytest.raises(DataError, match="is there already"), durable_file(tmp_path / "b.bin"):
        pass
    assert (tmp_path / "b.bin").read_bytes() == b"abc"


def test_a_full_disk_is_a_run_error_with_advice(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="No space left") as caught, durable_file(tmp_path / "b.bin"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert "free space" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR])
def test_a_disk_that_may_not_be_written_is_the_environments_fault(number: int) -> None:
    assert type(disk_error(OSError(number, "no"), Path("x"))) is CapabilityError
