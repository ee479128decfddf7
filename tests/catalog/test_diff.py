from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.catalog.conftest import FRAME, Make, fill

from headrace.catalog.build import new_build
from headrace.catalog.commit import publish
from headrace.catalog.diff import Diff, diff, version_before
from headrace.catalog.files import sha256_of
from headrace.catalog.manifest import BaselineResult, Column, Input, Manifest, PipelineRef, Vocabulary
from headrace.catalog.reader import open_dataset
from headrace.catalog.retire import retire
from headrace.catalog.store import open_store
from headrace.schemas.errors import DataError, UsageError

ROWS = pl.concat([FRAME] * 100)


def compared(catalog: Path) -> Diff:
    return diff(open_dataset(catalog / "demo", 1), open_dataset(catalog / "demo", 2))


def test_the_same_rows_published_twice(make: Make, catalog: Path) -> None:
    make()
    make()
    found = compared(catalog)
    assert (found.first, found.second, found.level) == ("demo@1", "demo@2", "none")
    assert [(s.name, s.rows, s.files, s.same) for s in found.splits] == [
        ("train", (4, 4), (1, 1), True),
        ("test", (2, 2), (1, 1), True),
    ]
    assert (found.statistics, found.drift, found.schema_changes, found.problems) == ((), {}, (), ())
    assert Diff.model_validate_json(found.model_dump_json()) == found


@pytest.mark.slow
def test_other_rows_are_a_patch(make: Make, catalog: Path) -> None:
    make(frame=ROWS)
    make(frame=ROWS.with_columns(pl.lit(4, pl.Int32).alias("carrier")).head(300))
    found = compared(catalog)
    assert found.level == "patch"
    assert [(s.name, s.rows, s.same) for s in found.splits] == [
        ("train", (400, 300), False),
        ("test", (2, 2), False),
    ]
    (train, test) = found.statistics
    assert (train.split, train.column) == ("train", "carrier")
    assert train.first.model_dump() == {"nulls": 0, "distinct": 3, "min": 2, "mean": 2.75, "max": 4}
    assert train.second.model_dump() == {"nulls": 0, "distinct": 1, "min": 4, "mean": 4.0, "max": 4}
    assert (test.split, test.second.mean) == ("test", 4.0)
    drift = found.drift["train"]
    assert (drift.columns[0].name, drift.columns[0].verdict) == ("carrier", "major")
    assert found.bytes[0] > found.bytes[1]


@pytest.mark.slow
def test_another_schema_is_major(make: Make, catalog: Path) -> None:
    make()
    make(frame=FRAME.with_columns(pl.col("delay").cast(pl.Float64)).drop("carrier"))
    found = compared(catalog)
    assert found.level == "major"
    assert [(c.column, c.what) for c in found.schema_changes] == [("delay", "type"), ("carrier", "removed")]
    assert found.drift["train"].removed == ("carrier",)


def metrics(name: str, **auc: float) -> BaselineResult:
    return BaselineResult(
        name=name,
        estimator=name,
        task="classification",
        target="late",
        metrics={split: {"auc": value, "rows": 4.0} for split, value in auc.items()},
    )


@pytest.mark.slow
def test_baselines_inputs_and_pipeline(make: Make, catalog: Path) -> None:
    files = {name: Input(path=name, bytes=9, rows=3, fingerprint=name * 8) for name in "abc"}
    make(baselines=(metrics("dummy", test=0.5), metrics("old", test=0.6)), inputs=(files["a"], files["b"]))
    changed = files["b"].model_copy(update={"fingerprint": "x"})
    make(
        baselines=(metrics("dummy", test=0.5), metrics("forest", test=0.7)),
        inputs=(changed, files["c"].model_copy(update={"rows": 5})),
        pipeline=PipelineRef(name="flights", sha256="1" * 64),
    )
    found = compared(catalog)
    assert found.level == "patch"
    assert [(m.baseline, m.metric, m.first, m.second) for m in found.baselines] == [
        ("old", "auc", 0.6, None),
        ("old", "rows", 4.0, None),
        ("forest", "auc", None, 0.7),
        ("forest", "rows", None, 4.0),
    ]
    inputs = found.inputs
    assert (inputs.added, inputs.removed, inputs.changed) == (("c",), ("a",), ("b",))
    assert (inputs.files, inputs.rows) == ((2, 2), (6, 8))
    assert found.pipeline_changed
    assert found.pipeline[1] == "1" * 64


