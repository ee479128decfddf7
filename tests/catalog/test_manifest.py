from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from headrace.catalog.arrow_schema import arrow_fields, arrow_summary, fingerprint
from headrace.catalog.manifest import SCHEMA_FILE, Manifest, Split, Statistics, dump, json_schema
from headrace.catalog.records import FileRef

Filled = Callable[..., tuple[Any, Manifest]]
ZEROS = "0" * 64


def test_the_shipped_json_schema_is_the_models() -> None:
    assert json.loads(SCHEMA_FILE.read_text()) == json.loads(json.dumps(json_schema())), (
        "python -m headrace.catalog.manifest writes it anew"
    )


def test_a_manifest_survives_json(filled: Filled) -> None:
    _, manifest = filled()
    assert Manifest.model_validate(json.loads(dump(manifest)), context="read") == manifest


def test_equal_manifests_have_equal_bytes(filled: Filled) -> None:
    _, manifest = filled()
    data = dump(manifest)
    assert dump(Manifest.model_validate_json(data)) == data
    assert data.startswith(b'{\n  "format": 1,\n')
    assert data.endswith(b"}\n")


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "../other", "a/../b", "a//b", "./a", "a/.", "C:/x", "a\\b", "a/", "a\0b"]
)
def test_a_path_that_could_leave_the_build_is_no_path(path: str) -> None:
    with pytest.raises(ValidationError, match="not a plain relative path"):
        FileRef(path=path, bytes=1, sha256=ZEROS)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["../out", "/tmp/out", "a/b", "..", "", "a\\b"])
def test_a_split_is_no_path(filled: Filled, name: str) -> None:
    _, manifest = filled()
    plain = manifest.model_dump(mode="json")
    plain["splits"] = {name: plain["splits"]["train"]}
    with pytest.raises(ValidationError, match=r"plain relative path|name of a split"):
        Manifest.model_validate(plain, context="read")


def test_writers_must_spell_fields_right_and_readers_skip_later_ones() -> None:
    document = {"path": "a", "bytes": 1, "sha256": ZEROS, "colour": "blue"}
    with pytest.raises(ValidationError, match="colour"):
        FileRef.model_validate(document)
    assert FileRef.model_validate(document, context="read") == FileRef(path="a", bytes=1, sha256=ZEROS)


def test_numbers_that_json_lacks_are_refused() -> None:
    with pytest.raises(ValidationError, match="finite"):
        Statistics(count=1, mean=float("nan"))


def test_integers_beyond_2_53_keep_every_digit() -> None:
    text = Statistics(count=1, min=2**63 - 1, max=2**64 - 1).model_dump_json()
    assert json.loads(text)["max"] == 18446744073709551615


def test_a_split_counts_the_rows_of_its_files() -> None:
    with pytest.raises(ValidationError, match="a split of 3 rows has files with 0"):
        Split(rule="all", rows=3)


def test_no_file_is_listed_twice(filled: Filled) -> None:
    _, manifest = filled()
    document = manifest.model_dump() | {"files": [*manifest.files, manifest.files[0]]}
    with pytest.raises(ValidationError, match=r"listed twice: quarantine/part-00000\.parquet"):
        Manifest.model_validate(document)


def test_the_schemas_fingerprint_sees_names_types_nullability_and_order() -> None:
    a, b = pa.field("a", pa.int32(), nullable=False), pa.field("b", pa.float32())
    base = fingerprint(arrow_fields(pa.schema([a, b])))
    others = [
        [b, a],
        [a.with_nullable(True), b],
        [a.with_type(pa.int64()), b],
        [a.with_name("c"), b],
        [a],
    ]
    prints = {fingerprint(arrow_fields(pa.schema(fields))) for fields in others}
    assert len(prints) == 5
    assert base not in prints
    assert fingerprint(arrow_fields(pa.schema([a, b], metadata={"k": "v"}))) == base


def test_two_schemas_are_compared_in_words() -> None:
    ours = arrow_fields(pa.schema([pa.field("a", pa.int32(), nullable=False), pa.field("b", pa.float32())]))
    theirs = arrow_fields(pa.schema([pa.field("a", pa.int32()), pa.field("c", pa.float32())]))
    assert arrow_summary(ours, theirs) == "b is not there; c is not here; a is int32 not null here, int32 there"
