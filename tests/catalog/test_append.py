from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import polars as pl
import pytest
from tests.catalog.conftest import FRAME, fill
from tests.catalog.faults import DISK, every_death

from headrace.catalog import append as module
from headrace.catalog import log
from headrace.catalog.append import append
from headrace.catalog.appended import appended
from headrace.catalog.build import Build, new_build
from headrace.catalog.collect import collect
from headrace.catalog.commit import Published, publish
from headrace.catalog.leases import leases
from headrace.catalog.manifest import Extends, Input, Manifest, PipelineRef, RowOrder, Vocabulary
from headrace.catalog.reader import open_dataset
from headrace.catalog.retire import retire
from headrace.catalog.sketch import merge_sketches, sketch_rows, summarize_sketches
from headrace.catalog.sketch_files import FOLDER, load_sketches, save_sketches, sketches_of
from headrace.catalog.store import open_store
from headrace.catalog.verify import verify
from headrace.schemas.errors import ConflictError, DataError, UsageError

MORE = pl.DataFrame(
    {"delay": [100.0, 7.5, -3.0], "carrier": [4, 4, 3], "late": [1, 0, 0]},
    schema={"delay": pl.Float32, "carrier": pl.Int32, "late": pl.UInt8},
)
OLD, GROWN, FOREIGN = "a" * 64, "b" * 64, "c" * 64

Make = Callable[..., Published]
Filled = Callable[..., tuple[Build, Manifest]]


def filled_with(catalog: Path, frame: pl.DataFrame = FRAME, **changes: Any) -> tuple[Build, Manifest]:
    """A build with saved statistics, which is not published."""
    build = new_build(catalog, "demo")
    save_sketches(build.path / FOLDER, {"train": sketch_rows(frame), "test": sketch_rows(frame.head(2))})
    return build, fill(build, frame, **changes)


def first(catalog: Path, frame: pl.DataFrame = FRAME, **changes: Any) -> Published:
    return publish(catalog, "demo", *filled_with(catalog, frame, **changes))


def more(catalog: Path, frame: pl.DataFrame = MORE, key: str | None = None, **changes: Any) -> Published:
    return append(catalog, "demo", *filled_with(catalog, frame, **changes), idempotency_key=key)


def columns_with(**changes: Any) -> Callable[[Manifest], Manifest]:
    """Changes the column `carrier` of a manifest."""

    def change(manifest: Manifest) -> Manifest:
        columns = [c.model_copy(update=changes) if c.name == "carrier" else c for c in manifest.columns]
        return manifest.model_copy(update={"columns": tuple(columns)})

    return change


def test_the_older_rows_come_first_and_stay_where_they_are(catalog: Path) -> None:
    one, two, three = first(catalog), more(catalog), more(catalog, MORE.tail(2))
    dataset = open_dataset(catalog / "demo")
    assert (dataset.version, dataset.rows) == (3, {"train": 9, "test": 6})
    assert dataset.to_polars("train").equals(pl.concat([FRAME, MORE, MORE.tail(2)]))
    assert dataset.to_polars("test").equals(pl.concat([FRAME.head(2), MORE.head(2), MORE.tail(2)]))
    assert [file.build for file in dataset.manifest.splits["train"].files] == [one.build, two.build, None]
    assert sorted(path.name for path in (three.path / "train").iterdir()) == ["part-00000.parquet"]
    assert verify(dataset, "pages") == []
    assert open_dataset(catalog / "demo", 2).rows == {"train": 7, "test": 4}


