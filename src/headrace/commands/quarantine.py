"""`headrace quarantine`: the rows that broke the contract, where they came from and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from headrace.commands.layout import table
from headrace.commands.options import catalog_option, dataset_argument, dataset_uri
from headrace.commands.terminal import common_options, json_option, terminal

if TYPE_CHECKING:
    import polars as pl

    from headrace.catalog.reader import Dataset


@click.group()
@common_options
def quarantine() -> None:
    """Look at the rows that broke the contract."""


@quarantine.command()
@dataset_argument
@click.option("--reason", default="", help="Only rows with this reason, or one that contains it.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(0), help="At most so many rows.")
@catalog_option
@json_option
@common_options
def show(dataset: str, reason: str, limit: int, catalog: str) -> None:
    """The quarantined rows of a version: counts by reason, then source file, row, reasons and values."""
    from headrace.catalog.reader import open_dataset

    opened = open_dataset(dataset_uri(dataset, catalog))
    quality = opened.manifest.quality
    rows, total = _rows(opened, reason, limit)
    data = {
        "dataset": opened.name,
        "version": opened.version,
        "quarantined": quality.quarantined if quality else 0,
        "reasons": quality.reasons if quality else {},
        "bad_files": quality.bad_files if quality else [],
        "matching": total,
        "rows": rows.to_dicts(),
    }
    terminal().show(data, lambda: _words(opened, rows, total))


def _rows(opened: Dataset, reason: str, limit: int) -> tuple[pl.DataFrame, int]:
    import polars as pl

    files = [file for file in opened.manifest.files if file.path.startswith("quarantine/")]
    paths = [opened.local(file) for file in files if file.path.endswith(".parquet")]
    if not paths:
        return pl.DataFrame(), 0
    found = pl.scan_parquet(paths, glob=False).collect()
    if reason:
        found = found.filter(pl.col("reasons").list.eval(pl.element().str.contains(reason, literal=True)).list.any())
    return found.head(limit), found.height


def _words(opened: Dataset, rows: pl.DataFrame, total: int) -> str:
    quality = opened.manifest.quality
    parts = []
    if quality is not None:
        share = f" of {quality.rows_in:,} rows" if quality.rows_in else ""
        parts.append(f"{opened.name}@{opened.version}: {quality.quarantined:,}{share} quarantined")
        parts += [table([[reason, count] for reason, count in quality.reasons.items()], ["reason", "rows"])]
        parts += [f"file left out: {bad.path}: {bad.problem}" for bad in quality.bad_files]
    for row in rows.iter_rows(named=True):
        place = f"{row.pop('source_file', '?')} row {row.pop('source_row', '?')}"
        parts += ["", f"{place}: {', '.join(row.pop('reasons', None) or ())}"]
        parts.append("  " + ", ".join(f"{k}={v}" for k, v in row.items() if not k.startswith("__")))
    if total > rows.height:
        parts += ["", f"{total - rows.height:,} more; --limit shows them"]
    return "\n".join(part for part in parts if part is not None)
