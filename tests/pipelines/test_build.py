from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest
from tests.pipelines.conftest import SPLIT, Make, contract_of, published, rows_of, small, sums
from tests.pipelines.families import every_family, raw

from headrace.catalog.diff import diff
from headrace.catalog.manifest import Manifest
from headrace.catalog.reader import open_dataset
from headrace.engines.executor import InlineExecutor
from headrace.pipelines import apply, measuring, merging, stages
from headrace.pipelines import build as building
from headrace.pipelines.build import build
from headrace.pipelines.options import RunOptions
from headrace.pipelines.runs import list_runs
from headrace.pipelines.staging import STAGES
from headrace.schemas.errors import DataError, RunError

pytestmark = [pytest.mark.usefixtures("no_report"), pytest.mark.slow]  # each test is a run or more

MEANS = [{"FillNull": {"columns": ["x"], "statistic": "mean"}}, {"Standardize": {"columns": ["x"]}}]


class Told:
    """Progress that remembers what it was told."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.rows: dict[str, int] = {}

    def start(self, stage: str, total: int) -> None:
        self.stages.append(stage)

    def advance(self, stage: str, rows: int = 0) -> None:
        self.rows[stage] = self.rows.get(stage, 0) + rows

    def finish(self, stage: str) -> None: ...


def test_a_run_goes_through_all_stages_and_says_how_far_it_is(make: Make, tmp_path: Path) -> None:
    told = Told()
    record = build(make(MEANS), RunOptions(catalog=str(tmp_path / "c"), engine="cpu"), told)
    assert told.stages == list(STAGES)
    # The contract, then x's mean, then its moments; 40 rows each.
    assert told.rows == {"fit": 120, "apply": 40, "write": 40}
    assert (record.status, record.version, record.rows_in, record.rows_published) == ("done", 1, 40, 40)
    assert record.splits == {"train": 24, "test": 16}
    assert list(record.seconds) == list(STAGES)


def test_two_runs_give_two_versions_with_equal_sums_and_no_work_is_left(make: Make, tmp_path: Path) -> None:
    pipeline = make(MEANS)
    first, _ = published(pipeline, tmp_path / "c")
    second, _ = published(pipeline, tmp_path / "c")
    assert sums(first) == sums(second)
    assert open_dataset(tmp_path / "c" / "small").version == 2
    assert list((tmp_path / "c" / ".headrace" / "work").iterdir()) == []


def test_a_diff_names_the_settings_that_were_changed(make: Make, tmp_path: Path) -> None:
    frame = small()
    for upper, seed in ((5, 0), (9, 3)):
        steps = [*MEANS, {"Clip": {"columns": ["x"], "upper": upper}}]
        published(make(steps, frame, output={"seed": seed}), tmp_path / "c")
    one, two = (open_dataset(tmp_path / "c" / "small", version) for version in (1, 2))
    found = diff(one, two)
    assert [(change.setting, change.first, change.second) for change in found.settings] == [
        ("step 3 Clip upper", "5", "9"),
        ("output.seed", "0", "3"),
    ]
    assert not any(str(tmp_path) in path.read_text() for path in two.path.glob("state/*.json"))


@pytest.mark.usefixtures("small_units")
def test_the_sums_do_not_depend_on_partitions_or_buckets(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lags = [{"Lag": {"columns": ["x"], "by": ["c"], "order": "at"}}, *MEANS]
    pipeline = make(lags)
    expected = sums(published(pipeline, tmp_path / "c")[0])
    assert sums(published(pipeline, tmp_path / "c", partition_bytes=1)[0]) == expected
    monkeypatch.setattr("headrace.pipelines.plan.BUCKET_ROWS", 9)
    assert sums(published(pipeline, tmp_path / "c", partition_bytes=300)[0]) == expected


def test_operators_of_every_family_give_equal_sums_however_they_are_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.pipelines.plan.UNIT_ROWS", 256)
    pipeline = every_family(tmp_path / "source")
    expected = sums(published(pipeline, tmp_path / "c")[0])
    assert sums(published(pipeline, tmp_path / "c", partition_bytes=1)[0]) == expected
    with threads(monkeypatch, 1):
        assert sums(published(pipeline, tmp_path / "c", partition_bytes=1)[0]) == expected
    monkeypatch.setattr("headrace.pipelines.plan.BUCKET_ROWS", 100)
    assert sums(published(pipeline, tmp_path / "c", partition_bytes=20_000)[0]) == expected
    assert sums(published(pipeline, tmp_path / "c", cluster="local:2", partition_bytes=1)[0]) == expected


@contextmanager
def threads(monkeypatch: pytest.MonkeyPatch, count: int) -> Iterator[None]:
    @contextmanager
    def inline(*_: str) -> Iterator[InlineExecutor]:
        yield InlineExecutor(count)

    with monkeypatch.context() as patched:
        patched.setattr(building, "open_executor", inline)
        yield


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, Path]:
    """A version made by operators of every family."""
    folder = tmp_path_factory.mktemp("families")
    return published(every_family(folder / "source"), folder / "c")


def test_counts_add_up_and_ids_are_below_their_cardinality_in_every_split(families: tuple[Manifest, Path]) -> None:
    manifest, folder = families
    quality = manifest.quality
    assert quality.rows_in == 3000
    assert quality.reasons == {"code:range": 1, "id:unique": 1}
    assert quality.rows_in == quality.rows_published + quality.filtered + quality.quarantined
    filtered = raw(3000).filter((pl.col("x") >= 90) | (pl.col("x") <= -90), pl.col("id") != 9).height
    assert quality.filtered == filtered
    ids = {c.name: c.cardinality for c in manifest.columns if c.cardinality is not None}
    assert ids == {
        "kind": 9,  # padding, null, unseen, k0 to k4 and the "none" that FillNull put for null
        "shop_id": 10,  # padding, null, unseen, s0 to s6
        "half_bucket": 8,
        "x_bucket": 4,
        "kind_hash": 16,
        "shop_x_kind": 32,
    }
    for split in manifest.splits:
        rows = rows_of(manifest, folder, split)
        for name, cardinality in ids.items():
            assert rows[name].min() >= 0, (split, name)
            assert rows[name].max() < cardinality, (split, name)


def test_the_vocabulary_that_the_manifest_names_decodes_a_renamed_category(
    families: tuple[Manifest, Path],
) -> None:
    manifest, folder = families
    column = next(c for c in manifest.columns if c.name == "shop_id")
    assert column.vocabulary is not None
    vocabulary = pl.read_parquet(folder / column.vocabulary.path).with_row_index("id", 3)
    rows = rows_of(manifest, folder).drop_nulls("id")
    decoded = rows.select("id", shop_id=pl.col("shop_id").cast(pl.UInt32)).join(
        vocabulary.select("id", "value"), left_on="shop_id", right_on="id", how="left"
    )
    source = raw(3000).unique("id", keep="first", maintain_order=True).select("id", "shop")
    both = decoded.join(source, on="id", how="inner")
    assert both.height == rows.height
    assert both["value"].equals(both["shop"].alias("value"))
    assert rows.filter(pl.col("shop_id") == 1).height == both["shop"].null_count()


def test_statistics_in_the_manifest_are_those_of_the_published_rows(families: tuple[Manifest, Path]) -> None:
    manifest, folder = families
    for split in manifest.splits:
        rows = rows_of(manifest, folder, split)
        for column in manifest.columns:
            found, values = column.statistics[split], rows[column.name]
            assert (found.count, found.nulls) == (values.len(), values.null_count()), column.name
            assert found.distinct == pytest.approx(values.drop_nulls().n_unique(), rel=0.05), column.name
            if values.dtype.is_numeric():
                assert found.min == values.min()
                assert found.max == values.max()
                assert found.mean == pytest.approx(values.cast(pl.Float64).mean(), rel=1e-9, abs=1e-9)
                assert found.std == pytest.approx(values.cast(pl.Float64).std(ddof=0), rel=1e-6, abs=1e-9)


def test_only_columns_with_nulls_are_nullable(make: Make, tmp_path: Path) -> None:
    manifest, folder = published(make([], output={"features": ["x"], "keep": ["at"]}), tmp_path / "c")
    assert {c.name: c.nullable for c in manifest.columns} == {"y": False, "x": True, "at": False}
    for split in manifest.splits.values():
        schema = pq.read_schema(folder / split.files[0].path)
        assert {f.name: f.nullable for f in schema} == {"y": False, "x": True, "at": False}


def test_quarantine_says_file_row_and_all_reasons_and_its_rows_are_nowhere_else(make: Make, tmp_path: Path) -> None:
    frame = small().with_columns(
        pl.when(pl.col("id") == 3).then(-5.0).when(pl.col("id") == 30).then(-6.0).otherwise(pl.col("x")).alias("x"),
        pl.when(pl.col("id") == 30).then(7).when(pl.col("id") == 25).then(24).otherwise(pl.col("id")).alias("id"),
        pl.when(pl.col("id") == 25).then(pl.datetime(2024, 1, 2)).otherwise(pl.col("at")).alias("at"),
    )

    contract = contract_of(frame, x={"minimum": 0}, at={"unique": True})
    manifest, folder = published(make(MEANS, frame, contract=contract, max_bad_fraction=0.2), tmp_path / "c")
    bad = pl.concat([pl.read_parquet(f) for f in sorted((folder / "quarantine").glob("*.parquet"))])
    # Row 30's key is row 7's as well, but a row that breaks a rule is no candidate for a key.
    assert bad.select("source_file", "source_row", "reasons").rows() == [
        ("part-0.parquet", 3, ["x:range"]),
        ("part-1.parquet", 5, ["id:unique", "at:unique"]),
        ("part-1.parquet", 10, ["x:range"]),
    ]
    quality = manifest.quality
    assert quality.reasons == {"x:range": 2, "id:unique": 1, "at:unique": 1}
    assert (quality.quarantined, quality.filtered, quality.rows_published) == (3, 0, 37)


def test_files_of_equal_names_are_told_apart_in_quarantine(make: Make, tmp_path: Path) -> None:
    pipeline = make([], contract=contract_of(small(), x={"maximum": 19}), max_bad_fraction=0.5)
    root = Path(pipeline.source.root)
    for i in range(2):
        (root / f"day={i}").mkdir()
        (root / f"part-{i}.parquet").rename(root / f"day={i}" / "part.parquet")
    nested = pipeline.model_copy(update={"source": pipeline.source.model_copy(update={"path": "*/*.parquet"})})
    _, folder = published(nested, tmp_path / "c")
    bad = pl.read_parquet(folder / "quarantine" / "*.parquet")
    assert bad.select("source_file", "source_row").rows() == [("day=1/part.parquet", 19)]


def test_too_many_repeated_keys_fail_the_run(make: Make, tmp_path: Path) -> None:
    frame = small().with_columns(pl.col("id") // 2)
    with pytest.raises(DataError, match=r"20 of 40 rows break the contract"):
        published(make([], frame), tmp_path / "c")


def test_rows_keep_the_order_of_the_source(make: Make, tmp_path: Path) -> None:
    manifest, folder = published(
        make([], output={"features": ["x"], "keep": ["id"], "order": "source"}), tmp_path / "c"
    )
    for split in manifest.splits:
        ids = rows_of(manifest, folder, split)["id"]
        assert ids.is_sorted(), split
    assert sorted(rows_of(manifest, folder)["id"]) == list(range(40))
    assert manifest.row_order.kind == "source"


def test_shuffled_rows_are_all_there_and_follow_the_seed(make: Make, tmp_path: Path) -> None:
    orders = []
    for seed in (0, 1):
        manifest, folder = published(
            make([], output={"features": ["x"], "keep": ["id"], "seed": seed}), tmp_path / f"c{seed}"
        )
        orders.append(rows_of(manifest, folder, "train")["id"].to_list())
        assert manifest.row_order.seed == seed
    assert sorted(orders[0]) == sorted(orders[1])
    assert orders[0] != orders[1]
    assert orders[0] != sorted(orders[0])


def test_an_idempotency_key_publishes_once(make: Make, tmp_path: Path) -> None:
    pipeline = make(MEANS)
    options = RunOptions(catalog=str(tmp_path / "c"), engine="cpu", idempotency_key="2024-01-01")
    first, second = build(pipeline, options), build(pipeline, options)
    assert (first.version, second.version, second.path) == (1, 1, first.path)
    other = build(pipeline, options.model_copy(update={"idempotency_key": "2024-01-02"}))
    assert other.version == 2


@pytest.mark.usefixtures("small_units")
def test_a_run_that_failed_goes_on_where_it_was(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = make([{"Lag": {"columns": ["x"], "by": ["c"], "order": "at"}}, *MEANS])
    expected = sums(published(pipeline, tmp_path / "whole", partition_bytes=1)[0])
    calls: list[str] = []
    measure, answer, part = measuring._Pass.run, merging._write_answers, apply._apply_part
    monkeypatch.setattr(measuring._Pass, "run", lambda own: calls.append(f"pass {own._number}") or measure(own))
    monkeypatch.setattr(merging, "_write_answers", lambda *a: calls.append("bucket") or answer(*a))

    def breaks(*args: Any) -> Any:
        calls.append("apply")
        if calls.count("apply") == 3:
            raise RunError("the power went")
        return part(*args)

    with threads(monkeypatch, 1):
        monkeypatch.setattr(apply, "_apply_part", breaks)
        with pytest.raises(RunError, match="the power went"):
            published(pipeline, tmp_path / "c", partition_bytes=1)
        assert not (tmp_path / "c" / "small" / "_log").exists()
        before = list(calls)
        # Four units in two files; the unique key and the lag are a bucket each.
        assert {c: before.count(c) for c in sorted(set(before))} == {
            "apply": 3,
            "bucket": 2,
            "pass 0": 4,
            "pass 1": 4,
            "pass 2": 4,
        }
        calls.clear()
        monkeypatch.setattr(apply, "_apply_part", lambda *a: calls.append("apply") or part(*a))
        manifest, _ = published(pipeline, tmp_path / "c", partition_bytes=1)
    assert calls == ["apply", "apply"]
    assert sums(manifest) == expected
    assert [r.status for r in list_runs(tmp_path / "c")] == ["done", "failed"]


def test_force_does_the_work_again(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline, calls, measure = make(MEANS), [], measuring._Pass.run

    def refuse(*_: object, **__: object) -> None:
        raise RunError("no")

    monkeypatch.setattr(stages, "publish", refuse)
    monkeypatch.setattr(measuring._Pass, "run", lambda own: calls.append(own._number) or measure(own))
    for force, ran in ((False, 6), (False, 6), (True, 12)):  # three passes over two files
        with pytest.raises(RunError):
            published(pipeline, tmp_path / "c", force=force)
        assert len(calls) == ran


def test_a_failed_run_leaves_a_record_and_no_build(make: Make, tmp_path: Path) -> None:
    pipeline = make([{"Filter": {"where": "x > 1000"}}])
    with pytest.raises(DataError, match=r"no row in the split\(s\) train.*test"):
        published(pipeline, tmp_path / "c")
    (record,) = list_runs(tmp_path / "c")
    assert record.error is not None
    assert (record.status, record.error.code) == ("failed", "data")
    assert list((tmp_path / "c").rglob("builds/*")) == []


def test_several_shards_hold_each_row_once(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.pipelines.plan._ROW_GROUP", 8)
    for order in ("shuffle", "source"):
        output = {"features": ["x"], "keep": ["id"], "order": order, "shard_bytes": 1 << 16}
        pipeline = make([], small(4000), output=output, split={**SPLIT, "seed": 3}, group=500)
        monkeypatch.setattr("headrace.pipelines.plan._shard_rows", lambda *_: 900)
        manifest, folder = published(pipeline, tmp_path / order)
        assert {name: len(split.files) for name, split in manifest.splits.items()} == {"train": 3, "test": 2}
        assert sorted(rows_of(manifest, folder)["id"]) == list(range(4000))
        sizes = [file.rows for file in manifest.splits["train"].files]
        assert max(sizes) < 1.2 * min(sizes), order
        if order == "source":
            assert rows_of(manifest, folder, "train")["id"].is_sorted()


@pytest.mark.usefixtures("small_units")
def test_shards_in_source_order_are_even_where_a_split_is_a_part_of_the_source(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.pipelines.plan._shard_rows", lambda *_: 100)
    output = {"features": ["x"], "keep": ["id"], "order": "source"}
    by_time = {"by": "time", "column": "at", "starts": {"test": "2024-01-26"}}
    pipeline = make([], small(1000), output=output, split=by_time)
    manifest, folder = published(pipeline, tmp_path / "c")
    sizes = {name: [file.rows for file in split.files] for name, split in manifest.splits.items()}
    assert sizes == {"train": [100] * 6, "test": [100] * 4}
    assert rows_of(manifest, folder)["id"].to_list() == list(range(1000))
    assert sums(published(pipeline, tmp_path / "c", partition_bytes=1)[0]) == sums(manifest)


def test_nothing_but_the_catalog_is_written(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = make(MEANS)
    elsewhere = tmp_path / "cwd"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    before = sorted(p for p in tmp_path.rglob("*"))
    published(pipeline, tmp_path / "c")
    after = sorted(p for p in tmp_path.rglob("*") if not p.is_relative_to(tmp_path / "c"))
    assert after == before
    assert os.listdir(elsewhere) == []
