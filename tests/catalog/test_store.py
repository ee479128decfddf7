from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import MemoryStore

from headrace.catalog.store import dataset_place, get, names, open_store, probe, put, put_new, store_error
from headrace.schemas.errors import CapabilityError, RunError, UsageError


def test_a_name_is_created_once(tmp_path: Path) -> None:
    store = open_store(tmp_path / "demo", create=True)
    assert put_new(store, "_log/1.json", b"first") is True
    assert put_new(store, "_log/1.json", b"second") is False
    assert get(store, "_log/1.json") == b"first"
    assert get(store, "_log/2.json") is None
    assert names(store, "_log") == ["_log/1.json"]
    put(store, "_log/1.json", b"third")
    assert get(store, "_log/1.json") == b"third"


def test_the_probe_accepts_stores_that_refuse_and_leaves_nothing(tmp_path: Path) -> None:
    store = open_store(tmp_path, create=True)
    probe(store)
    probe(MemoryStore())
    assert names(store, "_probe") == []


def test_the_probe_refuses_a_store_that_ignores_conditions(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = obstore.put

    def ignores(store: Any, name: str, data: bytes, **_: Any) -> Any:
        return honest(store, name, data, mode="overwrite")

    monkeypatch.setattr(obstore, "put", ignores)
    with pytest.raises(CapabilityError, match="lets an existing object be created again") as caught:
        probe(MemoryStore())
    assert "conditional puts" in caught.value.hint


def test_a_catalog_below_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CapabilityError, match="could not open the catalog") as caught:
        open_store(tmp_path / "file" / "demo", create=True)
    assert "choose another catalog" in caught.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_catalog_without_write_permission_is_refused(tmp_path: Path) -> None:
    store = open_store(tmp_path, create=True)
    tmp_path.chmod(0o555)
    with pytest.raises(CapabilityError, match="could not write to the catalog"):
        probe(store)


def test_a_permission_denied_by_the_store_is_the_environments_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(obstore, "put", refuse)
    with pytest.raises(CapabilityError, match="Permission denied") as caught:
        probe(MemoryStore())
    assert caught.value.exit_code == 3


FORKS = """
import os, sys
from headrace.catalog.store import get, open_store
from headrace.schemas.errors import CapabilityError
if sys.argv[2] == "after":
    get(open_store(sys.argv[1]), "x")
if (child := os.fork()) == 0:
    try:
        get(open_store(sys.argv[1]), "x")
        os._exit(0)
    except CapabilityError as error:
        os._exit(error.exit_code)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize(("when", "code"), [("before", 0), ("after", 3)])
def test_a_fork_after_a_store_was_used_is_refused_and_does_not_hang(tmp_path: Path, when: str, code: int) -> None:
    command = [sys.executable, "-c", FORKS, str(tmp_path), when]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == f"{code}\n"


def test_a_full_store_is_a_run_error() -> None:
    error = store_error(OSError("No space left on device (os error 28)"), "write x", "here")
    assert isinstance(error, RunError)
    assert "free space" in error.hint


@pytest.mark.parametrize("name", ["", "_log", ".hidden", "a/b", "..", "a b", "x" * 129])
def test_a_dataset_needs_a_plain_name(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a dataset"):
        dataset_place("catalog", name)
