"""The Hugging Face dataset card of a build: `datasets.load_dataset(folder)` reads the right files because of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import yaml

from headrace.catalog.features import features
from headrace.catalog.manifest import Column, Manifest, Scalar, Statistics
from headrace.catalog.words import inputs, row_order
from headrace.schemas.amounts import counted, size, word

CARD: Final = "README.md"


def dataset_card(manifest: Manifest) -> str:
    """README.md of the build: YAML for Hugging Face, then what the dataset is, for people."""
    body = [
        f"# {manifest.dataset}",
        _introduction(manifest),
        _usage(manifest),
        "## Splits",
        _table(
            ("split", "rows", "files", "size", "which rows"),
            [
                (name, f"{split.rows:,}", len(split.files), size(sum(f.bytes for f in split.files)), split.rule)
                for name, split in manifest.splits.items()
            ],
        ),
        "## Columns",
        _columns(manifest),
    ]
    if manifest.baselines:
        body += ["## Baselines", _baselines(manifest)]
    if manifest.quality is not None:
        body += ["## Quality", _quality(manifest)]
    head = yaml.safe_dump(_metadata(manifest), sort_keys=False, allow_unicode=True, width=120)
    return f"---\n{head}---\n\n" + "\n\n".join(body) + "\n"


def _metadata(manifest: Manifest) -> dict[str, Any]:
    # Named files, not globs: the folder also holds quarantine and state, and an empty split has no file to match.
    files = [
        {"split": name, "path": [manifest.place(file) for file in split.files]}
        for name, split in manifest.splits.items()
        if split.files
    ]
    card: dict[str, Any] = {
        "pretty_name": manifest.dataset,
        "tags": ["tabular", "headrace"],
        "size_categories": [_size_category(manifest.rows)],
        "configs": [{"config_name": "default", "default": True, "data_files": files}],
    }
    # Without the splits' rows: with them `load_dataset(folder, data_files=...)`, of a part of the files, is refused.
    if (columns := features(manifest.arrow_schema)) is not None:
        card["dataset_info"] = {"config_name": "default", "features": columns}
    return card


def _size_category(rows: int) -> str:
    bounds = [(10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M")]
    bounds += [(10**8, "10M<n<100M"), (10**9, "100M<n<1B"), (10**10, "1B<n<10B")]
    return next((name for bound, name in bounds if rows < bound), "n>1T" if rows >= 10**12 else "10B<n<1T")


def _introduction(manifest: Manifest) -> str:
    producer = manifest.producer
    pipeline = f" by the pipeline `{manifest.pipeline.name}`" if manifest.pipeline else ""
    return (
        f"{counted(manifest.rows, 'row')}, {counted(len(manifest.arrow_schema), 'column')}, {size(manifest.bytes)}; "
        f"made{pipeline}{inputs(manifest)} on {manifest.created_at} "
        f"with headrace {producer.headrace} (Polars {producer.polars}, {producer.engine}). {row_order(manifest)}"
    )


def _usage(manifest: Manifest) -> str:
    split = next(iter(manifest.splits), "train")
    shards = [file for entry in manifest.splits.values() for file in entry.files]
    older = sum(manifest.place(file) != file.path for file in shards)
    folder = (
        f"{older:,} of its {counted(len(shards), 'file')} {word(older, 'lies', 'lie')} in older builds, in folders "
        "beside this one: copied alone, this folder is not the dataset."
        if older
        else f'or `polars.read_parquet("<this folder>/{split}/*.parquet")`.'
    )
    return (
        "```python\n"
        "from headrace import open_dataset\n"
        f'dataset = open_dataset("<catalog>/{manifest.dataset}")\n'
        f'{_identifier(split)} = dataset.to_polars("{split}")\n'
        "```\n\n"
        f'or `datasets.load_dataset("<this folder>")`{". " if older else ", "}{folder}'
    )


def _identifier(name: str) -> str:
    return name if name.isidentifier() else "frame"


def _columns(manifest: Manifest) -> str:
    first = next(iter(manifest.splits), "")
    described = {column.name: column for column in manifest.columns}
    rows = []
    for field in manifest.arrow_schema:
        column = described.get(field.name)
        values = column.statistics.get(first) if column else None
        rows.append(
            (
                f"`{field.name}`",
                column.role if column else "",
                column.kind if column else "",
                field.type,
                _ids(column) if column else "",
                *_values(values),
            )
        )
    header = ("column", "role", "kind", "type", "ids", "nulls", "distinct", "min", "mean", "max")
    return _table(header, rows) + (f"\n\nValues are those of the split `{first}`." if first else "")


def _ids(column: Column) -> str:
    if column.cardinality is None:
        return ""
    special = [("padding", column.pad_id), ("null", column.null_id)]
    named = [f"{name} {value}" for name, value in special if value is not None]
    if column.oov_ids:
        named.append(f"unknown {column.oov_ids[0]}" + (f"-{column.oov_ids[-1]}" if len(column.oov_ids) > 1 else ""))
    return f"< {column.cardinality:,}" + (f" ({', '.join(named)})" if named else "")


def _values(statistics: Statistics | None) -> tuple[str, ...]:
    if statistics is None:
        return ("",) * 5
    about = "~" if statistics.distinct_error else ""
    distinct = "" if statistics.distinct is None else f"{about}{statistics.distinct:,}"
    return (
        f"{statistics.nulls:,}",
        distinct,
        _scalar(statistics.min),
        _scalar(statistics.mean),
        _scalar(statistics.max),
    )


def _baselines(manifest: Manifest) -> str:
    metrics = list(dict.fromkeys(m for b in manifest.baselines for split in b.metrics.values() for m in split))
    rows = [
        (result.name, result.target, split, *(_scalar(values.get(metric)) for metric in metrics))
        for result in manifest.baselines
        for split, values in result.metrics.items()
    ]
    return _table(("baseline", "target", "split", *metrics), rows)


def _quality(manifest: Manifest) -> str:
    quality = manifest.quality
    assert quality is not None
    text = (
        f"{counted(quality.rows_in, 'row')} read, {quality.rows_published:,} published, {quality.filtered:,} filtered, "
        f"{quality.quarantined:,} quarantined, {counted(len(quality.bad_files), 'file')} set aside."
    )
    if quality.reasons:
        text += "\n\n" + _table(("reason", "rows"), [(r, f"{n:,}") for r, n in quality.reasons.items()])
    return text


def _scalar(value: Scalar | None) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value) if len(str(value)) <= 24 else str(value)[:23] + "\u2026"


def _table(header: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> str:
    def line(cells: tuple[object, ...]) -> str:
        clean = (str(cell).replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ") for cell in cells)
        return "| " + " | ".join(clean) + " |"

    return "\n".join([line(header), line(("---",) * len(header)), *(line(row) for row in rows)])
