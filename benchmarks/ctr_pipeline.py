"""The ctr job as a headrace pipeline, everything on: contract, shuffle, statistics, checksums, publishing.

    PYTHONPATH=. headrace run benchmarks/ctr_pipeline.py:pipeline --set source=FOLDER --catalog CATALOG

The steps are the recipe of the gallery's `ctr`, without its click rates. All rows are in one split, so that statistics
are learned on all of them, as the scripts do.
"""

from __future__ import annotations

from headrace.pipelines.gallery.ctr.generator import CATEGORIES, INTEGERS, LABEL
from headrace.pipelines.gallery.ctr.pipeline import RECIPE
from headrace.pipelines.model import Pipeline
from headrace.schemas.contract import Column, Contract

contract = Contract(
    name="ctr",
    columns=(
        Column(name=LABEL, dtype="Int64", required=True, allowed=(0, 1), role="target"),
        *(Column(name=name, dtype="Int64", minimum=-2) for name in INTEGERS),
        *(Column(name=name, dtype="String", min_length=8, max_length=8) for name in CATEGORIES),
    ),
)

pipeline = Pipeline.model_validate(
    {
        "name": "ctr",
        "description": "Criteo's shape: standardized logarithms of 13 counts, ids of 26 categories.",
        "source": {"path": "*.parquet"},
        "contract": contract,
        "steps": RECIPE,
        "target": LABEL,
        "split": {"by": "fraction", "fractions": {"train": 1.0}},
    }
)