def test_statistics_are_those_of_all_rows_and_no_shard_is_read(catalog: Path) -> None:
    old = first(catalog)
    for path in old.path.rglob("part-*.parquet"):
        path.chmod(0o600)
        path.write_bytes(b"?" * path.stat().st_size)
    two = more(catalog)
    whole = pl.concat([FRAME, MORE])
    dataset = open_dataset(catalog / "demo")
    expected = summarize_sketches(sketch_rows(whole))
    for column in dataset.manifest.columns:
        got = column.statistics["train"]
        assert got.model_copy(update={"mean": None, "std": None}) == expected[column.name].model_copy(
            update={"mean": None, "std": None}
        )
        assert got.mean == pytest.approx(expected[column.name].mean)
    assert sketches_of(dataset, "train")["carrier"].column.rows == 7
    own = load_sketches(two.path / "statistics" / "own", "train")
    assert own["delay"].column.max == 100.0
    assert own["delay"].column.rows == 3
    assert [damage.problem for damage in verify(dataset)] == ["sha256"] * 2


@pytest.mark.slow  # imports datasets
@pytest.mark.parametrize("streaming", [False, True])
def test_hugging_face_reads_all_rows(catalog: Path, tmp_path: Path, streaming: bool) -> None:
    import datasets

    first(catalog)
    folder = more(catalog).path
    found = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "hf"), streaming=streaming)
    assert [row["delay"] for row in found["train"]] == [*FRAME["delay"], *MORE["delay"]]
    card = (folder / "README.md").read_text()
    assert "2 of its 4 files lie in older builds, in folders beside this one" in card
    assert "*.parquet" not in card


def test_a_loader_reads_the_shards_of_both_builds_which_have_the_same_paths(catalog: Path) -> None:
    first(catalog)
    more(catalog, pl.concat([MORE] * 7))
    dataset = open_dataset(catalog / "demo")
    assert len({file.path for file in dataset.manifest.splits["train"].files}) == 1
    rows = sorted(dataset.to_polars("train").rows())
    for shuffle in ("rows", "blocks", False):
        loader = dataset.numpy_loader("train", list(dataset.columns), batch_size=8, drop_last=False, shuffle=shuffle)
        for epoch in range(2):
            loader.set_epoch(epoch)
            batches = [pl.DataFrame(batch) for batch in loader]
            assert sorted(pl.concat(batches).rows()) == rows


def test_inputs_and_counts_are_those_of_both(catalog: Path) -> None:
    old, new = (Input(path=f"{name}.parquet", bytes=1, rows=7, fingerprint=name) for name in ("a", "b"))
    first(catalog, inputs=(old,))
    more(catalog, inputs=(new,))
    manifest = open_dataset(catalog / "demo").manifest
    assert manifest.inputs == (old, new)
    assert manifest.quality is not None
    assert (manifest.quality.rows_in, manifest.quality.rows_published) == (14, 12)
    assert manifest.quality.reasons == {"delay > 0": 2}
    with pytest.raises(DataError, match=r"rows of 1 files that are in it already: a\.parquet"):
        more(catalog, inputs=(old,))


def test_a_file_that_was_read_is_known_wherever_it_lies(catalog: Path) -> None:
    old = Input(path="a/part-0.parquet", bytes=1, rows=7, fingerprint="a")
    first(catalog, inputs=(old,))
    with pytest.raises(DataError, match=r"rows of 1 files that are in it already: moved\.parquet"):
        more(catalog, inputs=(old.model_copy(update={"path": "moved.parquet"}),))
    other = old.model_copy(update={"fingerprint": "b"})
    more(catalog, inputs=(other,))
    assert open_dataset(catalog / "demo").manifest.inputs == (old, other)


def test_the_order_of_rows_is_not_claimed_to_be_a_shuffle(catalog: Path) -> None:
    first(catalog)
    more(catalog)
    assert open_dataset(catalog / "demo").manifest.row_order == RowOrder(kind="source")


@pytest.mark.parametrize(("hours", "kind"), [([5, 6, 7], "time"), ([3, 4, 5], "source")])
def test_rows_are_in_time_order_if_the_new_ones_begin_where_the_old_ones_end(
    catalog: Path, hours: list[int], kind: str
) -> None:
    def timed(frame: pl.DataFrame, at: list[int]) -> pl.DataFrame:
        return frame.with_columns(pl.Series("late", at, pl.UInt8))

    def as_time(manifest: Manifest) -> Manifest:
        columns = [c.model_copy(update={"role": "time"}) if c.name == "late" else c for c in manifest.columns]
        return manifest.model_copy(update={"columns": tuple(columns), "row_order": RowOrder(kind="time")})

    build, manifest = filled_with(catalog, timed(FRAME, [1, 2, 3, 4]))
    publish(catalog, "demo", build, as_time(manifest))
    build, manifest = filled_with(catalog, timed(MORE, hours))
    append(catalog, "demo", build, as_time(manifest))
    assert open_dataset(catalog / "demo").manifest.row_order.kind == kind


