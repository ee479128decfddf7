"""The report of a build: one self-contained HTML page, and the same facts as JSON beside it."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from headrace.catalog.files import durable_file
from headrace.catalog.manifest import Manifest
from headrace.pipelines.report.facts import Facts, gather
from headrace.pipelines.runs import RunRecord
from headrace.schemas.errors import CapabilityError

__all__ = ["Facts", "gather", "write_report"]


def write_report(path: Path, manifest: Manifest, run: RunRecord, label_over_time: pl.DataFrame | None = None) -> None:
    """Write the page to `path` and its facts to the `.json` beside it; an older report there is replaced.

    Parameters
    ----------
    path
        ``report.html`` in the build's folder: the curves of baselines are found relative to it.
    manifest
        Of the build; the files it lists need not be complete yet.
    run
        How it ran: engine, cluster, seconds by stage.
    label_over_time
        Columns period (date, datetime or text), split, rows, rate; in this order.

    Raises
    ------
    CapabilityError
        jinja2 or matplotlib is not installed, or the folder cannot be written.
    DataError
        A baseline's curves are missing or damaged.

    Notes
    -----
    Cost: one to three seconds for 40 features, most of it matplotlib's import; no data is read. The page holds at most
    200 distributions and 1,000 columns and says how many it leaves to the JSON.
    """
    facts = gather(manifest, run, path.parent, label_over_time)
    try:
        from headrace.pipelines.report.page import render

        page = render(facts)
    except ImportError as error:
        raise CapabilityError(
            f"the report needs jinja2 and matplotlib: {error}", hint="pip install 'headrace[build]'"
        ) from error
    for target, text in ((path, page), (path.with_suffix(".json"), facts.model_dump_json(indent=1) + "\n")):
        target.unlink(missing_ok=True)
        with durable_file(target) as out:
            out.write(text.encode())
