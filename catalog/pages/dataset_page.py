"""From a manifest to the page of a version: what each section of the template shows, and how much of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from markupsafe import Markup

from headrace.catalog.listing import Version
from headrace.catalog.manifest import BaselineResult, Column, Manifest, Scalar, Statistics
from headrace.catalog.pages import formats
from headrace.catalog.pages.distributions import draw
from headrace.catalog.pages.templates import script, templates
from headrace.catalog.words import about
from headrace.schemas.amounts import counted, size, word

COLUMNS: Final = 2000
PICTURES: Final = 1_000_000
FILES: Final = 500
LISTED: Final = 100
"""Most columns, characters of pictures, files, and inputs, versions or reasons that a page shows."""

_BESIDE: Final = (
    ("README.md", "Hugging Face's card"),
    ("croissant.json", "Croissant metadata"),
    ("output.odcs.yaml", "the contract of these rows"),
    ("contract.odcs.yaml", "the contract of the source"),
    ("report.html", "how it was made"),
)
_QUANTILES: Final = ("0.05", "0.5", "0.95")


def dataset_page(version: int, manifest: Manifest, versions: Sequence[Version], address: str, index: str = "") -> str:
    """The page of a version as one HTML document that fetches nothing. Everything from the data is escaped.

    Parameters
    ----------
    version
        Its number.
    versions
        The dataset's history, newest first.
    address
        Where others open the dataset: ``s3://bucket/flights``. Without a version.
    index
        Where the page of all datasets lies, from this one; none if empty.

    Notes
    -----
    Cost: milliseconds for 50 columns, below a second for 500; no data is read. Its size is bounded: what it leaves out
    it counts and sends to manifest.json for.
    """
    splits = tuple(manifest.splits)
    columns = _columns(manifest, splits)
    vocabularies = [column for column in manifest.columns if column.cardinality is not None]
    labels = [column.name for column in manifest.columns if column.role == "label"]
    roles = list(dict.fromkeys(entry["role"] for entry in columns if entry["role"]))
    search = script("search.js.j2")
    return (
        templates()
        .get_template("dataset.html.j2")
        .render(
            version=version,
            index=index,
            manifest=manifest,
            about=about(manifest),
            splits=splits,
            key_figures=_key_figures(manifest, labels),
            code=_code(manifest, version, address),
            beside=_beside(manifest),
            split_shares=[
                (name, split, 100 * split.rows / max(manifest.rows, 1)) for name, split in manifest.splits.items()
            ],
            columns=columns,
            all_columns=len(manifest.arrow_schema),
            roles=roles,
            vocabularies=[(column, _ids(column)) for column in vocabularies[:COLUMNS]],
            all_vocabularies=len(vocabularies),
            continued=any(column.vocabulary and column.vocabulary.extends for column in vocabularies),
            metric_names=_metric_names(manifest.baselines),
            reasons=_reasons(manifest),
            versions=versions[:LISTED],
            all_versions=len(versions),
            files=list(manifest.all_files())[:FILES],
            all_files=sum(1 for _ in manifest.all_files()),
            listed=LISTED,
            script=Markup(search.text),
            script_hash=search.hash,
        )
    )


def _key_figures(manifest: Manifest, labels: Sequence[str]) -> list[tuple[str, str, str]]:
    """Figure, what it is, and a remark."""
    columns = len(manifest.arrow_schema)
    features = sum(column.role == "feature" for column in manifest.columns)
    label = f"label {', '.join(labels)}" if labels else "no label"
    shards = sum(len(split.files) for split in manifest.splits.values())
    return [
        (formats.count(manifest.rows), word(manifest.rows, "row"), f"in {counted(len(manifest.splits), 'split')}"),
        (formats.count(columns), word(columns, "column"), f"{counted(features, 'feature')}, {label}"),
        (size(manifest.bytes), "on disk", counted(shards, "shard")),
    ]


def _code(manifest: Manifest, version: int, address: str) -> list[tuple[str, str]]:
    """How the dataset is read, by library. Names from outside are quoted as Python quotes them."""
    split = json.dumps(next(iter(manifest.splits), "train"))
    folder = f"{address}/builds/{manifest.build}"
    shards = _quoted(f"{folder}/{json.loads(split)}/*.parquet")
    opened = (
        "headrace",
        "from headrace import open_dataset\n\n"
        f"dataset = open_dataset({_quoted(f'{address}@{version}')})\n"
        f"frame = dataset.to_polars({split})",
    )
    if list(manifest.own_files()) != list(manifest.all_files()):  # no pattern finds what lies in other builds
        files = f"import polars as pl\n\nframe = pl.scan_parquet(dataset.files({split}))"
        return [opened, ("Polars, with the dataset from above", files)]
    remote = "://" in address
    loaded = f'"parquet", data_files={{{split}: {shards}}}' if remote else _quoted(folder)
    return [
        opened,
        ("Polars", f"import polars as pl\n\nframe = pl.scan_parquet({shards})"),
        ("Hugging Face datasets", f"from datasets import load_dataset\n\nfound = load_dataset({loaded})"),
    ]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _beside(manifest: Manifest) -> list[tuple[str, str]]:
    """Files that a reader may look for, and what is in each."""
    known = dict(_BESIDE) | ({manifest.pipeline.path: "the fitted pipeline"} if manifest.pipeline else {})
    there = {ref.path for ref in manifest.files}
    return [(path, text) for path, text in known.items() if path in there]


def _columns(manifest: Manifest, splits: tuple[str, ...]) -> list[dict[str, Any]]:
    """A line for each column in file order, with a picture as long as there is room for pictures."""
    described = {column.name: column for column in manifest.columns}
    room = PICTURES
    found = []
    for field in manifest.arrow_schema[:COLUMNS]:
        column = described.get(field.name)
        line: dict[str, Any] = {
            "name": field.name,
            "role": column.role if column else "",
            "kind": column.kind if column else "",
            "type": formats.dtype(column.dtype) if column else field.type,
            "source": column.source if column else None,
            "nullable": field.nullable,
            "values": _values(column, splits) if column else {},
            "picture": None,
            "cut": False,
        }
        if column and (svg := draw(column, splits)):
            line["cut"] = len(svg) > room
            if not line["cut"]:
                room -= len(svg)
                line["picture"] = Markup(svg)
        found.append(line)
    return found


def _values(column: Column, splits: Sequence[str]) -> dict[str, Any]:
    """Statistics of the first split that has rows; nulls of all."""
    known = [found for name in splits if (found := column.statistics.get(name)) is not None and found.count]
    if not known:
        return {}
    first = known[0]
    ids = column.kind == "categorical"  # the mean and the quantiles of ids say nothing
    rows, nulls = sum(found.count for found in known), sum(found.nulls for found in known)
    low, median, high = ("" if ids else _end(first.quantiles.get(key), first, column) for key in _QUANTILES)
    mean = "" if ids or first.mean is None else formats.number(formats.mean(first))
    return {
        "nulls": "0" if not nulls else formats.percent(nulls, rows),
        "distinct": ("≈ " if first.distinct_error else "") + formats.count(first.distinct),
        "pairs": [(_end(first.min, first, column), low), (median, mean), (_end(first.max, first, column), high)],
    }


def _end(value: Scalar | None, found: Statistics, column: Column) -> str:
    """A value as the table shows it: 0 where it is only what rounding left of 0, such as the sine of a whole turn."""
    ends = [abs(end) for end in (found.min, found.max) if isinstance(end, float)]
    small = isinstance(value, float) and ends and abs(value) < 1e-9 * max(ends)
    return formats.end(0.0 if small else value, column.kind)


def _ids(column: Column) -> list[str]:
    """Ids of padding, null and unknown values; empty where there are none."""
    oov = column.oov_ids
    unknown = "" if not oov else str(oov[0]) if len(oov) == 1 else f"{oov[0]} to {oov[-1]}"
    return [*("" if id is None else str(id) for id in (column.pad_id, column.null_id)), unknown]


def _metric_names(baselines: Sequence[BaselineResult]) -> dict[str, str]:
    """Keys and names of the metrics that are in the results."""
    found = dict.fromkeys(key for b in baselines for values in b.metrics.values() for key in values)
    return {key: formats.metric_name(key) for key in found}


def _reasons(manifest: Manifest) -> list[tuple[str, int]]:
    reasons = manifest.quality.reasons if manifest.quality else {}
    return sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
