"""What ids stand for, and the table from old ids to new ones."""

from __future__ import annotations

import polars as pl
import pytest
import xxhash

from headrace.catalog.vocabulary import Vocabulary, ids_of
from headrace.schemas.errors import UsageError

TABLE = pl.DataFrame({"value": ["a", "b", "c", "d"], "count": [1, 9, 4, 9]})


def made(table: pl.DataFrame = TABLE, buckets: int = 1) -> Vocabulary:
    return Vocabulary("x", table, 0, 1, tuple(range(2, 2 + buckets)), 2 + buckets + table.height)


def test_ids_and_their_meaning() -> None:
    assert made().decoded.to_dict(as_series=False) == {
        "id": [3, 4, 5, 6],
        "value": ["a", "b", "c", "d"],
        "count": [1, 9, 4, 9],
    }
    assert made().decoded.schema["id"] == pl.Int32
    assert [made(buckets=2).meaning(i) for i in range(5)] == ["padding", "null", *["out of vocabulary"] * 2, ""]


@pytest.mark.parametrize("number", [-1, 7])
def test_an_id_beyond_is_refused(number: int) -> None:
    with pytest.raises(UsageError, match=f"has no id {number}; they go from 0 to 6"):
        made().meaning(number)


def test_ranked_anew_every_id_goes_somewhere() -> None:
    ranked, remap = made().compacted()
    assert ranked.to_dict(as_series=False) == {"value": ["b", "d", "c", "a"], "count": [9, 9, 4, 1]}
    assert dict(remap.iter_rows()) == {0: 0, 1: 1, 2: 2, 3: 6, 4: 3, 5: 5, 6: 4}
    assert remap.schema == {"old_id": pl.Int32, "new_id": pl.Int32}
    assert remap["old_id"].to_list() == list(range(7))


@pytest.mark.parametrize(
    ("fields", "values"), [({"min_count": 4}, ["b", "d", "c"]), ({"max_size": 2}, ["b", "d"]), ({"max_size": 0}, [])]
)
def test_values_that_go_are_out_of_vocabulary(fields: dict[str, int], values: list[str]) -> None:
    ranked, remap = made().compacted(**fields)
    assert ranked["value"].to_list() == values
    gone = made().decoded.filter(~pl.col("value").is_in(values))["id"].to_list()
    assert remap.filter(pl.col("old_id").is_in(gone))["new_id"].to_list() == [2] * len(gone)


def test_with_several_ids_out_of_vocabulary_the_hash_chooses() -> None:
    _, remap = made(buckets=5).compacted(max_size=0)
    expected = [2 + xxhash.xxh64_intdigest(v.encode()) % 5 for v in TABLE["value"]]
    assert remap.filter(pl.col("old_id") >= 7)["new_id"].to_list() == expected


def test_combinations_keep_their_parts() -> None:
    table = pl.DataFrame({"value": ["1:a1:x", "1:b1:y"], "value:0": ["a", "b"], "value:1": ["x", "y"], "count": [1, 2]})
    ranked, remap = made(table).compacted()
    assert made(table).decoded.columns == ["id", "value:0", "value:1", "count"]
    assert ranked.columns == table.columns
    assert ranked["value"].to_list() == ["1:b1:y", "1:a1:x"]
    assert remap.filter(pl.col("old_id") >= 3)["new_id"].to_list() == [4, 3]
    with pytest.raises(UsageError, match="stand for combinations"):
        ids_of(made(table), ["a"])


def test_given_values_have_no_rank() -> None:
    with pytest.raises(UsageError, match="was given and has no counts"):
        made(TABLE.with_columns(count=pl.lit(None, pl.Int64))).compacted()


def test_values_have_ids() -> None:
    numbers = made(pl.DataFrame({"value": [10, 20], "count": [1, 1]}))
    assert ids_of(numbers, ["20", "30"]).to_dicts() == [{"value": "20", "id": 4}, {"value": "30", "id": None}]
