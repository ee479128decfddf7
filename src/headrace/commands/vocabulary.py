"""`headrace vocabulary`: what the ids in a column stand for, and a smaller vocabulary with new ids."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from headrace.commands.layout import table
from headrace.commands.options import catalog_option, dataset_argument, dataset_uri
from headrace.commands.terminal import common_options, json_option, terminal
from headrace.schemas.errors import UsageError

if TYPE_CHECKING:
    from headrace.catalog.manifest import Column
    from headrace.catalog.reader import Dataset
    from headrace.catalog.vocabulary import Vocabulary

_SHOWN = 10


@click.group()
@common_options
def vocabulary() -> None:
    """Show, decode and compact the vocabularies of a published dataset.

    DATASET is a name in the catalog or a path; @7 behind it names a version, else it is the latest.
    """


@vocabulary.command()
@dataset_argument
@click.argument("column", required=False)
@catalog_option
@json_option
@common_options
def show(dataset: str, column: str | None, catalog: str) -> None:
    """The columns that have a vocabulary; of one COLUMN its special ids and its first values."""
    from headrace.catalog.reader import open_dataset
    from headrace.catalog.vocabulary import columns_with, read_vocabulary

    opened = open_dataset(dataset_uri(dataset, catalog))
    where = {"dataset": opened.name, "version": opened.version}
    if column is None:
        columns = columns_with(opened)
        data = {**where, "columns": [_entry(c) for c in columns]}
        terminal().show(data, lambda: _listed(opened, columns))
        return
    found = read_vocabulary(opened, column)
    first = found.decoded.head(_SHOWN)
    data = {**where, **_described(found), "values": first.to_dicts()}
    terminal().show(data, lambda: _shown(opened, found))


@vocabulary.command()
@dataset_argument
@click.argument("column")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--encode", is_flag=True, help="The words are values, and their ids are asked for.")
@catalog_option
@json_option
@common_options
def decode(dataset: str, column: str, ids: tuple[str, ...], encode: bool, catalog: str) -> None:
    """What ids stand for."""
    from headrace.catalog.reader import open_dataset
    from headrace.catalog.vocabulary import ids_of, read_vocabulary

    opened = open_dataset(dataset_uri(dataset, catalog))
    found = read_vocabulary(opened, column)
    rows = _encoded(found, ids_of(found, ids)) if encode else [_decoded(found, _number(word)) for word in ids]
    data = {"dataset": opened.name, "version": opened.version, "column": column, "ids": rows}
    terminal().show(data, lambda: table([list(row.values()) for row in rows], list(rows[0])))


@vocabulary.command()
@dataset_argument
@click.argument("column")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A folder for the two tables.")
@click.option("--min-count", type=click.IntRange(1), default=1, show_default=True, help="Values counted less often go.")
@click.option("--max-size", type=click.IntRange(0), help="At most so many values stay, the most frequent ones.")
@catalog_option
@json_option
@common_options
def compact(dataset: str, column: str, out: Path, min_count: int, max_size: int | None, catalog: str) -> None:
    """Rank the values of a COLUMN anew by how often they came. Ids change: the remap says how.

    Writes vocabulary.parquet, for `Categorify(previous=...)`, and remap.parquet (old_id, new_id), for
    `headrace.catalog.embeddings.remap_embedding`. The published dataset stays as it is.
    """
    from headrace.catalog.reader import open_dataset
    from headrace.catalog.vocabulary import OOV_BUCKETS, read_vocabulary

    opened = open_dataset(dataset_uri(dataset, catalog))
    found = read_vocabulary(opened, column)
    ranked, remap = found.compacted(min_count, max_size)
    paths = {"vocabulary": out / "vocabulary.parquet", "remap": out / "remap.parquet"}
    if there := [path for path in paths.values() if path.exists()]:
        raise UsageError(f"{there[0]} is there already", hint="name another folder with --out")
    out.mkdir(parents=True, exist_ok=True)
    ranked.write_parquet(paths["vocabulary"], metadata={OOV_BUCKETS: str(len(found.oov_ids))})
    remap.write_parquet(paths["remap"])
    gone = found.table.height - ranked.height
    data = {
        "dataset": opened.name,
        "version": opened.version,
        "column": column,
        "values": ranked.height,
        "gone": gone,
        "cardinality": found.first_id + ranked.height,
        **paths,
    }
    words = [
        f"{column} of {opened.name}@{opened.version}: {found.table.height:,} values, {ranked.height:,} stay",
        f"rows of an embedding: {found.cardinality:,} before, {data['cardinality']:,} now",
        "",
        f"{paths['vocabulary']}  for Categorify(previous=...)",
        f"{paths['remap']}  old_id, new_id, for remap_embedding",
    ]
    terminal().show(data, lambda: "\n".join(words))


def _number(word: str) -> int:
    if not word.isdecimal():
        raise UsageError(f"{word!r} is no id", hint="give whole numbers; with --encode, values")
    return int(word)


def _decoded(found: Vocabulary, number: int) -> dict[str, Any]:
    meaning = found.meaning(number)
    if meaning:
        return {"id": number, "meaning": meaning, **dict.fromkeys((*found.values, "count"))}
    row = found.decoded.row(number - found.first_id, named=True)
    return {"id": number, "meaning": "value", **{k: row[k] for k in (*found.values, "count")}}


def _encoded(found: Vocabulary, ids: Any) -> list[dict[str, Any]]:
    first, last = found.oov_ids[0], found.oov_ids[-1]
    missing = f"out of vocabulary: {first}" if first == last else f"out of vocabulary: {first} to {last}"
    return [{"value": value, "id": missing if number is None else number} for value, number in ids.iter_rows()]


def _entry(column: Column) -> dict[str, Any]:
    known = column.vocabulary
    return {
        "column": column.name,
        "dtype": column.dtype,
        "cardinality": column.cardinality,
        "values": (column.cardinality or 0) - _first(column),
        "oov_ids": column.oov_ids,
        "extends": known.extends if known else None,
        "continues": known.extends.named if known and known.extends else None,
    }


def _first(column: Column) -> int:
    return max((i for i in (column.pad_id, column.null_id, *column.oov_ids) if i is not None), default=-1) + 1


def _listed(opened: Dataset, columns: tuple[Column, ...]) -> str:
    if not columns:
        return f"no column of {opened.name}@{opened.version} has a vocabulary"
    rows = [
        [e["column"], e["dtype"], e["cardinality"], e["values"], len(e["oov_ids"]), e["continues"]]
        for e in map(_entry, columns)
    ]
    return table(rows, ["column", "type", "cardinality", "values", "ids out of vocabulary", "continues"])


def _described(found: Vocabulary) -> dict[str, Any]:
    return {
        "column": found.column,
        "cardinality": found.cardinality,
        "pad_id": found.pad_id,
        "null_id": found.null_id,
        "oov_ids": found.oov_ids,
        "extends": found.extends,
    }


def _shown(opened: Dataset, found: Vocabulary) -> str:
    special = [[i, found.meaning(i)] for i in range(min(found.first_id, 6))]
    if found.first_id > 6:
        special.append([f"... {found.first_id - 1}", "out of vocabulary"])
    rows = [list(row) for row in found.decoded.head(_SHOWN).iter_rows()]
    more = found.table.height - len(rows)
    parts = [
        f"{found.column} of {opened.name}@{opened.version}: {found.table.height:,} values, ids below "
        f"{found.cardinality:,}" + (f", continues {found.extends.named}" if found.extends else ""),
        "",
        table(special, ["id", "stands for"]),
        "",
        table(rows, ["id", *found.values, "count"]),
    ]
    return "\n".join([*parts, f"... {more:,} more"] if more else parts)