def test_a_retry_with_the_same_key_gets_the_same_version(catalog: Path) -> None:
    first(catalog)
    build, manifest = filled_with(catalog, MORE)
    one = append(catalog, "demo", build, manifest, idempotency_key="day-2")
    again = append(catalog, "demo", build, manifest, idempotency_key="day-2")
    other, described = filled_with(catalog, MORE)
    third = append(catalog, "demo", other, described, idempotency_key="day-2")
    assert one == again
    assert (third.version, third.created) == (2, False)
    assert not other.path.exists()
    assert open_dataset(catalog / "demo").rows == {"train": 7, "test": 4}


def test_there_must_be_something_to_append_to(catalog: Path) -> None:
    with pytest.raises(UsageError, match="no dataset 'demo'"):
        more(catalog)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (columns_with(cardinality=6), "column carrier: cardinality is 6, there it is 5"),
        (columns_with(null_id=0), "column carrier: null_id is 0, there it is 1"),
        (columns_with(role="key"), "column carrier: role is key, there it is feature"),
        (
            columns_with(vocabulary=Vocabulary(path="state/carrier.parquet", sha256=OLD)),
            "column carrier has a vocabulary, there it has none",
        ),
        (lambda m: m.model_copy(update={"columns": m.columns[1:]}), "column delay is not described"),
        (
            lambda m: m.model_copy(update={"columns": (*m.columns, m.columns[0].model_copy(update={"name": "x"}))}),
            "columns that are not described there: x",
        ),
        (
            lambda m: m.model_copy(update={"splits": {"valid": m.splits["train"], "test": m.splits["test"]}}),
            "splits that are not in it: valid; it has train, test",
        ),
        (
            lambda m: m.model_copy(
                update={"splits": dict(m.splits) | {"train": m.splits["train"].model_copy(update={"rule": "all"})}}
            ),
            "split train has the rule 'all', there it is 'before 2013-10-01'",
        ),
        (lambda m: m.model_copy(update={"pipeline": None}), "only one of the two was made by a saved pipeline"),
    ],
)
def test_rows_that_cannot_stand_beside_the_older_ones(
    catalog: Path, change: Callable[[Manifest], Manifest], message: str
) -> None:
    first(catalog)
    build, manifest = filled_with(catalog, MORE)
    with pytest.raises(DataError, match="the build cannot be appended to demo@1:") as error:
        append(catalog, "demo", build, change(manifest))
    assert message in error.value.message.splitlines()
    assert log.versions(open_store(catalog / "demo")) == [1]
    assert leases(open_store(catalog / "demo")) == []


def test_another_schema(catalog: Path) -> None:
    first(catalog)
    with pytest.raises(DataError, match="another schema: delay is double not null here, float not null there"):
        more(catalog, MORE.cast({"delay": pl.Float64}))


