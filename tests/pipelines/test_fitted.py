from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.pipelines.conftest import Make, contract_of, published, rows_of, small
from tests.pipelines.families import every_family, raw
from tests.pipelines.own_operators import Double, ToMaximum

from headrace.catalog.manifest import Manifest
from headrace.pipelines.fitted import FittedPipeline
from headrace.schemas.errors import DataError, PipelineError
from headrace.transforms.registry import operator_from_plain
from headrace.transforms.table import Table

pytestmark = [pytest.mark.usefixtures("no_report"), pytest.mark.slow]  # each test is a run

Version = tuple[Manifest, Path, FittedPipeline]


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> Version:
    folder = tmp_path_factory.mktemp("families")
    manifest, build = published(every_family(folder / "source", 1500), folder / "c")
    return manifest, build, FittedPipeline.load(build / "state")


def rows_and_features(version: Version) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The raw rows that the windows saw, in source order, and the published features with `at` and the split."""
    manifest, build, fitted = version
    out = pl.concat([rows_of(manifest, build, s).with_columns(pl.lit(s).alias("in")) for s in manifest.splits])
    source = raw(1500).filter(pl.col("code") >= 0, pl.col("x").is_null() | (pl.col("x") < 90))
    source = source.filter(pl.col("id").is_null() | pl.struct("id").is_first_distinct())
    return source, out.sort("at").select(*fitted.features, "at", "in")


def published_part(source: pl.DataFrame, served: pl.DataFrame, expected: pl.DataFrame) -> pl.DataFrame:
    """The served features of the rows that were published."""
    return served.with_columns(source["at"]).join(expected.select("at"), on="at", how="semi").sort("at").drop("at")


@pytest.mark.slow
def test_serving_gives_what_was_published_but_for_target_encodings_of_training_rows(families: Version) -> None:
    fitted = families[2]
    source, expected = rows_and_features(families)
    served = published_part(source, fitted.transform(source), expected)
    assert served.schema == expected.drop("at", "in").schema
    for split, out_of_fold in (("train", ["shop_late"]), ("validation", []), ("test", [])):
        of_split = expected["in"] == split
        assert_frame_equal(
            served.filter(of_split).drop(out_of_fold),
            expected.filter(of_split).drop("at", "in", *out_of_fold),
            check_exact=True,
        )
    training = expected["in"] == "train"
    assert not served.filter(training)["shop_late"].equals(expected.filter(training)["shop_late"])


@pytest.mark.slow
def test_dicts_and_lazy_frames_give_the_same_as_a_frame(families: Version) -> None:
    fitted = families[2]
    source, _ = rows_and_features(families)
    some = source.tail(50)
    expected = fitted.transform(some)
    assert_frame_equal(fitted.transform(some.to_dicts()), expected, check_exact=True)
    assert_frame_equal(fitted.transform(some.lazy()), expected, check_exact=True)
    assert_frame_equal(fitted.transform(some.drop("y")), expected, check_exact=True)


@pytest.mark.slow
def test_history_gives_new_rows_their_past(families: Version) -> None:
    fitted = families[2]
    source, expected = rows_and_features(families)
    last = expected.filter(pl.col("in") != "train").tail(1)
    now = source.filter(pl.col("at") == last["at"].item())
    past = source.filter(pl.col("at") < last["at"].item())
    served = fitted.transform(now, history=past)
    assert_frame_equal(served, last.drop("at", "in"), check_exact=True)
    assert not fitted.transform(now).equals(served)
    # Rows that the steps filter are no past: those with x of 90 and more are dropped before the lag.
    high = raw(1500).filter(pl.col("x") >= 90, pl.col("at") < last["at"].item())
    assert_frame_equal(fitted.transform(now, history=pl.concat([past, high])), served, check_exact=True)
    assert_frame_equal(fitted.transform(now.to_dicts(), history=past), served, check_exact=True)


def test_a_single_dict_of_what_is_needed_is_enough(make: Make, tmp_path: Path) -> None:
    steps = [
        {"Filter": {"where": "c <> 'z'"}},
        {"TargetEncode": {"columns": ["c"], "target": "y", "fold_on": ["id"]}},
        {"Clip": {"columns": ["x"], "lower": 1}},
    ]
    _, build = published(make(steps, output={"features": ["x", "c_target"]}), tmp_path / "c")
    fitted = FittedPipeline.load(build / "state")
    assert fitted.raw_columns() == ("x", "c")
    assert fitted.raw_columns(history=True) == ("x", "c")
    # id is required, but only out-of-fold encodings look at it.
    assert fitted.transform([{"x": 0, "c": None}])["x"].to_list() == [1.0]


def test_rows_that_steps_would_filter_are_served_all_the_same(make: Make, tmp_path: Path) -> None:
    _, build = published(make([{"Filter": {"where": "x > 3"}}], output={"features": ["x"]}), tmp_path / "c")
    fitted = FittedPipeline.load(build / "state" / "pipeline.json")
    served = fitted.transform([{"id": 1, "x": 1.0}, {"id": 2, "x": 5.0}])
    assert served["x"].to_list() == [1.0, 5.0]


@pytest.fixture
def fitted(make: Make, tmp_path: Path) -> FittedPipeline:
    steps = [{"Standardize": {"columns": ["x"]}}, {"DateParts": {"columns": "at", "parts": ["hour"]}}]
    _, build = published(
        make(steps, output={"features": ["x", "at_hour", "id"]}, contract=contract_of(small())), tmp_path / "f"
    )
    return FittedPipeline.load(build / "state")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"id": 1, "xx": 1.0}], "'xx' not known to pipeline 'small'"),
        ([{"x": 1.0}], "'id' must be there and not null"),
        ([{"id": None, "x": 1.0}], "'id' must be there and not null"),
        ([{"id": "one"}], "does not fit its column"),
        (pl.DataFrame({"id": [1.5]}), "column 'id' is Float64, expected Int64"),
        (pl.DataFrame({"id": [1], "x": ["1"]}), "column 'x' is String, expected Float64"),
        (pl.DataFrame({"id": [1], "at": ["2024-01-01"]}), "column 'at' is String"),
        (pl.DataFrame({"id": pl.Series([2**63], dtype=pl.UInt64)}), "does not fit"),
    ],
)
def test_rows_that_do_not_fit_are_refused_and_never_rounded(fitted: FittedPipeline, rows: Any, words: str) -> None:
    with pytest.raises(DataError) as problem:
        fitted.transform(rows)
    assert words in problem.value.message


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        (pl.Datetime("us"), "Datetime[us]", "pl.col('at').dt.replace_time_zone('Europe/Vienna')"),
        (pl.Datetime("us", "UTC"), "Datetime[us, UTC]", "pl.col('at').dt.convert_time_zone('Europe/Vienna')"),
        (pl.String(), "String", "cast it first"),
    ],
)
def test_times_of_another_zone_are_refused_with_what_to_do(
    fitted: FittedPipeline, given: pl.DataType, message: str, hint: str
) -> None:
    zoned = fitted.model_copy(update={"source": {**fitted.source, "at": pl.Datetime("us", "Europe/Vienna")}})
    with pytest.raises(DataError) as problem:
        zoned.transform(pl.DataFrame(schema={"at": given}))
    assert problem.value.message == f"column 'at' is {message}, expected Datetime[us, Europe/Vienna]"
    assert problem.value.hint == hint


def test_narrower_types_and_other_units_of_time_are_taken(fitted: FittedPipeline) -> None:
    rows = pl.DataFrame({"id": [1], "x": [2], "at": [datetime(2024, 1, 1, 5)]})
    expected = fitted.transform(rows)
    narrow = rows.cast({"id": pl.Int8, "x": pl.Float32, "at": pl.Datetime("ms")})
    assert_frame_equal(fitted.transform(narrow), expected, check_exact=True)
    assert expected["at_hour"].to_list() == [5]


def test_no_rows_give_no_features(fitted: FittedPipeline) -> None:
    assert fitted.transform(pl.DataFrame(schema={"id": pl.Int64})).shape == (0, 3)
    assert fitted.transform([]).columns == ["x", "at_hour", "id"]


@pytest.mark.slow
def test_loading_and_serving_import_neither_dask_nor_prefect(fitted: FittedPipeline, tmp_path: Path) -> None:
    fitted.save(tmp_path / "state")
    code = f"""
