"""Statistics that a run leaves in its build: of what it publishes, and, where asked, of what came in."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from tests.pipelines.conftest import Make, contract_of, published, small

from headrace.catalog.drift import compare_splits
from headrace.catalog.reader import open_dataset
from headrace.catalog.sketch import merge_sketches, sketch_rows, summarize_sketches
from headrace.catalog.sketch_files import sketches_of
from headrace.catalog.verify import verify
from headrace.pipelines.model import Pipeline
from headrace.schemas.errors import UsageError

pytestmark = pytest.mark.usefixtures("no_report", "small_units")

IDS = [{"FillNull": {"columns": ["x"], "value": 0.0}}, {"Categorify": {"columns": ["c"]}}]


def measuring(pipeline: Pipeline) -> Pipeline:
    return pipeline.model_copy(update={"source": pipeline.source.model_copy(update={"statistics": True})})


@pytest.mark.slow
def test_what_is_kept_says_what_the_manifest_says(make: Make, tmp_path: Path) -> None:
    manifest, _ = published(make(IDS), tmp_path)
    dataset = open_dataset(tmp_path / "small")
    listed = {file.path: file for file in manifest.files}
    assert {path for path in listed if path.startswith("statistics/")} == {
        "statistics/columns.parquet",
        "statistics/values.parquet",
    }
    assert verify(dataset) == []
    for split in dataset.splits:
        found = summarize_sketches(sketches_of(dataset, split))
        assert found == {column.name: column.statistics[split] for column in manifest.columns}


@pytest.mark.slow
def test_two_versions_merge_to_what_one_of_both_would_have(make: Make, tmp_path: Path) -> None:
    days = [small(40), small(60).tail(20)]
    for day in days:
        published(make(IDS[:1], day), tmp_path)
    parts = [sketches_of(open_dataset(tmp_path / "small", version=v), "train") for v in (1, 2)]
    rows = pl.concat([open_dataset(tmp_path / "small", version=v).to_polars("train") for v in (1, 2)])
    merged, whole = (summarize_sketches(found) for found in (merge_sketches(parts), sketch_rows(rows)))
    for name, expected in whole.items():
        assert merged[name].model_copy(update={"mean": None, "std": None}) == expected.model_copy(
            update={"mean": None, "std": None}
        )


@pytest.mark.slow
@pytest.mark.parametrize("partition_bytes", [1, 1 << 30])
def test_what_came_in_is_measured_bad_rows_too(make: Make, tmp_path: Path, partition_bytes: int) -> None:
    frame = small(40).with_columns(pl.when(pl.col("id") == 5).then(-1.0).otherwise("x").alias("x"))
    contract = contract_of(frame, x={"minimum": 0.0})
    pipeline = measuring(make(IDS, frame, contract=contract, max_bad_fraction=0.1))
    manifest, _ = published(pipeline, tmp_path, partition_bytes=partition_bytes)
    assert manifest.quality is not None
    assert manifest.quality.quarantined == 1
    dataset = open_dataset(tmp_path / "small")
    found, expected = summarize_sketches(sketches_of(dataset, "source")), summarize_sketches(sketch_rows(frame))
    assert list(found) == ["id", "x", "c", "at", "y"]
    for name, one in expected.items():
        assert found[name].model_copy(update={"mean": None, "std": None}) == one.model_copy(
            update={"mean": None, "std": None}
        )
        assert found[name].mean == pytest.approx(one.mean)
    assert found["x"].min == -1.0
    assert verify(dataset) == []


@pytest.mark.slow
def test_drift_of_what_came_in(make: Make, tmp_path: Path) -> None:
    for frame in (small(40), small(40).with_columns(c=pl.lit("z"))):
        published(measuring(make(IDS[:1], frame)), tmp_path)
    first, second = (open_dataset(tmp_path / "small", version=v) for v in (1, 2))
    worst = compare_splits(first, "source", second, "source").columns[0]
    assert (worst.name, worst.kind, worst.new, worst.verdict) == ("c", "category", ("z",), "major")
    with pytest.raises(UsageError, match="compared with rows that came in"):
        compare_splits(first, "source", second, "train")


@pytest.mark.slow
def test_a_run_that_was_not_asked_has_none_of_its_source(make: Make, tmp_path: Path) -> None:
    published(make(IDS), tmp_path)
    dataset = open_dataset(tmp_path / "small")
    with pytest.raises(UsageError, match="small@1 has no statistics of its source") as refused:
        sketches_of(dataset, "source")
    assert "statistics: true" in str(refused.value.hint)


@pytest.mark.slow
def test_ids_of_other_vocabularies_are_brought_together(make: Make, tmp_path: Path) -> None:
    # By frequency, c gets other ids in the second version; its values have hardly moved.
    one = small(400).with_columns(c=pl.Series(["a"] * 202 + ["b"] * 198))
    two = one.with_columns(c=pl.Series(["b"] * 202 + ["a"] * 198))
    for frame in (one, two):
        published(make(IDS, frame), tmp_path)
    first, second = (open_dataset(tmp_path / "small", version=v) for v in (1, 2))
    [c] = [column for column in compare_splits(first, "train", second, "train").columns if column.name == "c"]
    direct = pl.concat([d.to_polars("train").select(pl.lit(d.version).alias("v"), "c") for d in (first, second)])
    assert direct.group_by("v", "c").len().height == 4
    assert (c.verdict, c.new, c.vanished) == ("stable", (), ())
    shares = [_share_of_a(d.to_polars("train"), number) for d, number in ((first, 3), (second, 4))]
    assert c.psi == pytest.approx(_psi(*shares))


def _share_of_a(rows: pl.DataFrame, number: int) -> float:
    share: float = rows.select((pl.col("c") == number).mean()).item()
    return share


def _psi(p: float, q: float) -> float:
    value: float = pl.select((q - p) * pl.lit(q / p).log() + (p - q) * pl.lit((1 - q) / (1 - p)).log()).item()
    return value