def test_a_vocabulary_may_grow(catalog: Path) -> None:
    def with_vocabulary(sha256: str, size: int, extends: str | None = None) -> Callable[[Manifest], Manifest]:
        continued = None if extends is None else Extends(dataset="demo", version=1, sha256=extends)
        vocabulary = Vocabulary(path="state/carrier.parquet", sha256=sha256, extends=continued)
        return columns_with(vocabulary=vocabulary, cardinality=size)

    build, manifest = filled_with(catalog)
    publish(catalog, "demo", build, with_vocabulary(OLD, 5)(manifest))
    for change, message in [
        (
            with_vocabulary(FOREIGN, 5),
            "its vocabulary neither is nor continues the one there, so ids mean other values",
        ),
        (with_vocabulary(GROWN, 4, OLD), "column carrier: cardinality is 4, there it is 5 already"),
    ]:
        build, manifest = filled_with(catalog, MORE)
        with pytest.raises(DataError, match=message):
            append(catalog, "demo", build, change(manifest))
    build, manifest = filled_with(catalog, MORE)
    append(catalog, "demo", build, with_vocabulary(GROWN, 9, OLD)(manifest))
    carrier = next(c for c in open_dataset(catalog / "demo").manifest.columns if c.name == "carrier")
    assert carrier.cardinality == 9
    build, manifest = filled_with(catalog, MORE)
    with pytest.raises(DataError, match="its vocabulary neither is nor continues"):
        append(catalog, "demo", build, with_vocabulary(OLD, 5)(manifest))


def steps(mean: float, sha256: str) -> bytes:
    vocabulary = {"vocabulary": {"table": "1/table-0.parquet", "sha256": sha256}}
    return json.dumps({"steps": [{"Standardized": {"mean": mean}}, {"Categorified": vocabulary}]}).encode()


def with_pipeline(catalog: Path, frame: pl.DataFrame, data: bytes, vocabulary: Vocabulary) -> tuple[Build, Manifest]:
    build, manifest = filled_with(catalog, frame)
    (build.path / "state/pipeline.json").unlink()
    ref = build.write("state/pipeline.json", data)
    files = tuple(ref if file.path == ref.path else file for file in manifest.files)
    pipeline = PipelineRef(name="flights", sha256=ref.sha256)
    changed = manifest.model_copy(update={"files": files, "pipeline": pipeline})
    return build, columns_with(vocabulary=vocabulary, cardinality=5)(changed)


def test_the_same_steps_made_both(catalog: Path) -> None:
    old = Vocabulary(path="state/carrier.parquet", sha256=OLD)
    grown = Vocabulary(path="state/carrier.parquet", sha256=GROWN, extends=Extends(sha256=OLD))
    publish(catalog, "demo", *with_pipeline(catalog, FRAME, steps(1.5, OLD), old))
    refitted = with_pipeline(catalog, MORE, steps(1.6, GROWN), grown)
    with pytest.raises(DataError, match="step 0, Standardized, learned something else or is set up otherwise") as error:
        append(catalog, "demo", *refitted)
    assert len(error.value.message.splitlines()) == 2
    assert append(catalog, "demo", *refitted, any_pipeline=True).version == 2
    assert append(catalog, "demo", *with_pipeline(catalog, MORE, steps(1.6, GROWN), grown)).version == 3


@pytest.mark.parametrize("missing", ["old", "new"])
def test_statistics_must_be_saved_with_both(catalog: Path, filled: Filled, missing: str) -> None:
    old, new = (filled() if missing == "old" else filled_with(catalog), filled() if missing == "new" else None)
    publish(catalog, "demo", *old)
    build, manifest = new or filled_with(catalog, MORE)
    with pytest.raises(DataError, match="has no saved statistics"):
        append(catalog, "demo", build, manifest)
    assert log.versions(open_store(catalog / "demo")) == [1]


def test_a_shard_that_is_not_listed_is_refused_and_stays(catalog: Path) -> None:
    first(catalog)
    build, manifest = filled_with(catalog, MORE)
    forgotten = build.path / "train" / "part-00009.parquet"
    MORE.write_parquet(forgotten)
    with pytest.raises(DataError, match=r"train/part-00009\.parquet: there, not listed"):
        append(catalog, "demo", build, manifest)
    assert forgotten.exists()


def race(monkeypatch: pytest.MonkeyPatch, event: Callable[[], Any]) -> None:
    """Let something be published after the head was looked at and before the commit."""
    whole = module._whole

    def late(*arguments: Any) -> Manifest:
        monkeypatch.setattr(module, "_whole", whole)
        event()
        return whole(*arguments)

    monkeypatch.setattr(module, "_whole", late)


