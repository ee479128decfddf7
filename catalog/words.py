"""What a build is, in a sentence: cards, metadata and pages say it in the same words."""

from __future__ import annotations

from headrace.catalog.manifest import Manifest
from headrace.schemas.amounts import counted


def about(manifest: Manifest) -> str:
    """Rows, columns and bytes; which pipeline made them of what, and when; the order of the rows. One line."""
    producer = manifest.producer
    pipeline = f" by the pipeline {manifest.pipeline.name}" if manifest.pipeline else ""
    return (
        f"{counted(manifest.rows, 'row')}, {counted(len(manifest.arrow_schema), 'column')}; "
        f"made{pipeline}{inputs(manifest)} on {manifest.created_at[:10]} "
        f"with headrace {producer.headrace} (Polars {producer.polars}, {producer.engine}). {row_order(manifest)}"
    )


def inputs(manifest: Manifest) -> str:
    """What it was made from, behind "made"; empty if that is not known."""
    rows = sum(source.rows for source in manifest.inputs)
    return f" from {counted(len(manifest.inputs), 'file')} with {counted(rows, 'row')}" if manifest.inputs else ""


def row_order(manifest: Manifest) -> str:
    """How the rows are ordered, as a sentence."""
    return {
        "shuffle": f"Rows are shuffled globally (seed {manifest.row_order.seed}).",
        "time": "Rows are in time order.",
        "source": "Rows are in the order of the source.",
    }[manifest.row_order.kind]
