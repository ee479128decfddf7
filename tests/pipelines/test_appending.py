from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.pipelines.conftest import Make, contract_of, small

from headrace.catalog.reader import Dataset, open_dataset
from headrace.catalog.verify import verify
from headrace.pipelines.build import build
from headrace.pipelines.fitted import FittedPipeline
from headrace.pipelines.model import Pipeline
from headrace.pipelines.options import RunOptions
from headrace.pipelines.runs import RunRecord
from headrace.schemas.errors import DataError, HeadraceError, PipelineError, UsageError

pytestmark = [pytest.mark.usefixtures("no_report"), pytest.mark.slow]  # each test is a run or more

STEPS = [
    {"FillNull": {"columns": ["x"], "statistic": "mean"}},
    {"Standardize": {"columns": ["x"]}},
    {"Categorify": {"columns": ["c"]}},
]
LATER = small(60).tail(20)
ALL = contract_of(small())


def run(pipeline: Pipeline, catalog: Path, *, append: bool = False) -> RunRecord:
    return build(pipeline, RunOptions(catalog=str(catalog), engine="cpu", append=append))


def add(pipeline: Pipeline, frame: pl.DataFrame = LATER, name: str = "part-9.parquet") -> None:
    """A file that comes to the source of a pipeline."""
    frame.write_parquet(Path(pipeline.source.root) / name)


def rows(dataset: Dataset) -> pl.DataFrame:
    return pl.concat([dataset.to_polars(split) for split in dataset.splits])


def test_new_rows_get_the_features_that_the_older_ones_have(make: Make, tmp_path: Path) -> None:
    catalog, pipeline = tmp_path / "c", make(STEPS, output={"keep": ["id"]})
    run(pipeline, catalog)
    first = open_dataset(catalog / "small")
    add(pipeline)
    record = run(pipeline, catalog, append=True)
    assert (record.version, record.rows_in, record.rows_published) == (2, 20, 20)
    assert record.notes == ("appended to small@1: 1 new of 3 files",)
    second = open_dataset(catalog / "small")
    assert second.manifest.pipeline == first.manifest.pipeline
    assert [source.path for source in second.manifest.inputs] == ["part-0.parquet", "part-1.parquet", "part-9.parquet"]
    assert second.manifest.rows == 60
    found = rows(second).sort("id")
    assert found.head(40).equals(rows(first).sort("id"))
    state = first.state_path
    assert state is not None
    expected = FittedPipeline.load(state).transform(LATER.drop("y"))
    assert found.tail(20).select(expected.columns).equals(expected)
    assert found["y"].cast(pl.Int64).to_list() == [int(i % 3 == 0) for i in range(60)]
    statistics = {column.name: column.statistics for column in second.manifest.columns}
    assert sum(found.count for found in statistics["y"].values()) == 60
    assert verify(second, level="pages") == []


def test_appends_follow_each_other(make: Make, tmp_path: Path) -> None:
    catalog, pipeline = tmp_path / "c", make(STEPS)
    run(pipeline, catalog)
    for day in (1, 2):
        add(pipeline, LATER.with_columns(pl.col("id") + 100 * day), f"day-{day}.parquet")
        run(pipeline, catalog, append=True)
    found = open_dataset(catalog / "small")
    assert (found.version, found.manifest.rows) == (3, 80)
    assert len({file.build or found.record.build for file in found.manifest.splits["train"].files}) == 3


def test_nothing_new_is_no_new_version(make: Make, tmp_path: Path) -> None:
    catalog, pipeline = tmp_path / "c", make(STEPS)
    run(pipeline, catalog)
    before = sorted(catalog.rglob("small/*/*"))
    record = run(pipeline, catalog, append=True)
    assert (record.status, record.version, record.rows_in) == ("done", 1, 0)
    assert record.notes == ("nothing to append: small@1 has the rows of all 2 files already",)
    assert sorted(catalog.rglob("small/*/*")) == before


def test_a_file_is_known_wherever_it_lies(make: Make, tmp_path: Path) -> None:
    catalog, pipeline = tmp_path / "c", make(STEPS)
    run(pipeline, catalog)
    root = Path(pipeline.source.root)
    (root / "part-0.parquet").rename(root / "part-7.parquet")
    assert run(pipeline, catalog, append=True).version == 1


def test_a_split_may_have_no_new_row_and_a_column_no_new_null(make: Make, tmp_path: Path) -> None:
    split = {"by": "time", "column": "at", "starts": {"test": "2024-01-02T00:00:00"}}
    catalog, pipeline = tmp_path / "c", make([], split=split, output={"features": ["x"]})
    run(pipeline, catalog)
    add(pipeline, LATER.with_columns(pl.col("x").fill_null(1.5)))
    record = run(pipeline, catalog, append=True)
    assert record.splits == {"test": 20}
    found = open_dataset(catalog / "small")
    assert {name: entry.rows for name, entry in found.manifest.splits.items()} == {"train": 24, "test": 36}
    assert found.to_polars("test")["x"].null_count() == 3  # of 24, 31, 38


