from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest

from headrace.catalog.croissant import CROISSANT, croissant, dump_croissant, field_id, split_field
from headrace.catalog.manifest import Manifest, Split

EVERYTHING = pl.DataFrame(
    {
        "delay": [0.5, -1.25, None],
        "id": [2, 3, 2**40],
        "late": [0, 1, 0],
        "sunny": [True, False, True],
        "note": ["a", None, "ü<script>"],
        "day": [date(2013, 1, 1), None, date(2013, 1, 3)],
        "at": [datetime(2013, 1, 1, 5, 30, tzinfo=UTC), datetime(2014, 1, 1, tzinfo=UTC), None],
        "history": [[1, 2], [], None],
        "vector": [[0.5, 1.0], [2.0, 3.0], [-1.0, 0.0]],
    },
    schema={
        "delay": pl.Float64,
        "id": pl.Int64,
        "late": pl.UInt8,
        "sunny": pl.Boolean,
        "note": pl.String,
        "day": pl.Date,
        "at": pl.Datetime("us", "UTC"),
        "history": pl.List(pl.Int32),
        "vector": pl.Array(pl.Float32, 2),
    },
)
ODD_NAMES = (
    "a b",
    "a/b",
    "ümläut",
    "<script>alert(1)</script>",
    '"',
    "..",
    "100%",
    "split",
    "line\nbreak",
    "a#b?c=d&e",
)


@pytest.fixture(scope="module")
def mlcroissant() -> Iterator[ModuleType]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what it imports
        import mlcroissant

        yield mlcroissant


# rdflib, by which mlcroissant reads JSON-LD, uses a class of its own that it has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:rdflib")

Filled = Callable[..., tuple[Any, Manifest]]


def written(filled: Filled, **how: Any) -> tuple[Path, Manifest]:
    build, manifest = filled(**how)
    path: Path = build.path / CROISSANT
    path.write_bytes(dump_croissant(manifest))
    return path, manifest


def rows_of(dataset: Any, manifest: Manifest, split: str) -> list[dict[str, Any]]:
    """The rows of a split, as mlcroissant reads them, by column."""
    ids = {field_id(field.name): field.name for field in manifest.arrow_schema}
    found = dataset.records("rows", filters={field_id(split_field(manifest)): split})
    return [{ids[key]: value for key, value in row.items() if key in ids} for row in found]


