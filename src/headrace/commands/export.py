"""`headrace datasets export`: a published version in the format of another tool."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from headrace.commands.layout import bytes_in_words, table
from headrace.commands.options import catalog_option, dataset_argument, dataset_uri
from headrace.commands.terminal import common_options, json_option, terminal

if TYPE_CHECKING:
    from headrace.catalog.export.export import Exported

_READ_BY = {
    "webdataset": 'webdataset.WebDataset("{folder}/{files}", shardshuffle=False).decode()',
    "mds": 'streaming.StreamingDataset(local="{folder}", split="{split}", batch_size=1)',
    "delta": 'deltalake.DeltaTable("{folder}/{split}")',
    "arrow": 'pyarrow.dataset.dataset("{folder}/{split}", format="ipc").to_table()',
}

_NUMBER = re.compile(r"\d+(?=\.\w+$)")
"""Of a file in its split."""


@click.command()
@dataset_argument
@click.argument("out", metavar="OUT")
@click.option(
    "--format", "name", type=click.Choice(list(_READ_BY)), required=True, help="What the reader of the files is."
)
@click.option("--split", "splits", multiple=True, metavar="NAME", help="Only this split. May be given several times.")
@click.option("--columns", metavar="A,B,...", help="Only these columns, in this order. [default: all]")
@click.option(
    "--rows-per-file",
    type=click.IntRange(1),
    metavar="N",
    help="[default: 131072 for webdataset and mds, 1048576 for delta and arrow]",
)
@catalog_option
@json_option
@common_options
def export(
    dataset: str,
    out: str,
    name: str,
    splits: tuple[str, ...],
    columns: str | None,
    rows_per_file: int | None,
    catalog: str,
) -> None:
    """Write a version to the new folder OUT, as WebDataset or MDS shards, Delta tables or Arrow files.

    A folder for each split, the rows in their order, and export.json, which says what was exported and how each column
    is written. A column that the format cannot hold is refused before anything is written.
    """
    from headrace.catalog.export.export import export as write
    from headrace.catalog.reader import open_dataset

    chosen = None if columns is None else [column.strip() for column in columns.split(",") if column.strip()]
    done = write(
        open_dataset(dataset_uri(dataset, catalog)),
        out,
        name,
        splits=list(splits) or None,
        columns=chosen,
        rows_per_file=rows_per_file,
    )
    terminal().show(done, lambda: _shown(done))


def _shown(done: Exported) -> str:
    rows = [[name, split.rows, len(split.files)] for name, split in done.splits.items()]
    lines = [
        f"{done.dataset}@{done.version} as {done.format} in {done.path}, {bytes_in_words(done.bytes)}",
        table(rows, ["split", "rows", "files"]),
    ]
    for name, split in done.splits.items():
        if split.files:
            lines.append(_READ_BY[done.format].format(folder=done.path, split=name, files=_braced(split.files)))
            break
    return "\n".join(lines)


def _braced(files: Sequence[str]) -> str:
    """All files in one word, as shells and WebDataset write ranges: part-{00000..00002}.tar."""
    if len(files) == 1:
        return files[0]
    return _NUMBER.sub(lambda first: f"{{{first[0]}..{_NUMBER.findall(files[-1])[0]}}}", files[0])
