"""Sorted files as one sorted table, a range at a time."""

from __future__ import annotations

import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.pipelines import ordering
from headrace.pipelines.ordering import in_one_order, leave

BY_COUNT = (("count", True), ("value", False))
SCHEMA = {"value": pl.String, "count": pl.Int64}


def ordered(rows: list[tuple[str, int]]) -> list[tuple[str, int]]:
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def left(folder: Path, parts: list[list[tuple[str, int]]]) -> list[Path]:
    files = [folder / f"{number}.arrow" for number in range(len(parts))]
    for file, rows in zip(files, parts, strict=True):
        leave(pl.DataFrame(ordered(rows), schema=SCHEMA, orient="row"), file)
    return files


@pytest.mark.slow
@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.lists(st.tuples(st.text("ab\x00é", max_size=14), st.integers(-2, 2)), max_size=12), min_size=1, max_size=4
    ),
    st.integers(1, 1 << 12),
)
def test_however_many_files_and_ranges(parts: list[list[tuple[str, int]]], size: int) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(ordering, "RANGE_BYTES", size)
        total = in_one_order(left(Path(name), parts), BY_COUNT, Path(name) / "ordered")
        assert total.schema == SCHEMA
        assert total.rows() == ordered([row for rows in parts for row in rows])


def test_a_range_has_about_its_share_of_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [[(f"{i * 7919 % 10_000:04}", 1 + i % 3) for i in range(part, 10_000, 4)] for part in range(4)]
    files = left(tmp_path, parts)
    monkeypatch.setattr(ordering, "RANGE_BYTES", sum(file.stat().st_size for file in files) // 8)
    in_one_order(files, BY_COUNT, tmp_path / "ordered")
    rows = [pl.read_ipc(file).height for file in sorted((tmp_path / "ordered").iterdir())]
    assert sum(rows) == 10_000
    assert 8 <= len(rows) <= 9
    assert max(rows) < 2 * 10_000 / 8


def test_what_is_there_is_not_done_again(tmp_path: Path) -> None:
    files = left(tmp_path, [[("a", 1)], [("b", 2)]])
    in_one_order(files, BY_COUNT, tmp_path / "ordered")
    for file in files:
        file.unlink()
    assert in_one_order(files, BY_COUNT, tmp_path / "ordered").rows() == [("b", 2), ("a", 1)]


def test_a_failure_leaves_nothing_under_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = left(tmp_path, [[("a", 1)], [("b", 2)]])
    monkeypatch.setattr(ordering, "leave", _full)
    with pytest.raises(OSError, match="no space left"):
        in_one_order(files, BY_COUNT, tmp_path / "ordered")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.arrow", "1.arrow"]


def _full(*_: object) -> None:
    raise OSError(28, "no space left")