def plain(value: Any) -> Any:
    """What mlcroissant gives for a value, as Python has it."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list):
        return [plain(item) for item in value]
    if hasattr(value, "to_pydatetime"):
        return value.to_pydatetime()
    return value.item() if hasattr(value, "item") else value


@pytest.mark.slow
def test_it_is_valid_for_mlcroissant(filled: Filled, mlcroissant: ModuleType) -> None:
    path, _ = written(filled)
    issues = mlcroissant.Dataset(path).metadata.issues
    assert issues.errors == set()
    # What headrace does not know. Anything else would be a fault of this file.
    assert sorted(line.split('"')[1] for line in issues.warnings) == [
        "https://schema.org/license",
        "https://schema.org/version",
    ]


@pytest.mark.slow
def test_its_records_are_the_rows_of_each_split(
    filled: Filled, mlcroissant: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    path, manifest = written(filled)
    expected = [
        {"delay": 0.5, "carrier": 2, "late": 0},
        {"delay": -1.25, "carrier": 3, "late": 0},
        {"delay": 3.0, "carrier": 2, "late": 0},
        {"delay": 8.5, "carrier": 4, "late": 1},
    ]
    for split, rows in (("train", expected), ("test", expected[:2])):
        # mlcroissant narrows the files of its own dataset when it filters: a new one for each.
        found = rows_of(mlcroissant.Dataset(path), manifest, split)
        assert [{name: plain(value) for name, value in row.items()} for row in found] == rows
    together = list(mlcroissant.Dataset(path).records("rows"))
    assert sorted(row["rows/split"] for row in together) == [b"test"] * 2 + [b"train"] * 4
    assert {str(type(row["rows/carrier"]).__name__) for row in together} == {"int32"}
    assert "Could not match" not in caplog.text


@pytest.mark.slow
def test_types_nulls_and_lists_come_back(filled: Filled, mlcroissant: ModuleType) -> None:
    path, manifest = written(filled, frame=EVERYTHING)
    assert mlcroissant.Dataset(path).metadata.issues.errors == set()
    found = rows_of(mlcroissant.Dataset(path), manifest, "train")
    expected = EVERYTHING.to_dicts()
    for row in expected:
        row["day"] = None if row["day"] is None else datetime.combine(row["day"], datetime.min.time())
    assert [{name: plain(value) for name, value in row.items()} for row in found] == expected


def test_a_column_that_croissant_has_no_type_for_leaves_the_others_readable(
    filled: Filled, mlcroissant: ModuleType
) -> None:
    frame = pl.DataFrame(
        {
            "took": [timedelta(seconds=1), timedelta(seconds=2)],
            "at": [{"lat": 1.0}, {"lat": 2.0}],
            "price": [Decimal("1.25"), Decimal("2.50")],
            "opens": [time(8, 30), time(9)],
            "blob": [b"\x00\xff", b""],
        }
    )
    path, manifest = written(filled, frame=frame)
    assert mlcroissant.Dataset(path).metadata.issues.errors == set()
    found = rows_of(mlcroissant.Dataset(path), manifest, "train")
    assert found == [
        {"price": 1.25, "opens": time(8, 30), "blob": b"\x00\xff"},
        {"price": 2.5, "opens": time(9), "blob": b""},
    ]


def test_any_column_name_has_a_field_of_its_own(filled: Filled, mlcroissant: ModuleType) -> None:
    frame = pl.DataFrame({name: [place, place + 1] for place, name in enumerate(ODD_NAMES)})
    path, manifest = written(filled, frame=frame)
    assert mlcroissant.Dataset(path).metadata.issues.errors == set()
    assert split_field(manifest) == "split_"
    found = rows_of(mlcroissant.Dataset(path), manifest, "train")
    assert [{name: plain(value) for name, value in row.items()} for row in found] == frame.to_dicts()


def test_files_have_their_hash_size_and_place(filled: Filled) -> None:
    _, manifest = filled()
    document = croissant(manifest)
    files = [entry for entry in document["distribution"] if entry["@type"] == "cr:FileObject"]
    train, test = (split.files[0] for split in manifest.splits.values())
    assert [(f["contentUrl"], f["sha256"], f["contentSize"]) for f in files] == [
        ("train/part-00000.parquet", train.sha256, f"{train.bytes} B"),
        ("test/part-00000.parquet", test.sha256, f"{test.bytes} B"),
    ]
    sets = {e["@id"]: e["includes"] for e in document["distribution"] if e["@type"] == "cr:FileSet"}
    assert sets == {
        "shards": ["train/part-00000.parquet", "test/part-00000.parquet"],
        "shards/train": ["train/part-00000.parquet"],
        "shards/test": ["test/part-00000.parquet"],
    }
    assert document["conformsTo"] == "http://mlcommons.org/croissant/1.1"


def test_hashes_are_those_that_mlcroissant_expects(filled: Filled, mlcroissant: ModuleType) -> None:
    path, _ = written(filled)
    jsonld = json.loads(path.read_text())
    # mlcroissant checks the hash of files that it reads by themselves, not of those in a set.
    jsonld["distribution"] = [e for e in jsonld["distribution"] if e["@id"] == "files/train/part-00000.parquet"]
    jsonld["recordSet"] = [
        {
            "@type": "cr:RecordSet",
            "@id": "one",
            "name": "one",
            "field": [
                {
                    "@type": "cr:Field",
                    "@id": "one/late",
                    "name": "late",
                    "dataType": "cr:UInt8",
                    "source": {"fileObject": {"@id": "files/train/part-00000.parquet"}, "extract": {"column": "late"}},
                }
            ],
        }
    ]
    path.write_text(json.dumps(jsonld))
    assert [int(row["one/late"]) for row in mlcroissant.Dataset(path).records("one")] == [0, 0, 0, 1]
    shard = path.parent / "train/part-00000.parquet"
    shard.chmod(0o644)
    data = bytearray(shard.read_bytes())
    data[100] ^= 1
    shard.write_bytes(data)
    with pytest.raises(Exception, match=r"Download\(files/train/part-00000.parquet\)") as failed:
        list(mlcroissant.Dataset(path).records("one"))
    assert "Hash of downloaded file" in str(failed.value.__cause__)


def test_fields_say_what_a_column_is_for(filled: Filled) -> None:
    _, manifest = filled()
    fields = {field["name"]: field for field in croissant(manifest)["recordSet"][1]["field"]}
    assert fields["late"]["dataType"] == ["cr:UInt8", "cr:Label"]
    assert fields["carrier"]["description"] == "feature, categorical; int32; ids below 5"
    assert fields["delay"]["dataType"] == "cr:Float32"


def test_shapes_of_lists(filled: Filled) -> None:
    frame = pl.DataFrame({"deep": [[[1, 2, 3]], []]}, schema={"deep": pl.List(pl.Array(pl.Int16, 3))})
    _, manifest = filled(frame=frame)
    deep = croissant(manifest)["recordSet"][1]["field"][0]
    assert (deep["dataType"], deep["isArray"], deep["arrayShape"]) == ("cr:Int16", True, "-1,3")


def test_an_empty_split_is_left_out(filled: Filled) -> None:
    _, manifest = filled()
    splits = dict(manifest.splits) | {"validation": Split(rule="none", rows=0)}
    with_empty = manifest.model_copy(update={"splits": splits})
    assert croissant(with_empty) == croissant(manifest)


def test_a_dataset_without_rows_has_no_records(filled: Filled, mlcroissant: ModuleType) -> None:
    _, manifest = filled()
    empty = manifest.model_copy(update={"splits": {"train": Split(rule="all", rows=0)}})
    document = croissant(empty)
    assert document["distribution"] == []
    assert "recordSet" not in document
    assert mlcroissant.Dataset(document).metadata.issues.errors == set()


def test_shards_of_an_older_build_are_listed_but_are_no_record_set(filled: Filled, mlcroissant: ModuleType) -> None:
    _, manifest = filled()
    older = "01a206e8-0606-7cf3-bf10-49acfb641427"
    train = manifest.splits["train"]
    moved = train.model_copy(update={"files": tuple(f.model_copy(update={"build": older}) for f in train.files)})
    document = croissant(manifest.model_copy(update={"splits": dict(manifest.splits) | {"train": moved}}))
    assert [entry["contentUrl"] for entry in document["distribution"]] == [
        f"../{older}/train/part-00000.parquet",
        "test/part-00000.parquet",
    ]
    assert "recordSet" not in document
    assert mlcroissant.Dataset(document).metadata.issues.errors == set()


def test_twice_the_same_bytes(filled: Filled) -> None:
    build, manifest = filled(frame=EVERYTHING)
    assert dump_croissant(manifest) == dump_croissant(Manifest.model_validate(manifest.model_dump()))
    assert str(build.path).encode() not in dump_croissant(manifest)
