"""`headrace datasets page` and `headrace datasets index`: what is published, as web pages that stand alone."""

from __future__ import annotations

import click

from headrace.commands.layout import bytes_in_words, table
from headrace.commands.options import catalog_option, dataset_argument, dataset_uri
from headrace.commands.terminal import common_options, json_option, terminal


@click.command()
@dataset_argument
@click.option("--out", required=True, metavar="FILE", help="Where the page goes; a file that is there is replaced.")
@catalog_option
@json_option
@common_options
def page(dataset: str, out: str, catalog: str) -> None:
    """Write one version's page: how to read it, columns, vocabularies, baselines, lineage, versions and files.

    One HTML file that fetches nothing from anywhere: mail it, or put it on any web server.
    """
    from headrace.catalog.pages.site import write_page

    written = write_page(dataset_uri(dataset, catalog), out)
    terminal().show(
        written, lambda: f"{written.dataset}@{written.version}: {written.path}, {bytes_in_words(written.bytes)}"
    )


@click.command()
@click.option("--out", required=True, metavar="FOLDER", help="Where the pages go; index.html in it is replaced.")
@catalog_option
@json_option
@common_options
def index(out: str, catalog: str) -> None:
    """Write an index of the catalog, and beside it a page of each dataset's latest version."""
    from headrace.catalog.pages.site import write_index

    written = write_index(catalog, out)
    rows = [[p.dataset, p.version, str(p.path), ""] for p in written.pages]
    rows += [[name, None, "", problem] for name, problem in written.problems.items()]
    header = ["dataset", "version", "page", "problem"]
    if not written.problems:
        rows, header = [row[:-1] for row in rows], header[:-1]
    terminal().show(written, lambda: f"{written.path}\n{table(rows, header)}".strip())
