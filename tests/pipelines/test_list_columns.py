"""Columns of lists through a whole run: fitted, applied, published and read back, served, and on the GPU engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from statistics import fmean, median, pstdev
from typing import Any

import polars as pl
import pytest
from tests.engines.parity import assert_same_dataset
from tests.pipelines.conftest import Make, published, rows_of, sums
from tests.pipelines.own_operators import Double
from tests.pipelines.test_gpu_engine import on_gpu

from headrace.pipelines.fitted import FittedPipeline
from headrace.pipelines.model import Pipeline
from headrace.pipelines.resolve import resolve
from headrace.schemas.errors import DataError, PipelineError
from headrace.transforms.elements import OnElements

__all__ = ["on_gpu"]

pytestmark = [pytest.mark.usefixtures("no_report", "small_units"), pytest.mark.slow]  # each test is a run

ROWS = 90
TAGS = ["a", "b", "c", "d", "é", ""]


def rows() -> pl.DataFrame:
    """Lists of text and of numbers: null ones, empty ones, with nulls in them."""
    tags = [None if n % 7 == 3 else [TAGS[(n * k) % 6] if (n + k) % 5 else None for k in range(n % 4)] for n in _N]
    prices = [None if n % 11 == 5 else [float(n * k % 13) if k % 3 else None for k in range(n % 5)] for n in _N]
    main = [None if n % 13 == 1 else TAGS[n % 5] for n in _N]
    label = [int(n % 3 == 0) for n in _N]
    schema = {"id": pl.Int64, "tags": pl.List(pl.String), "prices": pl.List(pl.Float64), "main": pl.String}
    return pl.DataFrame({"id": _N, "tags": tags, "prices": prices, "main": main}, schema=schema).with_columns(
        y=pl.Series(label)
    )


_N = list(range(ROWS))
STEPS: list[Any] = [
    {"FillNull": {"columns": ["prices"], "statistic": "median"}},
    {"Standardize": {"columns": ["prices"], "output": "{column}_z"}},
    {"MultiHot": {"columns": ["tags"], "max_values": 8, "nulls": "own"}},
    {"Categorify": {"columns": ["tags", "main"], "joint": True, "min_count": 9, "output": "{column}_id"}},
    {"ListSlice": {"columns": ["tags_id"], "end": 2, "pad": 0, "output": "tags_padded"}},
    {"HashBucket": {"columns": ["tags"], "n": 11, "output": "{column}_hash"}},
    {"ListAgg": {"columns": ["prices_z"], "statistics": "sum"}},
]
FEATURES = [
    "tags_id",
    "tags_padded",
    "tags_hash",
    "main_id",
    "prices",
    "prices_z",
    "prices_z_sum",
    "^tags_(top|null).*$",
]


@pytest.fixture
def pipeline(make: Make) -> Pipeline:
    own = {"features": [*FEATURES[:-1], *(f"tags_top{n}" for n in range(1, 9)), "tags_null"], "keep": ["id"]}
    return make(STEPS, rows(), files=3, output=own)


def mapped(lists: Sequence[list[Any] | None], value: Any) -> list[list[Any] | None]:
    return [None if row is None else [value(v) for v in row] for row in lists]


def test_what_is_published_is_what_python_makes_of_the_lists(pipeline: Pipeline, tmp_path: Path) -> None:
    manifest, folder = published(pipeline, tmp_path / "c")
    source = rows()
    train = source.filter(pl.col("id").is_in(rows_of(manifest, folder, "train")["id"].implode()))
    got = rows_of(manifest, folder).sort("id")
    assert got.height == ROWS

    numbers = [v for row in train["prices"].to_list() for v in row or [] if v is not None]
    filled = mapped(source["prices"].to_list(), lambda v: median(numbers) if v is None else v)
    assert got["prices"].to_list() == filled
    learned = [v for row, n in zip(filled, _N, strict=True) for v in row or [] if n in set(train["id"])]
    scaled = mapped(filled, lambda v: (v - fmean(learned)) / pstdev(learned))
    flat = got["prices_z"].explode(empty_as_null=False, keep_nulls=False)
    assert flat.to_list() == pytest.approx([v for row in scaled if row is not None for v in row], rel=1e-6, abs=1e-6)
    assert got["prices_z"].list.len().to_list() == [None if row is None else len(row) for row in scaled]

    counted = Counter([v for row in train["tags"].to_list() for v in row or [] if v is not None])
    ranked = sorted(counted, key=lambda v: (-counted[v], v.encode()))
    for place, value in enumerate(ranked, 1):
        assert got[f"tags_top{place}"].to_list() == [int(value in (row or [])) for row in source["tags"].to_list()]
    assert got["tags_null"].to_list() == [int(row is None) for row in source["tags"].to_list()]

    counted.update(v for v in train["main"].to_list() if v is not None)
    vocabulary = sorted((v for v in counted if counted[v] >= 9), key=lambda v: (-counted[v], v.encode()))
    assert 0 < len(vocabulary) < len(counted)

    def id_of(value: str | None) -> int:
        return 1 if value is None else 3 + vocabulary.index(value) if value in vocabulary else 2

    ids = mapped(source["tags"].to_list(), id_of)
    assert got["tags_id"].to_list() == ids
    assert got["main_id"].to_list() == [id_of(v) for v in source["main"].to_list()]
    assert got["tags_padded"].to_list() == [[*(row or []), 0, 0][:2] for row in ids]


def test_the_manifest_says_what_ids_in_lists_stand_for(pipeline: Pipeline, tmp_path: Path) -> None:
    manifest, folder = published(pipeline, tmp_path / "c")
    columns = {column.name: column for column in manifest.columns}
    tags, main = columns["tags_id"], columns["main_id"]
    assert (tags.kind, tags.dtype, tags.source) == ("categorical", "List(Int32)", "Categorify")
    assert (tags.pad_id, tags.null_id, tags.oov_ids) == (0, 1, (2,))
    assert tags.cardinality == main.cardinality
    assert tags.vocabulary is not None
    assert tags.vocabulary == main.vocabulary
    assert pl.read_parquet(folder / tags.vocabulary.path).height + 3 == tags.cardinality
    assert (tags.nullable, main.nullable, columns["tags_padded"].nullable) == (True, False, False)
    padded = columns["tags_padded"]
    assert (padded.kind, padded.source, padded.cardinality) == ("categorical", "ListSlice", tags.cardinality)
    assert padded.vocabulary == tags.vocabulary
    hashed = columns["tags_hash"]
    assert (hashed.kind, hashed.cardinality, hashed.vocabulary) == ("categorical", 11, None)
    assert columns["prices_z"].kind == "list"


def test_the_sums_do_not_depend_on_partitions_or_buckets(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = sums(published(pipeline, tmp_path / "c")[0])
    assert sums(published(pipeline, tmp_path / "c", partition_bytes=1)[0]) == expected
    monkeypatch.setattr("headrace.pipelines.plan.BUCKET_ROWS", 9)
    assert sums(published(pipeline, tmp_path / "c", partition_bytes=300)[0]) == expected


def test_serving_takes_dicts_with_lists(pipeline: Pipeline, tmp_path: Path) -> None:
    manifest, folder = published(pipeline, tmp_path / "c")
    fitted = FittedPipeline.load(folder / "state")
    expected = rows_of(manifest, folder).sort("id").select(fitted.features)
    source = rows().drop("y")
    assert fitted.transform(source).equals(expected)
    assert fitted.transform(source.drop("id").to_dicts()).equals(expected)
    one = fitted.transform([{"tags": ["a", None, "new"], "prices": [1, 2.5]}, {"tags": [], "prices": None}])
    assert one["tags_hash"].list.len().to_list() == [3, 0]
    assert one["prices_z"].list.len().to_list() == [2, None]
    assert one["tags_padded"].to_list()[1] == [0, 0]
    with pytest.raises(DataError, match=r"column 'tags' is List\[Int64\], expected List\[String\]"):
        fitted.transform([{"tags": [1]}])
    with pytest.raises(DataError, match="a value does not fit its column"):
        fitted.transform([{"tags": ["a", 1]}])
    with pytest.raises(DataError, match=r"column 'prices' is List\[String\], expected List\[Float64\]"):
        fitted.transform([{"prices": ["1.5"]}])


@pytest.mark.usefixtures("on_gpu")
def test_the_gpu_engine_publishes_the_same(pipeline: Pipeline, tmp_path: Path) -> None:
    cpu = published(pipeline, tmp_path / "cpu", cluster="inline")
    gpu = published(pipeline, tmp_path / "gpu", engine="gpu", cluster="inline", strict_gpu=True, partition_bytes=1)
    assert_same_dataset(cpu, gpu)
    assert gpu[0].producer.fallbacks == ()


def test_own_operators_within_lists_need_their_module_allowed(make: Make, tmp_path: Path) -> None:
    steps = [OnElements(step=Double(column="prices")), {"FillNull": {"columns": ["prices"], "value": 0}}]
    made = make(steps, rows(), output={"features": ["prices"], "keep": ["id"]})
    module = "tests.pipelines.own_operators"
    assert made.modules == (module,)
    manifest, folder = published(made, tmp_path / "c")
    got = rows_of(manifest, folder).sort("id")["prices"].to_list()
    assert got == mapped(rows()["prices"].to_list(), lambda v: 0 if v is None else v * 2)
    with pytest.raises(PipelineError, match=f"has steps of {module}, which may not be imported"):
        FittedPipeline.load(folder / "state")
    fitted = FittedPipeline.load(folder / "state", allow=[module])
    assert fitted.transform([{"prices": [1.5, None]}])["prices"].to_list() == [[3.0, 0.0]]


def test_what_does_not_fit_is_said_with_the_step_before_data_is_read(make: Make) -> None:
    with pytest.raises(
        PipelineError, match=r"Clip takes an integer or a float, or lists of such, got List\(String\)"
    ) as caught:
        resolve(make([{"Clip": {"columns": ["prices", "tags"], "lower": 0}}], rows()), {})
    assert caught.value.where == "step 1 Clip(prices, tags)"
    resolved = resolve(make([{"Standardize": {"columns": ["prices"]}}], rows(), output={"features": ["prices"]}), {})
    assert [step.label for step in resolved.steps] == ["step 1 Standardize(prices)"]


@pytest.mark.parametrize(
    ("element", "values", "expected"),
    [
        (pl.Int8, [[1, None], [], None], [[1, None], [], None]),
        (pl.Float32, [[1, 2.5], [3], None, []], [[1.0, 2.5], [3.0], None, []]),
        (pl.String, [None, [], [None, "a"]], [None, [], [None, "a"]]),
        (pl.Boolean, [[True, None]], [[True, None]]),
        (pl.Date, [[date(2024, 2, 29)], None], [[date(2024, 2, 29)], None]),
        (pl.Datetime("ms"), [[datetime(2024, 2, 29)]], [[datetime(2024, 2, 29)]]),
    ],
)
def test_lists_of_every_type_as_a_service_gets_them(element: Any, values: Any, expected: Any) -> None:
    fitted = fitted_over(element)
    got = fitted.transform([{"x": value} for value in values])
    assert got.schema == {"x": pl.List(element)}
    assert got["x"].to_list() == expected
    many = fitted.transform([{"x": None}] * 200 + [{"x": values[0]}])
    assert many["x"].to_list()[-1] == expected[0]


@pytest.mark.parametrize(("element", "value"), [(pl.Int8, 300), (pl.Int64, 1.5), (pl.Int64, "1"), (pl.String, 1)])
def test_an_element_that_does_not_fit_never_becomes_null(element: Any, value: Any) -> None:
    with pytest.raises(DataError):
        fitted_over(element).transform([{"x": [value]}])


def fitted_over(element: Any) -> FittedPipeline:
    return FittedPipeline(name="lists", source={"x": pl.List(element)}, steps=(), features=("x",), target="y")
