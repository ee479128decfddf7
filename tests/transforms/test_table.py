"""Tables saved beside JSON, and what is refused when they are read."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest
from pydantic import BaseModel, ValidationError

from headrace.schemas.errors import DataError
from headrace.transforms.table import Table, TableFolder


class Holder(BaseModel):
    table: Table


FRAME = pl.DataFrame({"value": ["a", "b"], "n": [1, None]})


def saved(folder: Path) -> str:
    return Holder(table=Table(FRAME)).model_dump_json(context=TableFolder(folder, "state"))


def test_json_and_a_folder_give_the_table_back(tmp_path: Path) -> None:
    again = Holder.model_validate_json(saved(tmp_path), context=TableFolder(tmp_path))
    assert again == Holder(table=Table(FRAME))
    assert (tmp_path / "state" / "table-0.parquet").exists()


def test_the_same_table_has_the_same_sum(tmp_path: Path) -> None:
    assert saved(tmp_path / "one") == saved(tmp_path / "two")


def test_a_changed_file_is_found_at_first_use(tmp_path: Path) -> None:
    text = saved(tmp_path)
    file = tmp_path / "state" / "table-0.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    held = Holder.model_validate_json(text, context=TableFolder(tmp_path))
    with pytest.raises(DataError, match="SHA-256 differs"):
        _ = held.table.frame


def test_a_file_that_is_gone_is_an_error_of_ours(tmp_path: Path) -> None:
    text = saved(tmp_path)
    (tmp_path / "state" / "table-0.parquet").unlink()
    held = Holder.model_validate_json(text, context=TableFolder(tmp_path))
    with pytest.raises(DataError, match="cannot be read"):
        _ = held.table.frame


def test_a_path_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="leaves the folder"):
        Holder.model_validate({"table": {"table": "../x", "sha256": "0"}}, context=TableFolder(tmp_path))


def test_a_table_cannot_be_saved_or_read_without_a_folder() -> None:
    with pytest.raises(Exception, match="context=TableFolder"):
        Holder(table=Table(FRAME)).model_dump_json()
    with pytest.raises(ValidationError, match="expected a table, got dict"):
        Holder.model_validate({"table": {"table": "x", "sha256": "0"}})


def test_equal_rows_are_saved_as_equal_bytes_however_they_lie_in_memory(tmp_path: Path) -> None:
    number = pl.int_range(300_000, eager=True)
    whole = pl.DataFrame({"value": number.cast(pl.String), "count": number // 7})
    parts = pl.concat([whole.slice(start, 77_777) for start in range(0, 300_000, 77_777)], rechunk=False)
    assert Table(whole).save(tmp_path / "whole") == Table(parts).save(tmp_path / "parts")
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "parts").read_bytes()


def test_a_table_that_has_a_file_is_copied_and_counted_without_being_read(tmp_path: Path) -> None:
    held = Holder.model_validate_json(saved(tmp_path / "one"), context=TableFolder(tmp_path / "one"))
    again = held.model_dump_json(context=TableFolder(tmp_path / "two", "state"))
    assert held.table.height == 2
    assert repr(held.table).startswith("Table(/"), "the rows are not in memory"
    files = [tmp_path / name / "state" / "table-0.parquet" for name in ("one", "two")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert Holder.model_validate_json(again, context=TableFolder(tmp_path / "two")).table.frame.equals(FRAME)
    assert Table(FRAME).height == 2


def test_a_changed_file_is_found_when_it_is_copied_or_cannot_be_counted(tmp_path: Path) -> None:
    held = Holder.model_validate_json(saved(tmp_path), context=TableFolder(tmp_path))
    (tmp_path / "state" / "table-0.parquet").write_bytes(b"PAR?")
    with pytest.raises(Exception, match="SHA-256 differs"):
        held.model_dump_json(context=TableFolder(tmp_path / "two"))
    with pytest.raises(DataError, match="SHA-256 differs"):
        _ = held.table.height
    (tmp_path / "state" / "table-0.parquet").unlink()
    with pytest.raises(Exception, match="cannot be read"):
        held.model_dump_json(context=TableFolder(tmp_path / "two"))


def test_threads_that_want_the_same_rows_get_one_frame(tmp_path: Path) -> None:
    held = Holder.model_validate_json(saved(tmp_path), context=TableFolder(tmp_path))
    with ThreadPoolExecutor(8) as pool:
        frames = list(pool.map(lambda _: held.table.frame, range(64)))
    assert len({id(frame) for frame in frames}) == 1
