"""Values, names and shapes that are awkward: published as they are, quarantined with a reason, or refused by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.failures.shop import ROWS, Refusals, Shop, rows

from headrace.catalog.reader import Dataset
from headrace.catalog.verify import verify
from headrace.pipelines.fitted import FittedPipeline

pytestmark = pytest.mark.slow  # each test is a run

LARGEST = 2**63 - 1


def test_column_of_nulls_only_is_published_where_nulls_are_allowed(shop: Shop) -> None:
    shop.write(rows(1).with_columns(price=pl.lit(None, pl.Float64)))
    assert shop.build().rows_published == 240


def test_column_of_nulls_only_everywhere_is_filled_and_masked(shop: Shop) -> None:
    shop.alone(rows(0).with_columns(price=pl.lit(None, pl.Float64)))
    shop.build()
    published = shop.dataset().to_polars()
    assert published["price_isnull"].to_list() == [1] * ROWS
    assert published["price"].to_list() == [0.0] * ROWS


@pytest.mark.parametrize("dtype", [pl.Null, pl.Float64, pl.String])
def test_column_of_nulls_only_that_nothing_learns_from(shop: Shop, dtype: pl.DataType) -> None:
    del shop.plain["steps"][:2]
    shop.plain["steps"].append({"FillNull": {"columns": ["price"], "value": 0.0}})
    if dtype == pl.String:
        shop.column(name="price", dtype="String")
        shop.plain["steps"][-1] = {"Categorify": {"columns": ["price"]}}
    shop.alone(rows(0).with_columns(price=pl.lit(None, dtype)))
    assert shop.build().rows_published == ROWS


def test_required_column_of_nulls_goes_to_quarantine_and_fails_the_run(shop: Shop, refused: Refusals) -> None:
    shop.column(name="price", required=True)
    shop.write(rows(1).with_columns(price=pl.lit(None, pl.Float64)))
    refused("of 240 rows break the contract", "max_bad_fraction allows 1%", "price:required")


def test_nan_and_infinity_go_to_quarantine_with_the_reason(shop: Shop) -> None:
    shop.plain["max_bad_fraction"] = 0.05
    shop.write(rows(1).with_columns(price=pl.Series([float("nan"), float("inf"), -float("inf"), *[1.0] * (ROWS - 3)])))
    record = shop.build()
    assert record.quarantined == {"price:finite": 3}
    assert record.rows_published == 237
    bad = pl.read_parquet(shop.dataset().path / "quarantine")
    assert bad.select("source_file", "source_row").rows() == [("part-1.parquet", i) for i in range(3)]


def test_more_bad_rows_than_allowed_gives_a_table_of_reasons(shop: Shop, refused: Refusals) -> None:
    shop.column(name="city", allowed=["Bern", "Zug", "Chur", "Genf", "Basel"])
    odd = rows(1).with_columns(
        price=pl.when(pl.int_range(pl.len()) < 5).then(float("nan")).otherwise("price"),
        city=pl.when(pl.int_range(pl.len()) < 9).then(pl.lit("Rom")).otherwise("city"),
    )
    shop.write(odd)
    said = refused("shop: 9 of 240 rows break the contract (3.75%); max_bad_fraction allows 1%", "hint: mend the data")
    assert said.splitlines()[1:3] == ["           9  city:allowed", "           5  price:finite"]


def test_nan_and_infinity_that_the_contract_allows(shop: Shop) -> None:
    shop.column(name="price", allow_non_finite=True)
    shop.write(rows(1).with_columns(price=pl.Series([float("nan"), float("inf"), -float("inf"), *[1.0] * (ROWS - 3)])))
    assert shop.build().rows_published == 240


def assert_served_alike(dataset: Dataset, frame: pl.DataFrame) -> None:
    """The saved pipeline gives what was published. (Of the test split: targets are encoded by fold for training.)"""
    published = dataset.to_polars("test").sort("id")
    served = FittedPipeline.load(dataset.state_path.parent).transform(
        frame.filter(pl.col("id").is_in(published["id"].implode()))
    )
    assert_frame_equal(published.select(served.columns), served)


EXTREMES = {
    "Int64": [-(2**63), LARGEST, 0, None],
    "UInt64": [0, 2**64 - 1, 2**63, None],
}
STEPS: list[list[dict[str, Any]]] = [
    [{"FillNull": {"columns": ["big"], "value": 0}}],
    [{"FillNull": {"columns": ["big"], "statistic": "median"}}],
    [{"FillNull": {"columns": ["big"], "statistic": "mean"}}],
    [{"FillNull": {"columns": ["big"], "value": 0}}, {"Standardize": {"columns": ["big"]}}],
    [{"Categorify": {"columns": ["big"]}}],
    [{"HashBucket": {"columns": ["big"], "n": 7}}],
    [{"TargetEncode": {"columns": ["big"], "target": "late", "fold_on": ["id"]}}],
    [{"FillNull": {"columns": ["big"], "value": 0}}, {"QuantileBucketize": {"columns": ["big"], "n": 4}}],
    [{"FillNull": {"columns": ["big"], "value": 0}}, {"Clip": {"columns": ["big"], "lower": 0, "upper": 10}}],
]


@pytest.mark.parametrize("dtype", EXTREMES)
@pytest.mark.parametrize("steps", STEPS, ids=lambda steps: "-".join(next(iter(s)) for s in steps))
def test_integers_up_to_two_to_the_63(shop: Shop, dtype: str, steps: list[dict[str, Any]]) -> None:
    values = (EXTREMES[dtype] * ROWS)[:ROWS]
    shop.column(name="big", dtype=dtype)
    shop.alone(rows(0).with_columns(big=pl.Series(values, dtype=getattr(pl, dtype))))
    shop.plain["steps"] += steps
    shop.plain["output"] = {"keep": ["id"]}
    record = shop.build()
    assert record.rows_published == ROWS
    dataset = shop.dataset()
    assert dataset.manifest.columns
    assert_served_alike(dataset, pl.read_parquet(shop.source / "only.parquet"))


@pytest.mark.parametrize("dtype", EXTREMES)
def test_large_integers_as_label_key_and_split(shop: Shop, dtype: str) -> None:
    top = 2**64 - 1 if dtype == "UInt64" else LARGEST
    shop.column(name="id", dtype=dtype)
    shop.alone(rows(0).with_columns(id=pl.Series([top - i for i in range(ROWS)], dtype=getattr(pl, dtype))))
    shop.plain["output"] = {"keep": ["id"]}
    shop.build()
    ids = shop.dataset().to_polars()["id"]
    assert (ids.max(), ids.min()) == (top, top - ROWS + 1)


def test_unsigned_values_beyond_a_signed_column_are_refused_by_type(shop: Shop, refused: Refusals) -> None:
    shop.write(rows(1).with_columns(late=pl.Series([2**64 - 1] * ROWS, dtype=pl.UInt64)))
    refused("late: got UInt64, expected Int64")


def test_text_of_ten_megabytes(shop: Shop) -> None:
    long = "x" * 10_000_000
    shop.write(rows(1).with_columns(city=pl.when(pl.int_range(pl.len()) < 2).then(pl.lit(long)).otherwise("city")))
    record = shop.build()
    assert record.rows_published == 240
    report = (shop.dataset().path / "report.html").stat().st_size
    assert report < 5_000_000
    assert (shop.dataset().path / "manifest.json").stat().st_size < 1_000_000


def moments(zone: str | None) -> pl.Series:
    start = datetime(2024, 1, 1)
    return pl.Series("at", [start + timedelta(days=i) for i in range(ROWS)]).dt.replace_time_zone(zone)


def test_time_zones_mixed_between_files(shop: Shop, refused: Refusals) -> None:
    shop.column(name="at", dtype="Datetime[us, UTC]")
    for part, zone in enumerate(("UTC", "Europe/Zurich", None)):
        shop.write(rows(part).with_columns(moments(zone)), f"part-{part}.parquet")
    refused("part-1.parquet", "at: got Datetime[us, Europe/Zurich], another time zone, expected Datetime[us, UTC]")
    shop.plain["source"]["path"] = "data/part-2.parquet"
    refused("part-2.parquet", "at: got Datetime[us], no time zone, expected Datetime[us, UTC]")


@pytest.mark.parametrize("start", ["2024-02-20T00:00:00Z", "2024-02-20T01:00:00+01:00", "2024-02-20"])
def test_split_by_time_in_another_zone_than_the_column(shop: Shop, start: str) -> None:
    shop.column(name="at", dtype="Datetime[us, UTC]")
    shop.alone(rows(0).with_columns(moments("UTC")))
    shop.plain["split"] = {"by": "time", "column": "at", "starts": {"test": start}}
    record = shop.build()
    before = (datetime(2024, 2, 20, tzinfo=UTC) - datetime(2024, 1, 1, tzinfo=UTC)).days
    assert record.splits == {"train": before, "test": ROWS - before}


def test_target_with_one_class_and_no_baseline(shop: Shop) -> None:
    shop.alone(rows(0).with_columns(late=pl.lit(1, pl.Int64)))
    assert shop.build().rows_published == ROWS


@pytest.mark.parametrize("estimator", ["dummy", "logistic_regression", "random_forest"])
def test_target_with_one_class_and_a_baseline(shop: Shop, refused: Refusals, estimator: str) -> None:
    shop.alone(rows(0).with_columns(late=pl.lit(1, pl.Int64)))
    shop.plain["baselines"] = [{"estimator": estimator}]
    refused("split 'train': the target 'late' is 1 in all 58 rows: there is nothing to tell apart")


def test_target_with_one_class_in_the_test_split_only(shop: Shop, refused: Refusals) -> None:
    shop.column(name="at", dtype="Datetime[us, UTC]")
    late = pl.when(pl.col("at") >= datetime(2024, 2, 20, tzinfo=UTC)).then(0).otherwise("late").cast(pl.Int64)
    shop.alone(rows(0).with_columns(moments("UTC")).with_columns(late=late))
    shop.plain["split"] = {"by": "time", "column": "at", "starts": {"test": "2024-02-20"}}
    shop.plain["baselines"] = [{"estimator": "dummy"}, {"estimator": "logistic_regression"}]
    refused("split 'test': the target 'late' is 0 in all 30 rows: there is nothing to tell apart")


def test_target_with_three_classes(shop: Shop, refused: Refusals) -> None:
    shop.alone(rows(0).with_columns(late=pl.int_range(pl.len()).cast(pl.Int64) % 3))
    shop.plain["baselines"] = [{"estimator": "logistic_regression"}]
    refused("late", "3")


def test_label_with_nulls(shop: Shop, refused: Refusals) -> None:
    shop.alone(rows(0).with_columns(late=pl.lit(None, pl.Int64)))
    shop.plain["baselines"] = [{"estimator": "dummy"}]
    refused("late")


def test_a_split_without_a_row(shop: Shop, refused: Refusals) -> None:
    shop.column(name="at", dtype="Datetime[us, UTC]")
    shop.alone(rows(0).with_columns(moments("UTC")))
    starts = {"validation": "2024-02-20", "test": "2031-01-01"}
    shop.plain["split"] = {"by": "time", "column": "at", "starts": starts}
    refused("no row in the split(s) test", "at from 2031-01-01", "hint: change the split")


def test_a_training_split_without_a_row(shop: Shop, refused: Refusals) -> None:
    shop.column(name="at", dtype="Datetime[us, UTC]")
    shop.alone(rows(0).with_columns(moments("UTC")))
    shop.plain["split"] = {"by": "time", "column": "at", "starts": {"test": "1999-01-01"}}
    refused("no row in the split(s) train")


def test_a_filter_that_leaves_nothing(shop: Shop, refused: Refusals) -> None:
    shop.plain["steps"].insert(0, {"Filter": {"where": "id < 0"}})
    refused("no row in the split(s) train (0.7 of the rows", "; test (0.3", "look at what the steps filter")


def test_one_row(shop: Shop) -> None:
    shop.alone(rows(0, 1).with_columns(price=1.5))
    shop.plain["split"] = {"by": "fraction", "fractions": {"train": 1.0}}
    record = shop.build()
    assert (record.rows_published, shop.dataset().to_polars().height) == (1, 1)


@pytest.mark.slow
def test_two_thousand_columns(shop: Shop) -> None:
    names = [f"f{i}" for i in range(2000)]
    for name in names:
        shop.plain["contract"]["columns"].append({"name": name, "dtype": "Float64"})
    shop.alone(rows(0).with_columns(pl.lit(float(i)).alias(name) for i, name in enumerate(names)))
    record = shop.build()
    assert record.features == 2003


ODD_NAMES = [
    "with space",
    "with 'single' and \"double\" quotes",
    "back\\slash",
    "größe_长度_🚀",
    "new\nline",
    "tab\there",
    "a/b",
    "../../up",
    "per%cent",
    "dot.ted",
    "<b>bold</b>",
    "{brace}",
    "#hash",
    "-dash",
    " ",
    "*.parquet",
    "con",
]
OUR_NAMES = [
    "count",
    "value",
    "values",
    "rows",
    "row",
    "split",
    "week",
    "label",
    "unit",
    "key",
    "index",
    "len",
    "literal",
    "reasons_",
    "bucket",
    "place",
    "order",
    "left",
    "right",
    "id_right",
    "n",
    "sum",
    "mean",
    "hash",
    "train",
    "price_isnull_",
    "element",
    "null",
]
USES: list[list[dict[str, Any]]] = [
    [{"FillNull": {"columns": ["*"], "statistic": "median", "mask": True}}, {"Standardize": {"columns": ["*"]}}],
    [{"FillNull": {"columns": ["*"], "value": 0}}, {"QuantileBucketize": {"columns": ["*"], "n": 3}}],
    [{"Categorify": {"columns": ["*"]}}],
    [{"TargetEncode": {"columns": ["*"], "target": "late", "fold_on": ["id"]}}],
    [{"HashBucket": {"columns": ["*"], "n": 5}}],
]


@pytest.mark.slow
@pytest.mark.parametrize("names", [ODD_NAMES, OUR_NAMES], ids=["odd", "ours"])
@pytest.mark.parametrize("steps", USES, ids=lambda steps: "-".join(next(iter(step)) for step in steps))
def test_column_names(shop: Shop, names: list[str], steps: list[dict[str, Any]]) -> None:
    values = [i % 7 for i in range(ROWS)]
    for name in names:
        shop.column(name=name, dtype="Int64")
    shop.plain["steps"] += [
        {operator: {**fields, "columns": names}} for step in steps for operator, fields in step.items()
    ]
    shop.plain["baselines"] = [{"estimator": "logistic_regression"}]
    shop.plain["output"] = {"keep": ["id"]}
    shop.plain["max_bad_fraction"] = 0.5
    frame = rows(0).with_columns(pl.Series(name, values, dtype=pl.Int64) for name in names)
    shop.alone(pl.concat([frame, frame.head(1).with_columns(id=pl.lit(-1, pl.Int64), price=float("nan"))]))
    record = shop.build()
    assert record.rows_published == ROWS
    dataset = shop.dataset()
    assert set(names) <= set(dataset.to_polars().columns)
    assert_served_alike(dataset, frame)
    bad = pl.read_parquet(dataset.path / "quarantine", glob=False)
    assert set(names) <= set(bad.columns)
    assert verify(dataset) == []


@pytest.mark.parametrize("name", ["__row", "reasons", "source_file", "source_row", "^x$", "*"])
def test_reserved_column_names_are_refused(shop: Shop, refused: Refusals, name: str) -> None:
    shop.column(name=name, dtype="Int64")
    shop.alone(rows(0).with_columns(pl.lit(1, pl.Int64).alias(name)))
    refused(name, code="contract", exit_code=2)
