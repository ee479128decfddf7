"""Windows that drop rows, from the source to the published files and in serving: Deduplicate and Sequence."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.pipelines.conftest import Make, contract_of, published, rows_of, sums
from tests.pipelines.families import events, sequences

from headrace.catalog.manifest import Manifest
from headrace.pipelines import merging
from headrace.pipelines.fitted import FittedPipeline
from headrace.pipelines.resolve import resolve
from headrace.schemas.errors import PipelineError, RunError


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, Path]:
    folder = tmp_path_factory.mktemp("sequences")
    return published(sequences(folder / "source"), folder / "c")


def kept_events() -> list[dict[str, Any]]:
    """The events that Deduplicate and Filter leave, in source order, worked out row by row."""
    latest: dict[int, dict[str, Any]] = {}
    for row in events(2000).to_dicts():
        if row["event"] not in latest or row["seen"] >= latest[row["event"]]["seen"]:
            latest[row["event"]] = row
    rows = sorted(latest.values(), key=lambda row: row["id"])
    rows = [row for row in rows if row["x"] is None or row["x"] > -9]
    return [{**row, "x": -1.0 if row["x"] is None else row["x"]} for row in rows]


def by_user() -> dict[str, list[dict[str, Any]]]:
    """The events of each user in the order of time; those without a user or a time are in no list."""
    users: dict[str, list[dict[str, Any]]] = {}
    for row in kept_events():
        if row["user"] is not None and row["at"] is not None:
            users.setdefault(row["user"], []).append(row)
    return {user: sorted(rows, key=lambda row: (row["at"], row["id"])) for user, rows in users.items()}


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_each_user_has_one_row_with_the_last_events_in_the_order_of_time(version: tuple[Manifest, Path]) -> None:
    manifest, folder = version
    got = rows_of(manifest, folder).sort("user")
    users = dict(sorted(by_user().items()))
    assert got["user"].to_list() == list(users)
    assert got["id"].to_list() == [rows[-1]["id"] for rows in users.values()]
    assert got["at"].to_list() == [rows[-1]["at"] for rows in users.values()]
    values = [[row["x"] for row in rows[-4:]] for rows in users.values()]
    assert got["x_list"].to_list() == [own + [0.0] * (4 - len(own)) for own in values]
    assert got["event_list"].to_list() == [[rows[-1]["event"]] for rows in users.values()]
    assert got.schema["item_id_list"] == pl.List(pl.Int32)


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_lists_of_ids_decode_by_the_vocabulary_that_the_manifest_names(version: tuple[Manifest, Path]) -> None:
    manifest, folder = version
    column = next(c for c in manifest.columns if c.name == "item_id_list")
    assert column.vocabulary is not None
    assert column.cardinality is not None
    words = pl.read_parquet(folder / column.vocabulary.path)["value"].to_list()
    decode = dict(enumerate(words, start=column.cardinality - len(words)))
    for user, ids in rows_of(manifest, folder).select("user", "item_id_list").iter_rows():
        items = [row["item"] for row in by_user()[user][-4:]]
        assert [decode.get(i) for i in ids] == items + [None] * (4 - len(items))


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_rows_that_windows_drop_are_counted_as_filtered(version: tuple[Manifest, Path]) -> None:
    quality = version[0].quality
    assert (quality.rows_in, quality.quarantined) == (2000, 0)
    assert quality.rows_published == len(by_user())
    assert quality.filtered == 2000 - len(by_user())


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_a_window_after_one_that_drops_rows_sees_those_that_are_left(version: tuple[Manifest, Path]) -> None:
    last = sorted((rows[-1] for rows in by_user().values()), key=lambda row: row["id"])
    for row in rows_of(*version).iter_rows(named=True):
        own = next(r for r in last if r["id"] == row["id"])
        earlier = [r["x"] for r in last if r["item"] == own["item"] and r["at"] < own["at"]]
        if own["item"] is None:
            assert row["x_count"] is None
        else:
            assert row["x_count"] == len(earlier)
            assert row["x_mean"] == pytest.approx(sum(earlier) / len(earlier) if earlier else None)


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
@pytest.mark.parametrize("order", ["shuffle", "source"])
def test_sums_do_not_depend_on_partitions_buckets_or_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    monkeypatch.setattr("headrace.pipelines.plan.UNIT_ROWS", 256)
    pipeline = sequences(tmp_path / "source")
    pipeline = pipeline.model_copy(update={"output": pipeline.output.model_copy(update={"order": order})})
    expected = sums(published(pipeline, tmp_path / "c")[0])
    assert sums(published(pipeline, tmp_path / "c", partition_bytes=1)[0]) == expected
    monkeypatch.setattr("headrace.pipelines.plan.BUCKET_ROWS", 70)
    assert sums(published(pipeline, tmp_path / "c", partition_bytes=20_000)[0]) == expected
    if order == "shuffle":
        assert sums(published(pipeline, tmp_path / "c", cluster="local:2", partition_bytes=1)[0]) == expected


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_a_run_that_failed_between_windows_goes_on_and_gives_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.pipelines.plan.BUCKET_ROWS", 500)
    pipeline = sequences(tmp_path / "source")
    expected = sums(published(pipeline, tmp_path / "whole")[0])
    write, written = merging._write_answers, []

    def stopping(rows: Any, target: Path, *rest: Any) -> Any:
        if len(written) == 14:
            raise RunError("stopped")
        written.append(target)
        return write(rows, target, *rest)

    monkeypatch.setattr(merging, "_write_answers", stopping)
    with pytest.raises(RunError, match="stopped"):
        published(pipeline, tmp_path / "c")
    monkeypatch.setattr(merging, "_write_answers", write)
    assert sums(published(pipeline, tmp_path / "c")[0]) == expected


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_shards_are_as_many_as_the_rows_that_stay_need(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.pipelines.plan._shard_rows", lambda *_: 50)
    frame = events(4000).with_columns(pl.col("id") % 400)
    steps = [{"Sequence": {"columns": ["seen"], "by": ["id"], "order": "seen", "max_length": 2}}]
    for order in ("shuffle", "source"):
        output = {"features": ["event"], "keep": ["id"], "order": order}
        pipeline = make(steps, frame, group=500, contract=contract_of(frame, key=""), output=output)
        manifest, folder = published(pipeline, tmp_path / order)
        assert sorted(rows_of(manifest, folder)["id"]) == list(range(400))
        # 10 rows of each id are read and one stays: 400 rows in shards of 50, by two splits.
        assert len([file for split in manifest.splits.values() for file in split.files]) in (8, 9)


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_serving_gives_what_was_published(version: tuple[Manifest, Path]) -> None:
    manifest, folder = version
    fitted = FittedPipeline.load(folder / "state")
    rows = rows_of(manifest, folder).sort("id")
    asked, past = events(2000).join(rows, on="id", how="semi"), events(2000).join(rows, on="id", how="anti")
    served = fitted.transform(asked, history=past.sample(fraction=1, shuffle=True, seed=1).sort("seen"))
    expected = rows.select(fitted.features)
    # The history comes in another order here: of rows of equal time another one may stand first.
    exact = ["x_count", "x_mean", "x_bucket", "event_list"]
    assert_frame_equal(served.select(exact), expected.select(exact), check_exact=True)
    assert_frame_equal(fitted.transform(asked, history=past), expected, check_exact=True)


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_several_rows_of_one_user_each_get_the_list_that_ends_with_them(version: tuple[Manifest, Path]) -> None:
    fitted = FittedPipeline.load(version[1] / "state")
    user, rows = next((user, rows) for user, rows in by_user().items() if len({row["at"] for row in rows}) > 6)
    times = [row["at"] for row in rows]
    asked = [row for row in rows if times.count(row["at"]) == 1][-3:]
    past = events(2000).filter(~pl.col("id").is_in([row["id"] for row in asked]))
    served = fitted.transform(pl.DataFrame(asked, schema=past.schema).reverse(), history=past).reverse()
    for row, got in zip(asked, served.iter_rows(named=True), strict=True):
        ends = [r["x"] for r in rows if r["at"] < row["at"]] + [row["x"]]
        assert got["x_list"] == ends[-4:], (user, row)
        assert got["event_list"] == [row["event"]]


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_without_history_a_list_is_the_row_and_without_a_user_there_is_none(version: tuple[Manifest, Path]) -> None:
    fitted = FittedPipeline.load(version[1] / "state")
    rows = [
        {"id": 1, "event": 1, "user": "u1", "at": datetime(2024, 1, 1), "x": 2.5},
        {"id": 2, "event": 1, "user": None, "at": datetime(2024, 1, 1), "x": 3.5},
        {"id": 3, "event": 1, "user": "u1", "at": None, "x": 4.5},
    ]
    served = fitted.transform(rows)
    assert served["x_list"].to_list() == [[2.5, 0.0, 0.0, 0.0], [0.0] * 4, [0.0] * 4]
    assert served["event_list"].to_list() == [[1], None, None]


def test_each_window_waits_for_those_before_it_that_drop_rows(tmp_path: Path) -> None:
    resolved = resolve(sequences(tmp_path / "source", 20), {})
    assert [(type(s.step).__name__, s.pass_number, s.stage) for s in resolved.steps] == [
        ("Deduplicate", 0, 1),
        ("Lag", 1, 2),
        ("Categorify", 1, 2),
        ("Standardize", 2, 3),
        ("Filter", None, 3),  # what it drops, the learners before it have to see
        ("FillNull", None, 0),
        ("Sequence", 3, 4),
        ("Expanding", 4, 5),
        ("Sequence", 4, 5),
        ("QuantileBucketize", 5, 6),
    ]
    assert resolved.passes == 6
    assert resolved.output["item_id_list"] == pl.List(pl.Int32)


@pytest.mark.parametrize(
    ("step", "feature"),
    [
        ({"Sequence": {"columns": ["y"], "by": ["c"], "order": "at", "max_length": 3}}, "y_list"),
        ({"Diff": {"columns": ["y"], "by": ["c"], "order": "at"}}, "y_diff1"),
    ],
)
def test_a_window_that_sees_the_row_itself_gives_its_target_away(
    make: Make, step: dict[str, Any], feature: str
) -> None:
    with pytest.raises(PipelineError, match=f"feature '{feature}' is made of the target 'y'"):
        resolve(make([step], output={"features": ["x", feature]}), {})


def test_past_targets_may_be_in_a_list(make: Make) -> None:
    steps = [
        {"Lag": {"columns": ["y"], "by": ["c"], "order": "at"}},
        {"Sequence": {"columns": ["y_lag1"], "by": ["c"], "order": "at", "max_length": 3}},
    ]
    resolve(make(steps, output={"features": ["y_lag1_list"]}), {})