def test_a_lost_race_goes_on_from_the_new_head(catalog: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first(catalog)
    race(monkeypatch, lambda: more(catalog, MORE.head(2)))
    assert more(catalog, MORE.tail(2)).version == 3
    dataset = open_dataset(catalog / "demo")
    assert dataset.to_polars("train").equals(pl.concat([FRAME, MORE.head(2), MORE.tail(2)]))
    assert dataset.manifest.columns[0].statistics["train"].count == 8
    assert verify(dataset, "pages") == []
    assert leases(open_store(catalog / "demo")) == []


def test_a_lost_race_against_what_it_does_not_fit_is_a_conflict(catalog: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first(catalog)
    race(monkeypatch, lambda: first(catalog, FRAME.cast({"delay": pl.Float64})))
    with pytest.raises(ConflictError, match="cannot be appended to demo@2, which was published meanwhile:\nanother"):
        more(catalog)
    assert log.versions(open_store(catalog / "demo")) == [1, 2]


def test_the_version_it_goes_on_from_cannot_be_retired_meanwhile(
    catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first(catalog)
    store = open_store(catalog / "demo")

    def attack() -> None:
        with pytest.raises(ConflictError, match="is used by the job append-"):
            retire(store, 1, reason="x")

    race(monkeypatch, attack)
    assert more(catalog).version == 2
    retire(store, 1, reason="x")
    collect(store, remove=True, at=datetime.now(UTC) + timedelta(days=8))
    assert verify(open_dataset(catalog / "demo"), "pages") == []


def test_appenders_at_once_lose_no_row(catalog: Path) -> None:
    first(catalog)
    ready = [filled_with(catalog, MORE.with_columns(pl.lit(n, pl.Int32).alias("carrier"))) for n in range(5)]
    barrier = Barrier(5)

    def run(one: tuple[Build, Manifest]) -> Published:
        barrier.wait()
        return append(catalog, "demo", *one)

    with ThreadPoolExecutor(5) as pool:
        done = list(pool.map(run, ready))
    assert sorted(published.version for published in done) == [2, 3, 4, 5, 6]
    dataset = open_dataset(catalog / "demo")
    carriers = dataset.to_polars("train")["carrier"]
    order = [published.version - 2 for published in done]
    assert carriers[4:].to_list() == [order.index(n) for n in range(5) for _ in range(3)]
    for version in range(1, 7):
        assert verify(open_dataset(catalog / "demo", version)) == []
    assert leases(open_store(catalog / "demo")) == []


@pytest.mark.slow
def test_a_death_at_any_write_leaves_the_old_or_the_new_and_a_second_try_succeeds(
    catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first(catalog)
    build, manifest = filled_with(catalog, MORE)
    deaths = 0
    for number, run in enumerate(every_death(monkeypatch, operations=DISK)):
        world = tmp_path / str(number)
        shutil.copytree(catalog, world)
        own = replace(build, path=world / "demo" / "builds" / build.id)
        died = run(lambda world=world, own=own: append(world, "demo", own, manifest))  # type: ignore[misc]
        dataset = open_dataset(world / "demo")
        assert dataset.rows["train"] == (4 if dataset.version == 1 else 7)
        assert verify(dataset) == []
        assert died or dataset.version == 2
        assert append(world, "demo", own, manifest).version == 2
        dataset = open_dataset(world / "demo")
        assert (dataset.version, dataset.rows["train"], dataset.record.build) == (2, 7, build.id)
        assert verify(dataset) == []
        deaths += died
        shutil.rmtree(world)
    assert deaths > 10


def test_the_manifest_of_an_append_is_a_manifest(catalog: Path) -> None:
    base, own = filled_with(catalog)[1], filled_with(catalog, MORE)[1]
    merged = merge_sketches([sketch_rows(FRAME), sketch_rows(MORE)])
    whole = appended(base, own, {"train": merged, "test": merged})
    assert Manifest.model_validate_json(whole.model_dump_json(), context="read") == whole
    assert whole.rows == base.rows + own.rows
