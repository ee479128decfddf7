"""Tables saved beside JSON, and what is refused when they are read."""

from __future__ import annotations

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
