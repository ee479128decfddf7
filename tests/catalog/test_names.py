"""Lists of names, and what is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.catalog.loader.rows import rows
from tests.catalog.loader.worlds import published

from headrace.catalog.names import names_of
from headrace.schemas.errors import UsageError


@pytest.mark.parametrize("given", [["b", "a"], ("b", "a"), {"b": 1, "a": 2}, (name for name in "ba")])
def test_names_may_be_given_by_anything_that_has_an_order(given: Any) -> None:
    assert names_of("columns", given) == ["b", "a"]


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ("id", "columns is 'id'; expected a list of names", "columns=['id']"),
        (b"id", "columns is b'id'; expected a list of names", 'columns=["...", ...]'),
        (5, "columns is 5; expected a list of names", 'columns=["...", ...]'),
        ({"id"}, "columns is {'id'}; expected a list of names", 'columns=["...", ...]'),
        (["id", None], "columns has None; expected a list of names", 'columns=["...", ...]'),
        (["id", "x", "id"], "columns: 'id' more than once", ""),
    ],
)
def test_what_is_no_list_of_names_is_refused(given: Any, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        names_of("columns", given)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_datasets_are_read_by_a_list_of_names(tmp_path: Path) -> None:
    dataset = published(tmp_path, (rows(4), [4]))
    for read in (dataset.to_polars, dataset.arrow):
        with pytest.raises(UsageError, match="columns is 'id'; expected a list of names"):
            read("train", "id")
        with pytest.raises(UsageError, match="split is 5; expected a name; there are train, empty"):
            read(5)  # type: ignore[arg-type]
    columns: Any = (name for name in ("x", "id"))
    assert dataset.to_polars("train", columns).columns == ["x", "id"]
