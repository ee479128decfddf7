"""The index of a catalog: its datasets, each with its latest version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from headrace.catalog.listing import Summary
from headrace.catalog.pages import formats
from headrace.catalog.pages.templates import script, templates
from headrace.schemas.amounts import size, word

FOLDER: Final = "datasets"
"""Where the pages of the datasets lie beside the index. Apart: a dataset may be called `index`."""


def index_page(datasets: Sequence[Summary], catalog: str, described: frozenset[str] = frozenset()) -> str:
    """The index as one HTML document that fetches nothing. Everything from the data is escaped.

    Parameters
    ----------
    catalog
        The catalog's address, for people.
    described
        Names of the datasets that have a page of their own beside the index, ``datasets/<name>.html``.
    """
    search = script("search.js.j2")
    rows = sum(sum(found.rows.values()) for found in datasets)
    latest = "of the latest version" if len(datasets) == 1 else "of the latest versions"
    figures = [
        (formats.count(len(datasets)), word(len(datasets), "dataset"), ""),
        (formats.count(rows), word(rows, "row"), latest),
        (size(sum(found.bytes for found in datasets)), "on disk", latest),
    ]
    return (
        templates()
        .get_template("index.html.j2")
        .render(
            datasets=datasets,
            catalog=catalog,
            described=described,
            named=any(found.refs for found in datasets),
            folder=FOLDER,
            key_figures=figures,
            script=Markup(search.text),
            script_hash=search.hash,
        )
    )
