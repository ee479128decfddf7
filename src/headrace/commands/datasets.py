"""`headrace datasets`: what is published, and whether it is intact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from headrace.commands.diff import diff
from headrace.commands.drift import drift
from headrace.commands.export import export
from headrace.commands.gc import gc
from headrace.commands.layout import bytes_in_words, moment, table
from headrace.commands.options import catalog_option, dataset_argument, dataset_uri
from headrace.commands.pages import index, page
from headrace.commands.retire import retire
from headrace.commands.tag import tag
from headrace.commands.terminal import common_options, json_option, terminal
from headrace.schemas.errors import DataError

if TYPE_CHECKING:
    from headrace.catalog.listing import Summary, Version
    from headrace.catalog.reader import Dataset

# Those that people compare; the manifest and --json have all.
_UNCHECKED = ", as the GPU engine writes them: every page was decoded, and the hash of every byte compared"
_METRICS = ("auc", "average_precision", "log_loss", "brier", "rmse", "mae", "r2")


@click.group()
@common_options
def datasets() -> None:
    """List, show, compare and verify published datasets.

    DATASET is a name in the catalog or a path. @7 or @prod behind it names a version, else it is the latest.
    """


datasets.add_command(diff)
datasets.add_command(drift)
datasets.add_command(export)
datasets.add_command(gc)
datasets.add_command(index)
datasets.add_command(page)
datasets.add_command(retire)
datasets.add_command(tag)


@datasets.command("list")
@catalog_option
@json_option
@common_options
def list_(catalog: str) -> None:
    """The datasets of a catalog, each with its latest version."""
    from headrace.catalog.listing import list_datasets

    found = list_datasets(catalog)
    terminal().show(found, lambda: _listed(found, catalog))


@datasets.command()
@dataset_argument
@catalog_option
@json_option
@common_options
def show(dataset: str, catalog: str) -> None:
    """One version: its splits, columns, quality, baselines and history."""
    from headrace.catalog.listing import history
    from headrace.catalog.reader import open_dataset

    opened = open_dataset(dataset_uri(dataset, catalog))
    versions = history(opened.place)
    data = {
        "name": opened.name,
        "version": opened.version,
        "path": opened.uri,
        "manifest": opened.manifest,
        "versions": [
            {
                "version": v.record.version,
                "created_at": v.record.created_at,
                "rows": v.rows,
                "refs": v.refs,
                "retired": v.retired.reason if v.retired else None,
            }
            for v in versions
        ],
    }
    terminal().show(data, lambda: _shown(opened, versions))


@datasets.command()
@dataset_argument
@click.option(
    "--level",
    type=click.Choice(["size", "sha256", "pages"]),
    default="sha256",
    show_default=True,
    help="How closely: sizes alone, the hash of every byte, or the pages as well.",
)
@catalog_option
@json_option
@common_options
def verify(dataset: str, level: Any, catalog: str) -> None:
    """Compare every file of a version with its manifest, and the dataset's records with their seals.

    Exit 1 if anything differs.
    """
    from headrace.catalog.checksums import shards_without_checksums
    from headrace.catalog.reader import open_dataset
    from headrace.catalog.verify import verify as find_damage

    opened = open_dataset(dataset_uri(dataset, catalog))
    damage = find_damage(opened, level=level)
    unchecked = shards_without_checksums(opened) if level == "pages" and not damage else ()
    files = list(opened.manifest.all_files())
    name = f"{opened.name}@{opened.version}"
    data = {
        "dataset": opened.name,
        "version": opened.version,
        "level": level,
        "files": len(files),
        "damage": damage,
        "without_page_checksums": unchecked,
    }
    if not damage:
        words = f"{name}: {len(files)} files, {bytes_in_words(opened.manifest.bytes)}, all as published ({level})"
        if unchecked:
            words += f"\n{len(unchecked)} of them have no checksums of pages{_UNCHECKED}"
        terminal().show(data, lambda: words)
        return
    rows = [[d.path, d.problem, d.expected, d.got] for d in damage]
    spoiled = {d.path for d in damage}
    records = {path for path in spoiled if path.startswith("../../")}
    also = f" and {len(records)} records of the dataset" if records else ""
    terminal().show_failed(
        data,
        lambda: table(rows, ["file", "problem", "expected", "got"]),
        DataError(
            f"{len(spoiled - records)} of {len(files)} files{also} are not as published",
            hint=f"do not train on it: restore {opened.uri} from a copy, or publish again with `headrace run`",
            where=name,
        ),
    )


def _listed(found: list[Summary], catalog: str) -> str:
    if not found:
        return f"no dataset in {catalog} yet"
    # Each column with its values; the last two only where one has something to say.
    columns: dict[str, list[Any]] = {
        "dataset": [d.name for d in found],
        "version": [d.version for d in found],
        "published": [moment(d.created_at) for d in found],
        "rows": [sum(d.rows.values()) for d in found],
        "columns": [d.columns for d in found],
        "size": [bytes_in_words(d.bytes) for d in found],
        "names": [", ".join(f"{name} {version}" for name, version in d.refs.items()) for d in found],
        "problem": [d.problem for d in found],
    }
    shown = {name: values for name, values in columns.items() if name not in ("names", "problem") or any(values)}
    return table([list(row) for row in zip(*shown.values(), strict=True)], list(shown))


def _shown(opened: Dataset, versions: list[Version]) -> str:
    manifest = opened.manifest
    rows_of = manifest.splits
    published = moment(opened.record.created_at)
    parts = [
        f"{opened.name}@{opened.version}  published {published}  {bytes_in_words(manifest.bytes)}",
        opened.uri,
        "",
        table([[n, s.rows, len(s.files), s.rule] for n, s in rows_of.items()], ["split", "rows", "files", "rule"]),
    ]
    if manifest.quality is not None:
        quality = manifest.quality
        reasons = "; ".join(f"{reason}: {count:,}" for reason, count in quality.reasons.items())
        parts += [
            "",
            f"rows in {quality.rows_in:,}, filtered {quality.filtered:,}, quarantined {quality.quarantined:,}"
            + (f" ({reasons})" if reasons else ""),
        ]
        parts += [f"bad file {bad.path}: {bad.problem}" for bad in quality.bad_files]
    if manifest.columns:
        columns = [[c.name, c.role, c.kind, c.dtype, c.cardinality] for c in manifest.columns]
        parts += ["", table(columns, ["column", "role", "kind", "dtype", "cardinality"])]
        known = [(c.name, c.vocabulary.extends) for c in manifest.columns if c.vocabulary and c.vocabulary.extends]
        parts += [f"ids of {name} continue those of {extends.named}" for name, extends in known]
    if manifest.baselines:
        parts += ["", baseline_table(manifest.baselines)]
    return "\n".join([*parts, "", _history(versions)])


def _history(versions: list[Version]) -> str:
    rows = [
        [
            v.record.version,
            moment(v.record.created_at),
            None if v.rows is None else sum(v.rows.values()),
            ", ".join(v.refs),
            v.retired.reason if v.retired else "",
        ]
        for v in versions
    ]
    header = ["version", "published", "rows", "names", "retired"]
    kept = [i for i in range(5) if i < 3 or any(row[i] for row in rows)]
    return table([[row[i] for i in kept] for row in rows], [header[i] for i in kept])


def baseline_table(results: Any) -> str:
    """Each baseline's metrics on the last split, which nothing was learned on."""
    split = list(results[0].metrics)[-1] if results and results[0].metrics else ""
    there = {name for result in results for name in result.metrics.get(split, {})}
    names = [name for name in _METRICS if name in there]
    rows = [[r.name, *(r.metrics.get(split, {}).get(name) for name in names)] for r in results]
    return table(rows, [f"baseline on {split}", *(name.replace("_", " ") for name in names)])