import sys
from headrace.pipelines.fitted import FittedPipeline
fitted = FittedPipeline.load({str(tmp_path / "state")!r})
assert fitted.transform([{{"id": 1, "x": 1.0}}]).height == 1
print([m for m in ("dask", "distributed", "prefect", "sklearn", "matplotlib", "pandas") if m in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_a_column_that_a_step_not_needed_would_drop_does_not_stand_in_the_way() -> None:
    table = pl.DataFrame({"c": ["a"], "x": [7.0]})
    steps = (
        operator_from_plain({"Drop": {"columns": ["x"]}}),
        operator_from_plain({"LookupJoin": {"table": "t", "on": "c"}}).bind({"t": Table(table)}),  # type: ignore[attr-defined]
    )
    source = {"c": pl.String(), "x": pl.Float64()}
    served = FittedPipeline(name="p", source=source, steps=steps, features=("x",), target="y")
    assert served.transform([{"c": "a", "x": 1.0}])["x"].to_list() == [7.0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no fitted pipeline"),
        ("{}", "is of format None"),
        ('{"format": 2}', "is of format 2, this version of headrace reads 1"),
        ('{"format": 1, "steps": []}', "is damaged"),
        ('{"format": 1, "steps": [{"Nothing": {}}]}', "is damaged: unknown operator 'Nothing'"),
    ],
)
def test_a_damaged_or_later_state_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "pipeline.json").write_text(text)
    with pytest.raises(DataError) as problem:
        FittedPipeline.load(tmp_path)
    assert words in problem.value.message
    assert problem.value.where == str(tmp_path / "pipeline.json")


