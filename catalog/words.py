"""What a build is, in a sentence: cards, metadata and pages say it in the same words."""

from __future__ import annotations

from headrace.catalog.manifest import Manifest


def about(manifest: Manifest) -> str:
    """Rows, columns and bytes; which pipeline made them of what, and when; the order of the rows. One line."""
    producer = manifest.producer
    pipeline = f" by the pipeline {manifest.pipeline.name}" if manifest.pipeline else ""
    files = f"{len(manifest.inputs):,} files" if len(manifest.inputs) > 1 else "one file"
    inputs = f" from {files} with {sum(i.rows for i in manifest.inputs):,} rows" if manifest.inputs else ""
    return (
        f"{manifest.rows:,} rows, {len(manifest.arrow_schema):,} columns; "
        f"made{pipeline}{inputs} on {manifest.created_at[:10]} "
        f"with headrace {producer.headrace} (Polars {producer.polars}, {producer.engine}). {row_order(manifest)}"
    )


def row_order(manifest: Manifest) -> str:
    """How the rows are ordered, as a sentence."""
    return {
        "shuffle": f"Rows are shuffled globally (seed {manifest.row_order.seed}).",
        "time": "Rows are in time order.",
        "source": "Rows are in the order of the source.",
    }[manifest.row_order.kind]
