"""Croissant 1.1 metadata of a build: what `mlcroissant.Dataset("croissant.json").records("rows")` reads rows by.

In it are the shards with their hashes, a set of files for each split, the splits, and one record set, ``rows``, with a
field for each column and one for the split. What headrace does not know is left out: license, creator, URL and version
number; whoever publishes a dataset to others adds them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

import pyarrow as pa

from headrace.catalog.arrow_schema import ArrowField
from headrace.catalog.arrow_types import arrow_type
from headrace.catalog.manifest import Column, Manifest
from headrace.catalog.records import File
from headrace.catalog.words import about

CROISSANT: Final = "croissant.json"
CONFORMS_TO: Final = "http://mlcommons.org/croissant/1.1"
ROWS: Final = "rows"
_SHARDS: Final = "shards"
_PARQUET: Final = "application/x-parquet"
_PURPOSES: Final = {"train": "Training", "validation": "Validation", "valid": "Validation", "test": "Test"}
_CONTEXT: Final = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{name: f"cr:{name}" for name in ("annotation", "arrayShape", "citeAs", "column")},
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{name: f"cr:{name}" for name in ("excludes", "extract", "field", "fileObject", "fileProperty", "fileSet")},
    **{name: f"cr:{name}" for name in ("format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5")},
    "name": {"@container": "@language"},
    **{name: f"cr:{name}" for name in ("parentField", "path")},
    "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/",
    **{name: f"cr:{name}" for name in ("readLines", "recordSet", "references", "regex", "repeated", "replace")},
    **{name: f"cr:{name}" for name in ("samplingRate", "sdVersion", "separator", "source", "subField", "transform")},
    "sc": "https://schema.org/",
    "unArchive": "cr:unArchive",
}


def croissant(manifest: Manifest) -> dict[str, Any]:
    """The metadata as a JSON-LD document; paths in it are relative to the build's folder.

    A column of a type that Croissant has no name for, such as a duration or a record, is left out; decimals are floats
    there. A field's `@id` is the column's name, percent-encoded, behind ``rows/``.

    A version that lists shards of older builds has no sets of files and no record sets: a set of files lies in one
    folder, and a set that held only some of the rows would be read without a word as all of them.
    """
    document: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": manifest.dataset,
        "description": about(manifest),
        "identifier": f"urn:uuid:{manifest.build}",
        "citeAs": f"{manifest.dataset}, build {manifest.build}, {manifest.created_at[:10]}",
        "dateCreated": manifest.created_at,
        "datePublished": manifest.created_at,
        "keywords": ["tabular", "headrace"],
        "isLiveDataset": False,
        "prov:wasGeneratedBy": {
            "@type": "prov:Activity",
            "prov:label": manifest.pipeline.name if manifest.pipeline else "headrace",
            "prov:endedAtTime": manifest.created_at,
        },
        "distribution": _files(manifest),
    }
    shards = [file for _, file in _shards(manifest)]
    if shards and all(manifest.place(file) == file.path for file in shards):
        document["distribution"] += _file_sets(manifest)
        document["recordSet"] = [_splits(manifest), _rows(manifest)]
    return document


def dump_croissant(manifest: Manifest) -> bytes:
    """`croissant.json`: UTF-8, two spaces, the same bytes for the same manifest."""
    return (json.dumps(croissant(manifest), indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def split_field(manifest: Manifest) -> str:
    """Name of the field that says which split a row is in: ``split``, or that and underscores if a column has it."""
    name, taken = "split", {field.name for field in manifest.arrow_schema}
    while name in taken:
        name += "_"
    return name


def field_id(name: str) -> str:
    """`@id` of a column's field, and its key in the records that mlcroissant gives: ``rows/carrier``."""
    encoded = quote(name, safe="")
    return f"{ROWS}/" + (encoded.replace(".", "%2E") if set(name) == {"."} else encoded)


def _shards(manifest: Manifest) -> Iterator[tuple[str, File]]:
    for name, split in manifest.splits.items():
        for file in split.files:
            yield name, file


def _files(manifest: Manifest) -> list[dict[str, Any]]:
    return [
        {
            "@type": "cr:FileObject",
            "@id": f"files/{quote(place.replace('../', ''))}",
            "name": file.path.rpartition("/")[2],
            "description": f"{file.rows:,} rows of {split} in {len(file.row_groups)} row groups.",
            "contentUrl": place,
            "contentSize": f"{file.bytes} B",
            "encodingFormat": _PARQUET,
            "sha256": file.sha256,
        }
        for split, file in _shards(manifest)
        for place in (manifest.place(file),)
    ]