def test_a_table_that_was_changed_is_found_when_it_is_used(make: Make, tmp_path: Path) -> None:
    _, build = published(make([{"Categorify": {"columns": ["c"]}}], output={"features": ["c"]}), tmp_path / "c")
    state = tmp_path / "copy"
    FittedPipeline.load(build / "state").save(state)
    (path,) = state.rglob("*.parquet")
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(DataError, match="SHA-256 differs"):
        FittedPipeline.load(state).transform([{"id": 1, "c": "a"}])


OWN = (Double(column="x"), ToMaximum(column="x"))


def test_operators_of_ones_own_are_run_saved_and_served(make: Make, tmp_path: Path) -> None:
    manifest, build = published(make(OWN, output={"features": ["x"], "keep": ["id"]}), tmp_path / "c")
    rows = rows_of(manifest, build)
    greatest = rows_of(manifest, build, "train")["x"].max()
    assert greatest == 1.0
    module = "tests.pipelines.own_operators"
    names = [next(iter(step)) for step in json.loads((build / "state" / "pipeline.json").read_text())["steps"]]
    assert names == [f"{module}:Double", f"{module}:OfMaximum"]
    fitted = FittedPipeline.load(build / "state", allow=(module,))
    expected = rows.sort("id").select("x")
    assert_frame_equal(fitted.transform(small()), expected, check_exact=True)


def test_operators_of_modules_that_are_not_allowed_are_refused_by_name(make: Make, tmp_path: Path) -> None:
    _, build = published(make(OWN, output={"features": ["x"]}), tmp_path / "c")
    for allow in ((), ("os",)):
        with pytest.raises(PipelineError, match=r"steps of tests\.pipelines\.own_operators, which may not be imported"):
            FittedPipeline.load(build / "state", allow=allow)


@pytest.mark.slow
def test_operators_of_ones_own_run_on_a_cluster(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    pipeline = make(OWN, output={"features": ["x"], "keep": ["id"]})
    alone, _ = published(pipeline, tmp_path / "c")
    spread, _ = published(pipeline, tmp_path / "c", cluster="local:2", partition_bytes=1)
    assert [f.sha256 for f in alone.splits["train"].files] == [f.sha256 for f in spread.splits["train"].files]