def test_files_that_were_read_under_one_name_are_compared_together(make: Make, catalog: Path) -> None:
    one, two, other = (Input(path="a", bytes=9, rows=3, fingerprint=name) for name in "abc")
    make(inputs=(one, two))
    make(inputs=(one, other))
    found = compared(catalog).inputs
    assert (found.files, found.changed) == ((2, 2), ("a",))
    make(inputs=(one, other))
    assert diff(open_dataset(catalog / "demo", 2), open_dataset(catalog / "demo", 3)).inputs.changed == ()


@pytest.fixture
def with_carriers(catalog: Path) -> Callable[[list[Any]], None]:
    """Publishes a version whose column `carrier` has a vocabulary of these values."""

    def one(values: list[Any]) -> None:
        build = new_build(catalog, "demo")
        path = build.path / "state" / "carriers.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pl.DataFrame({"value": values}).with_columns(count=pl.lit(1, pl.Int64)).write_parquet(path)
        _, digest = sha256_of(path)
        manifest = fill(build, ROWS)
        columns = [
            _with(c, Vocabulary(path="state/carriers.parquet", sha256=digest), 2 + len(values))
            for c in manifest.columns
        ]
        publish(catalog, "demo", build, Manifest(**(dict(manifest) | {"columns": tuple(columns)})))

    return one


def _with(column: Column, vocabulary: Vocabulary, cardinality: int) -> Column:
    if column.name != "carrier":
        return column
    return column.model_copy(update={"vocabulary": vocabulary, "cardinality": cardinality})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("after", "level"),
    [(["AA", "B6", "UA"], "none"), (["AA", "B6", "UA", "VX"], "minor"), (["UA", "B6", "AA"], "major")],
)
def test_vocabularies(with_carriers: Callable[..., None], catalog: Path, after: list[str], level: str) -> None:
    with_carriers(["AA", "B6", "UA"])
    with_carriers(after)
    found = compared(catalog)
    assert found.level == level
    assert [v.level for v in found.vocabularies] == ([] if level == "none" else [level])
    assert found.schema_changes == ()  # the cardinality's change is the vocabulary's


@pytest.mark.slow
def test_what_cannot_be_compared_is_said(with_carriers: Callable[..., None], catalog: Path) -> None:
    with_carriers(["AA", "B6", "UA"])
    build = new_build(catalog, "demo")
    (build.path / "state").mkdir(parents=True)
    pl.DataFrame({"value": [1, 2], "count": [1, 1]}).write_parquet(build.path / "state/carriers.parquet")
    _, digest = sha256_of(build.path / "state/carriers.parquet")
    manifest = fill(build, ROWS.head(200))
    columns = [_with(c, Vocabulary(path="state/carriers.parquet", sha256=digest), 4) for c in manifest.columns]
    publish(catalog, "demo", build, Manifest(**(dict(manifest) | {"columns": tuple(columns)})))
    found = compared(catalog)
    assert found.level == "major"
    assert found.vocabularies[0].problem == "values were String and are Int64"
    assert len(found.problems) == 1
    assert found.problems[0].startswith("drift of train: the vocabularies of 'carrier' have values of other types")


def test_a_damaged_vocabulary(with_carriers: Callable[..., None], catalog: Path) -> None:
    with_carriers(["AA"])
    with_carriers(["UA"])
    path = open_dataset(catalog / "demo", 2).path / "state" / "carriers.parquet"
    path.chmod(0o644)
    path.write_bytes(b"x")
    with pytest.raises(DataError, match="SHA-256 differs"):
        compared(catalog)


@pytest.mark.slow
def test_the_version_before(make: Make, catalog: Path) -> None:
    make()
    make()
    assert version_before(open_dataset(catalog / "demo")).version == 1
    with pytest.raises(UsageError, match=r"there is no version before demo@1$"):
        version_before(open_dataset(catalog / "demo", 1))
    make()
    retire(open_store(catalog / "demo"), 2, reason="too few rows")
    assert version_before(open_dataset(catalog / "demo")).version == 1
    retire(open_store(catalog / "demo"), 1, reason="too few rows")
    with pytest.raises(UsageError, match="there is no version before demo@3 that is not retired"):
        version_before(open_dataset(catalog / "demo"))