def _file_sets(manifest: Manifest) -> list[dict[str, Any]]:
    # Named files, not globs: the folder also holds quarantine and state.
    places = {name: [_literal(file.path) for file in split.files] for name, split in manifest.splits.items()}
    every = [path for paths in places.values() for path in paths]
    sets = [(_SHARDS, "The shards of all splits.", every)]
    sets += [(f"{_SHARDS}/{quote(name)}", f"The shards of {name}.", paths) for name, paths in places.items()]
    return [
        {
            "@type": "cr:FileSet",
            "@id": name,
            "name": name,
            "description": text,
            "encodingFormat": _PARQUET,
            "includes": paths,
        }
        for name, text, paths in sets
        if paths
    ]


def _literal(path: str) -> str:
    """A glob pattern that this path alone matches."""
    return re.sub(r"([*?[])", r"[\1]", path)


def _splits(manifest: Manifest) -> dict[str, Any]:
    fields = ("name", "url", "rows")
    types = ("sc:Text", ["sc:URL", "cr:Split"], "sc:Integer")
    return {
        "@type": "cr:RecordSet",
        "@id": "splits",
        "name": "splits",
        "description": "The splits that have rows, the one that statistics were learned on first.",
        "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "field": [
            {"@type": "cr:Field", "@id": f"splits/{name}", "name": name, "dataType": kind}
            for name, kind in zip(fields, types, strict=True)
        ],
        "data": [
            {
                "splits/name": name,
                "splits/url": f"cr:{_PURPOSES[name]}Split" if name in _PURPOSES else "cr:Split",
                "splits/rows": split.rows,
            }
            for name, split in manifest.splits.items()
            if split.files
        ],
    }


def _rows(manifest: Manifest) -> dict[str, Any]:
    described = {column.name: column for column in manifest.columns}
    known = [_field(field, described.get(field.name)) for field in manifest.arrow_schema]
    fields = [field for field in known if field is not None]
    name = split_field(manifest)
    splits = "|".join(re.escape(split) for split, entry in manifest.splits.items() if entry.files)
    fields.append(
        {
            "@type": "cr:Field",
            "@id": field_id(name),
            "name": name,
            "description": "The split that the row is in.",
            "dataType": "sc:Text",
            "source": {
                "fileSet": {"@id": _SHARDS},
                "extract": {"fileProperty": "fullpath"},
                # It must match a split's name alone as well: mlcroissant applies it again to what it has joined.
                "transform": {"regex": f"^({splits})(?:/.+)?$"},
            },
            "references": {"field": {"@id": "splits/name"}},
        }
    )
    return {
        "@type": "cr:RecordSet",
        "@id": ROWS,
        "name": ROWS,
        "description": f"The rows of {manifest.dataset}.",
        "field": fields,
    }


def _field(field: ArrowField, column: Column | None) -> dict[str, Any] | None:
    try:
        dtype = arrow_type(field.type)
        kinds = [_kind(_element(dtype))]
    except ValueError:
        return None
    if column and column.role == "label":
        kinds.append("cr:Label")
    described: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": field_id(field.name),
        "name": field.name,
        "description": _words(field, column),
        "dataType": kinds if len(kinds) > 1 else kinds[0],
    }
    if shape := _shape(dtype):
        described |= {"isArray": True, "arrayShape": ",".join(map(str, shape))}
    source = {"fileSet": {"@id": _SHARDS}, "extract": {"column": field.name}}
    return described | {"source": source}


def _words(field: ArrowField, column: Column | None) -> str:
    words = [f"{column.role}, {column.kind}" if column else "", field.type, "may be null" if field.nullable else ""]
    if column and column.cardinality is not None:
        words.append(f"ids below {column.cardinality}")
    return "; ".join(word for word in words if word)


def _shape(dtype: pa.DataType) -> tuple[int, ...]:
    if pa.types.is_fixed_size_list(dtype):
        return (dtype.list_size, *_shape(dtype.value_type))
    return (-1, *_shape(dtype.value_type)) if _is_list(dtype) else ()


def _element(dtype: pa.DataType) -> pa.DataType:
    nested = _is_list(dtype) or pa.types.is_dictionary(dtype)
    return _element(dtype.value_type) if nested else dtype


def _is_list(dtype: pa.DataType) -> bool:
    return any(known(dtype) for known in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list))


def _kind(dtype: pa.DataType) -> str:
    if pa.types.is_integer(dtype):
        return f"cr:{str(dtype).replace('int', 'Int').replace('uI', 'UI')}"
    for known, kind in _KINDS:
        if known(dtype):
            return kind
    raise ValueError(f"Croissant has no name for {dtype}")


_KINDS: Final = (
    (pa.types.is_float16, "cr:Float16"),
    (pa.types.is_float32, "cr:Float32"),
    (pa.types.is_float64, "cr:Float64"),
    (pa.types.is_decimal, "sc:Float"),
    (pa.types.is_boolean, "sc:Boolean"),
    (pa.types.is_date, "sc:Date"),
    (pa.types.is_timestamp, "sc:DateTime"),
    (pa.types.is_time, "sc:Time"),
    *((known, "sc:Text") for known in (pa.types.is_string, pa.types.is_large_string)),
    *((known, "sc:Text") for known in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)),
)