def test_a_vocabulary_that_continues_gains_the_new_values(make: Make, tmp_path: Path) -> None:
    steps = [{"Categorify": {"columns": ["c"], "previous": "latest"}}]
    catalog, pipeline = tmp_path / "c", make(steps, output={"keep": ["id"]}, contract=ALL)
    run(pipeline, catalog)
    before = rows(open_dataset(catalog / "small")).sort("id")
    add(pipeline, LATER.with_columns(c=pl.lit("new")))
    run(pipeline, catalog, append=True)
    found = open_dataset(catalog / "small")
    (column,) = [column for column in found.manifest.columns if column.name == "c"]
    after = rows(found).sort("id")
    assert after.head(40).equals(before)
    assert set(after.tail(20)["c"]) == {before["c"].max() + 1}  # type: ignore[operator]
    assert column.cardinality == before["c"].max() + 2  # type: ignore[operator]


def test_baselines_are_of_all_rows(make: Make, tmp_path: Path) -> None:
    catalog, pipeline = tmp_path / "c", make(STEPS, baselines=[{"estimator": "dummy"}])
    run(pipeline, catalog)
    add(pipeline)
    record = run(pipeline, catalog, append=True)
    assert {split: metrics["rows"] for split, metrics in record.baselines[0].metrics.items()} == {
        name: float(entry.rows) for name, entry in open_dataset(catalog / "small").manifest.splits.items()
    }


def test_without_a_version_there_is_nothing_to_append_to(make: Make, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="small has no version to append to"):
        run(make(STEPS), tmp_path / "c", append=True)


LAG = {"Lag": {"columns": ["x"], "by": ["c"], "order": "at"}}
ENCODE: dict[str, Any] = {"columns": ["c"], "target": "y", "fold_on": "id"}


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (LAG, "looks at other rows than its own"),
        ({"Deduplicate": {"by": ["c"], "order": "at"}}, "looks at other rows than its own"),
        ({"TargetEncode": {"columns": ["c"], "target": "y", "leave_one_out": True}}, "encodes each training row"),
        (
            {"TargetEncode": {**ENCODE, "fold_by": "time", "fold_on": "at", "every": "1d", "prior": 0.5}},
            "encodes each training row",
        ),
    ],
)
def test_a_step_that_needs_older_rows_is_refused(
    make: Make, tmp_path: Path, step: dict[str, Any], message: str
) -> None:
    catalog, pipeline = tmp_path / "c", make([step], output={"features": ["x"]})
    run(pipeline, catalog)
    add(pipeline)
    with pytest.raises(PipelineError, match=message) as error:
        run(pipeline, catalog, append=True)
    assert error.value.where.startswith("step 1 ")
    assert open_dataset(catalog / "small").version == 1


def test_other_settings_are_named(make: Make, tmp_path: Path) -> None:
    catalog, pipeline = tmp_path / "c", make(STEPS)
    run(pipeline, catalog)
    other = make([*STEPS, {"Clip": {"columns": ["x"], "upper": 2}}])
    with pytest.raises(DataError, match=r"set up otherwise than for small@1:\n  step 4 Clip: - -> ") as error:
        run(other, catalog, append=True)
    assert error.value.hint == "run without --append: all rows are made anew"


def test_a_file_that_has_changed_is_named(make: Make, tmp_path: Path) -> None:
    catalog, pipeline = tmp_path / "c", make(STEPS)
    run(pipeline, catalog)
    add(pipeline, LATER, "part-1.parquet")
    with pytest.raises(DataError, match=r"1 of the files that small@1 was made of have changed: part-1\.parquet"):
        run(pipeline, catalog, append=True)


def test_rows_that_do_not_fit_are_refused_and_nothing_is_left(make: Make, tmp_path: Path) -> None:
    frame = small().with_columns(pl.col("x").fill_null(0.5))
    catalog, pipeline = tmp_path / "c", make([], frame, output={"features": ["x"]})
    run(pipeline, catalog)
    add(pipeline)
    with pytest.raises(HeadraceError, match=r"another schema: .*x"):
        run(pipeline, catalog, append=True)
    assert open_dataset(catalog / "small").version == 1
    assert len(list((catalog / "small" / "builds").iterdir())) == 1


def test_a_run_over_all_files_says_which_appended_rows_it_leaves_out(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    catalog, pipeline = tmp_path / "c", make(STEPS)
    run(pipeline, catalog)
    add(pipeline)
    run(pipeline, catalog, append=True)
    assert run(pipeline, catalog).notes == ()  # the file is there, and so are its rows
    run_away = Path(pipeline.source.root) / "part-9.parquet"
    run_away.rename(tmp_path / "part-9.parquet")
    assert run(pipeline, catalog).notes == ()  # the latest version was not appended to
    (tmp_path / "part-9.parquet").rename(run_away)
    add(pipeline, LATER.with_columns(pl.col("id") + 100), "part-10.parquet")
    run(pipeline, catalog, append=True)
    (run_away.parent / "part-10.parquet").unlink()
    (note,) = run(pipeline, catalog).notes
    assert note.startswith(
        "small@5 was appended to, and 20 of the rows that it was made of lie in 1 file that this run"
    )
    assert "part-10.parquet. The new version is without them" in note
    assert note in caplog.text
