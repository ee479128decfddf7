"""Ids of two vocabularies brought together, so that a version can be compared with one that learned its own."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from tests.pipelines.conftest import Make, published, small

from headrace.catalog.common_ids import in_ids_of
from headrace.catalog.drift import compare_splits
from headrace.catalog.reader import Dataset, open_dataset
from headrace.catalog.sketch_files import sketches_of
from headrace.catalog.vocabulary import read_vocabulary

pytestmark = pytest.mark.usefixtures("no_report")

STEPS = [{"Categorify": {"columns": ["c"]}}]


def opened(make: Make, catalog: Path, *frames: pl.DataFrame) -> list[Dataset]:
    for frame in frames:
        published(make(STEPS, frame), catalog)
    return [open_dataset(catalog / "small", version) for version in range(1, len(frames) + 1)]


def counts(dataset: Dataset) -> dict[int, int]:
    """How often each id of `c` is in the training rows."""
    return dict(dataset.to_polars("train", ["c"])["c"].value_counts().iter_rows())


@pytest.mark.slow
def test_ids_of_the_second_become_those_that_the_first_gives_the_same_values(make: Make, tmp_path: Path) -> None:
    # "a" and "b" change places in the order of counts, "z" is new.
    turned = {"a": "b", "b": "a"}
    value = pl.when(pl.col("id") % 10 == 0).then(pl.lit("z")).otherwise(pl.col("c").replace(turned))
    later = small().with_columns(value.alias("c"))
    first, second = opened(make, tmp_path / "catalog", small(), later)
    ids = [dict(read_vocabulary(d, "c").decoded.select("value", "id").iter_rows()) for d in (first, second)]
    assert ids[0]["a"] != ids[1]["a"]
    found = in_ids_of(first, second, "c", sketches_of(second, "train")["c"])
    values = dict(found.values().iter_rows())
    before = counts(second)
    for value in ("a", "b"):
        assert values[ids[0][value]] == before[ids[1][value]]
    assert found.column.nulls == 0
    assert sum(values.values()) == second.rows["train"]
    # A value that the first lacks is beyond its ids; null stays the null id.
    beyond = {number: count for number, count in values.items() if number > max(ids[0].values())}
    assert list(beyond.values()) == [before[ids[1]["z"]]]
    null_id = next(c.null_id for c in first.manifest.columns if c.name == "c")
    assert values.get(null_id) == before.get(null_id)


@pytest.mark.slow
def test_one_vocabulary_and_columns_without_any_stay_as_they_are(make: Make, tmp_path: Path) -> None:
    first, second = opened(make, tmp_path / "catalog", small(), small())
    for name, sketch in sketches_of(second, "train").items():
        assert in_ids_of(first, second, name, sketch) is sketch


@pytest.mark.slow
def test_drift_does_not_see_that_ids_were_given_anew(make: Make, tmp_path: Path) -> None:
    catalog = tmp_path / "catalog"
    published(make(STEPS), catalog)
    published(make([{"Categorify": {"columns": ["c"], "oov_buckets": 3}}]), catalog)  # every id is two higher
    first, second = (open_dataset(catalog / "small", version) for version in (1, 2))
    assert {i + 2 for i in counts(first) if i > 1} == {i for i in counts(second) if i > 3}
    found = next(c for c in compare_splits(first, "train", second, "train").columns if c.name == "c")
    assert (found.psi, found.verdict, found.new, found.vanished) == (0.0, "stable", (), ())


@pytest.mark.slow
def test_new_and_vanished_ids_are_named_by_their_values(make: Make, tmp_path: Path) -> None:
    later = small().with_columns(pl.col("c").replace({"b": "z"}))
    first, second = opened(make, tmp_path / "catalog", small(), later)
    found = next(c for c in compare_splits(first, "train", second, "train").columns if c.name == "c")
    assert (found.new, found.vanished) == (("z",), ("b",))


@pytest.mark.slow
def test_an_id_without_a_value_is_named_by_what_it_means(make: Make, tmp_path: Path) -> None:
    first, second = opened(make, tmp_path / "catalog", small().with_columns(pl.col("c").fill_null("a")), small())
    found = next(c for c in compare_splits(first, "train", second, "train").columns if c.name == "c")
    assert found.new == ("(null)",)
