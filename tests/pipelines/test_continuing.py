"""Vocabularies that go on from version to version, through whole runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.pipelines.conftest import Make, published, rows_of, small

from headrace.catalog.manifest import Extends, Manifest
from headrace.catalog.reader import open_dataset
from headrace.catalog.vocabulary import OOV_BUCKETS
from headrace.pipelines.build import build
from headrace.pipelines.options import RunOptions
from headrace.pipelines.resolve import resolve
from headrace.pipelines.stages import publish_stage
from headrace.pipelines.vocabularies import FromCatalog
from headrace.schemas.errors import ConflictError, DataError, HeadraceError, PipelineError, UsageError
from headrace.transforms.table import Table

pytestmark = pytest.mark.usefixtures("no_report")

LATER = small(60).with_columns(
    c=pl.when(pl.col("id") % 5 == 0).then(pl.lit("new")).otherwise("c"), id=pl.col("id") + 1000
)


def encode(previous: str | int | None = "latest", **fields: Any) -> list[dict[str, Any]]:
    return [{"Categorify": {"columns": ["c"], "previous": previous, **fields}}]


def decoded(manifest: Manifest, folder: Path) -> dict[str, int]:
    """Value to id, as a reader finds them."""
    column = next(c for c in manifest.columns if c.name == "c")
    assert column.vocabulary is not None
    assert column.cardinality is not None
    values = pl.read_parquet(folder / column.vocabulary.path)["value"].to_list()
    first = column.cardinality - len(values)
    return {value: first + number for number, value in enumerate(values)}


def test_the_first_version_begins_and_the_next_ones_go_on(make: Make, tmp_path: Path) -> None:
    catalog = tmp_path / "catalog"
    first, first_folder = published(make(encode()), catalog)
    second, second_folder = published(make(encode(), LATER), catalog)
    old, new = decoded(first, first_folder), decoded(second, second_folder)
    assert sorted(old) == ["a", "b"]  # squares modulo 4
    assert new == {**old, "new": 5}
    columns = [next(c for c in m.columns if c.name == "c") for m in (first, second)]
    assert columns[0].vocabulary is not None
    assert columns[0].vocabulary.extends is None
    assert columns[1].vocabulary is not None
    opened = open_dataset(catalog / "small", 1)
    assert columns[1].vocabulary.extends == Extends(
        dataset="small", version=1, build=opened.record.build, sha256=columns[0].vocabulary.sha256
    )
    assert rows_of(second, second_folder)["c"].is_in([1, *new.values()]).all()


def test_a_version_another_dataset_and_a_file_can_be_continued(make: Make, tmp_path: Path) -> None:
    catalog = tmp_path / "catalog"
    first, folder = published(make(encode(None)), catalog)
    expected = {**decoded(first, folder), "new": 5}
    column = next(c for c in first.columns if c.name == "c")
    assert column.vocabulary is not None
    file = folder / column.vocabulary.path
    for previous in (1, "small@1", str(file)):
        manifest, made = published(make(encode(previous), LATER), catalog)
        assert decoded(manifest, made) == expected


def test_lists_continue_as_values_do(make: Make, tmp_path: Path) -> None:
    def listed(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(c=pl.concat_list("c", "c").list.head(pl.col("id") % 3))

    steps, catalog = encode(), tmp_path / "catalog"
    output = {"output": {"features": ["c"]}}
    first = published(make(steps, listed(small()), **output), catalog)
    second = published(make(steps, listed(LATER), **output), catalog)
    assert list(decoded(*second))[:2] == list(decoded(*first))
    assert decoded(*second)["new"] == 5


def test_every_column_goes_on_by_itself_and_a_new_one_begins(make: Make, tmp_path: Path) -> None:
    catalog, both = tmp_path / "catalog", [{"Categorify": {"columns": ["c", "d"], "previous": "latest"}}]
    published(make(encode()), catalog)
    manifest, _ = published(make(both, LATER.with_columns(d=pl.lit("x"))), catalog)
    by_name = {c.name: c.vocabulary for c in manifest.columns}
    assert by_name["c"] is not None
    assert by_name["c"].extends is not None
    assert by_name["d"] is not None
    assert by_name["d"].extends is None


@pytest.mark.parametrize(
    ("fields", "message", "hint"),
    [
        ({"previous": 7}, "small has no version 7", "datasets show"),
        ({"previous": "smal"}, "no dataset 'smal' in", ""),
        ({"previous": "small@x"}, "'x' is not a version", ""),
        ({"previous": "none.parquet"}, "the previous vocabulary cannot be read", ""),
        ({"previous": 1, "output": "d"}, "column 'd' is not in it; there are c", ""),
        ({"previous": 1, "output": "x"}, "column 'x' has no vocabulary there; there are c", ""),
        ({"previous": "latest", "oov_buckets": 4}, "has 1 ids out of vocabulary there, and oov_buckets is 4", "1"),
        ({"previous": "latest", "max_size": 1}, "has 2 values, and max_size allows 1", "compact"),
    ],
)
def test_what_cannot_be_continued_is_refused_before_a_row_is_read(
    fields: dict[str, Any], message: str, hint: str, make: Make, tmp_path: Path
) -> None:
    published(make(encode(None)), tmp_path / "catalog")
    pipeline = make([{"Categorify": {"columns": ["c"], **fields}}])
    with pytest.raises(HeadraceError) as refused:
        resolve(pipeline, {}, FromCatalog(tmp_path / "catalog", "small", tmp_path))
    assert message in refused.value.message
    assert hint in refused.value.hint
    assert refused.value.where.startswith("step 1 Categorify(")


def test_another_type_is_refused(make: Make, tmp_path: Path) -> None:
    published(make(encode(None)), tmp_path / "catalog")
    pipeline = make(encode(), small().with_columns(c=pl.col("id") % 3))
    with pytest.raises(PipelineError, match="the previous vocabulary holds String, the column is Int64 now"):
        resolve(pipeline, {}, FromCatalog(tmp_path / "catalog", "small", tmp_path))


def test_a_table_that_changed_since_it_was_published_is_refused(make: Make, tmp_path: Path) -> None:
    catalog = tmp_path / "catalog"
    first, folder = published(make(encode()), catalog)
    column = next(c for c in first.columns if c.name == "c")
    assert column.vocabulary is not None
    pl.DataFrame({"value": ["z"], "count": [1]}).write_parquet(folder / column.vocabulary.path)
    with pytest.raises(DataError, match="SHA-256 differs"):
        published(make(encode(), LATER), catalog)


def test_without_a_catalog_it_begins_anew(make: Make) -> None:
    assert resolve(make(encode()), {}).output["c"] == pl.Int32


def test_a_column_is_found_by_the_name_its_step_gave_it_renamed_or_not_published(make: Make, tmp_path: Path) -> None:
    catalog = tmp_path / "catalog"
    renamed = [*encode(), {"Rename": {"names": {"c": "shop"}}}]
    first, _ = published(make(renamed), catalog)
    assert "shop" in {c.name for c in first.columns}
    published(make(encode(), output={"features": ["x"]}), catalog)
    third, folder = published(make(encode(), LATER), catalog)
    column = next(c for c in third.columns if c.name == "c")
    assert column.vocabulary is not None
    assert column.vocabulary.extends is not None
    assert column.vocabulary.extends.version == 2
    assert list(decoded(third, folder).values()) == [3, 4, 5]


PAIRS = pl.DataFrame({"d": ["b", "q"] * 20, "e": ["b", "c"] * 20})


@pytest.mark.parametrize(
    ("before", "now", "message"),
    [
        (
            {"columns": ["c", "d"]},
            {"columns": ["c", "d"], "joint": True},
            "columns 'c' and 'd' have vocabularies of their own there, and are joint now: the ids of 'd' would move",
        ),
        (
            {"columns": ["d", "e"], "combo": True, "output": "de"},
            {"columns": ["e", "d"], "combo": True, "output": "de"},
            "column 'de' is of the combinations of d, e there, of e, d now",
        ),
        (
            {"columns": ["d", "e"], "combo": True, "output": "c"},
            {"columns": ["c"]},
            "the previous vocabulary is of combinations of 2 columns, this step takes 1",
        ),
        (
            {"columns": ["c"]},
            {"columns": ["d", "e"], "combo": True, "output": "c"},
            "the previous vocabulary has no column 'value:0', 'value:1', it has value, count",
        ),
    ],
)
def test_a_vocabulary_of_other_columns_is_refused(
    before: dict[str, Any], now: dict[str, Any], message: str, make: Make, tmp_path: Path
) -> None:
    rows = small().hstack(PAIRS)
    published(make([{"Categorify": before}], rows), tmp_path / "catalog")
    pipeline = make([{"Categorify": {**now, "previous": "latest"}}], rows)
    with pytest.raises(PipelineError) as refused:
        resolve(pipeline, {}, FromCatalog(tmp_path / "catalog", "small", tmp_path))
    assert message in refused.value.message


def test_what_was_joint_goes_on_jointly_also_with_one_column_more(make: Make, tmp_path: Path) -> None:
    catalog, rows = tmp_path / "catalog", small().hstack(PAIRS)
    joint = [{"Categorify": {"columns": ["c", "d"], "joint": True, "previous": "latest"}}]
    first, folder = published(make(joint, rows), catalog)
    more = [{"Categorify": {"columns": ["c", "d", "e"], "joint": True, "previous": "latest"}}]
    second, other = published(make(more, rows), catalog)
    old, new = decoded(first, folder), decoded(second, other)
    assert {value: new[value] for value in old} == old
    assert set(new) - set(old) == {"c"}


def test_a_run_and_a_check_say_what_goes_on_and_what_begins(make: Make, tmp_path: Path) -> None:
    catalog, both = tmp_path / "catalog", [{"Categorify": {"columns": ["c", "d"], "previous": "latest"}}]
    options = RunOptions(catalog=str(catalog), engine="cpu")
    assert build(make(encode()), options).vocabularies == {"c": "begins anew: small has no version yet"}
    assert build(make(both, LATER.with_columns(d=pl.lit("x"))), options).vocabularies == {
        "c": "continues small@1, 2 values",
        "d": "begins anew: small@1 has no such column",
    }


def test_a_check_without_a_catalog_says_what_is_missing_a_run_is_refused(make: Make, tmp_path: Path) -> None:
    known = FromCatalog(tmp_path / "none", "small", tmp_path, required=False)
    assert resolve(make(encode(3)), {}, known).output["c"] == pl.Int32
    assert known.notes == {"c": f"begins anew: 3 is missing: there is no catalog {tmp_path / 'none'}"}
    with pytest.raises(UsageError, match="no catalog at"):
        resolve(make(encode(3)), {}, FromCatalog(tmp_path / "none", "small", tmp_path))


def test_a_first_run_that_failed_leaves_nothing_to_go_on_from(make: Make, tmp_path: Path) -> None:
    (tmp_path / "catalog" / "small" / "_log").mkdir(parents=True)
    first, folder = published(make(encode()), tmp_path / "catalog")
    assert sorted(decoded(first, folder)) == ["a", "b"]


def test_a_published_vocabulary_is_not_read_where_a_run_is_prepared(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(make(encode()), tmp_path / "catalog")

    def read(table: Table) -> pl.DataFrame:
        raise AssertionError(f"{table.path} was read")

    monkeypatch.setattr(Table, "_read", read)
    known = FromCatalog(tmp_path / "catalog", "small", tmp_path)
    resolve(make(encode(), LATER), {}, known)
    assert known.notes == {"c": "continues small@1, 2 values"}


def test_a_table_says_how_many_ids_come_before_its_own(make: Make, tmp_path: Path) -> None:
    table = pl.DataFrame({"value": ["a"], "count": [1]})
    table.write_parquet(tmp_path / "three.parquet", metadata={OOV_BUCKETS: "3"})
    table.write_parquet(tmp_path / "any.parquet")
    known = FromCatalog(tmp_path, "small", tmp_path)
    with pytest.raises(PipelineError, match="has 3 ids out of vocabulary there, and oov_buckets is 1"):
        resolve(make(encode("three.parquet")), {}, known)
    resolve(make(encode("three.parquet", oov_buckets=3)), {}, known)
    resolve(make(encode("any.parquet")), {}, FromCatalog(tmp_path, "small", tmp_path))


def test_a_state_that_changed_since_it_was_published_is_refused(make: Make, tmp_path: Path) -> None:
    _, folder = published(make(encode()), tmp_path / "catalog")
    state = folder / "state" / "pipeline.json"
    state.write_text(state.read_text() + " ")
    with pytest.raises(DataError, match="SHA-256 differs"):
        resolve(make(encode()), {}, FromCatalog(tmp_path / "catalog", "small", tmp_path))


@pytest.mark.parametrize("began", [False, True], ids=["the first version", "a later one"])
def test_of_two_runs_that_continue_one_version_the_second_is_refused_and_runs_again(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, began: bool
) -> None:
    catalog, theirs = tmp_path / "catalog", small().with_columns(c=pl.lit("theirs"))
    if began:
        published(make(encode()), catalog)
    others = [make(encode(), theirs)]

    def after_the_other(*stage: Any) -> Any:
        if others:
            published(others.pop(), catalog)
        return publish_stage(*stage)

    monkeypatch.setattr("headrace.pipelines.build.publish_stage", after_the_other)
    pipeline = make(encode(), LATER)
    version = 2 if began else 1
    with pytest.raises(ConflictError, match=f"version {version} was published meanwhile, .* column 'c' are others"):
        published(pipeline, catalog)
    ids = decoded(*published(pipeline, catalog))
    assert ids["theirs"] == (5 if began else 3)
    assert ids["new"] > ids["theirs"]
    assert open_dataset(catalog / "small").version == version + 1


def test_a_second_run_is_refused_for_a_vocabulary_whose_column_is_not_published_too(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog, dropped = tmp_path / "catalog", [*encode(), {"Drop": {"columns": ["c"]}}]
    published(make(dropped), catalog)

    def after_the_other(*stage: Any) -> Any:
        monkeypatch.undo()
        published(make(dropped, small().with_columns(c=pl.lit("theirs"))), catalog)
        return publish_stage(*stage)

    monkeypatch.setattr("headrace.pipelines.build.publish_stage", after_the_other)
    with pytest.raises(ConflictError, match=r"version 2 was published meanwhile, .* column 'c' are others"):
        published(make(dropped, LATER), catalog)


def test_a_version_that_is_named_is_continued_whatever_came_after_it(make: Make, tmp_path: Path) -> None:
    catalog, theirs = tmp_path / "catalog", small().with_columns(c=pl.lit("theirs"))
    first = published(make(encode()), catalog)
    published(make(encode(), theirs), catalog)
    assert decoded(*published(make(encode(1), LATER), catalog)) == {**decoded(*first), "new": 5}


def test_a_column_with_an_equal_vocabulary_that_continues_nothing_is_not_taken_for_it(
    make: Make, tmp_path: Path
) -> None:
    catalog, fields = tmp_path / "catalog", {"previous": "latest", "previous_counts": "replace"}
    published(make([{"Categorify": {"columns": ["c"], **fields}}]), catalog)
    both = [{"Derive": {"columns": {"d": "c"}}}, {"Categorify": {"columns": ["c", "d"], **fields}}]
    manifest, _ = published(make(both), catalog)
    known = {c.name: c.vocabulary for c in manifest.columns if c.vocabulary is not None}
    assert known["c"].sha256 == known["d"].sha256
    assert known["c"].extends is not None
    assert known["d"].extends is None
