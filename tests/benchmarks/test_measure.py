"""Measuring: what a process used is what is reported, children included."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from benchmarks import measure as measuring
from benchmarks.measure import CommandFailed, CommandTooSlow, Measurement, in_turn, measure

_ALLOCATE = "block = bytearray(80_000_000); block[::4096] = b'x' * len(block[::4096])"


def test_memory_and_bytes_read_are_those_of_the_process(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(bytes(30_000_000))
    code = f"{_ALLOCATE}; open({str(tmp_path / 'data')!r}, 'rb', buffering=0).read()"
    small = measure([sys.executable, "-c", "pass"])
    large = measure([sys.executable, "-c", code])
    assert small.peak_process_mb < 30
    assert 105 < large.peak_process_mb - small.peak_process_mb < 120  # 80 MB held, 30 MB read
    assert large.peak_tree_mb >= large.peak_process_mb
    assert 30 <= large.read_mb - small.read_mb < 31
    assert large.wall_s > 0


def test_children_count(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(bytes(30_000_000))
    child = f"{_ALLOCATE}; open({str(tmp_path / 'data')!r}, 'rb', buffering=0).read(); sum(range(3_000_000))"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    result = measure([sys.executable, "-c", parent])
    assert result.read_mb > 30
    assert result.peak_process_mb > 110
    assert result.user_s > 0


def test_a_failing_command_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"(?s)status 3.*no luck"):
        measure([sys.executable, "-c", "print('no luck', flush=True); raise SystemExit(3)"], log=tmp_path / "log")


def test_a_command_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(CommandFailed, match="could not be started"):
        measure(["/no/such/program"])


def test_sides_take_turns_and_one_that_fails_is_dropped() -> None:
    order: list[str] = []

    def side(name: str) -> Measurement:
        order.append(name)
        if name == "b" and order.count("b") == 2:
            raise CommandFailed("b broke")
        return Measurement(1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0)

    seen: list[tuple[str, int]] = []
    both = {"a": lambda: side("a"), "b": lambda: side("b")}
    results, failures = in_turn(both, 3, lambda name, number, _: seen.append((name, number)))
    assert order == ["a", "b", "a", "b", "a"]
    assert seen == [("a", 0), ("b", 0), ("a", 1), ("a", 2)]
    assert {name: len(runs) for name, runs in results.items()} == {"a": 3}
    assert failures == {"b": "b broke"}


def test_a_command_is_stopped_at_its_limit_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "_GRACE", 0.3)
    child = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    )
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    seen: set[int] = set()
    with pytest.raises(CommandTooSlow, match="stopped after 1 s"):
        measure([sys.executable, "-c", parent], log=tmp_path / "log", limit=1, sample=seen.update)
    assert len(seen) == 2
    assert (tmp_path / "log").read_text() == "up\n"
    assert not [pid for pid in seen if Path(f"/proc/{pid}").exists() and "Z" not in _state(pid)]


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
