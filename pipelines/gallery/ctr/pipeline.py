"""Will a display ad be clicked? The recipe that Criteo's data are known for.

Counts: null -> 0, below 0 -> 0, log(1 + x), standardized -> Float32. Categories: ids of the values seen at least twice
-> Int32. Beside them, for the baseline, the smoothed click rates of the categories with at most 15,000 values, each row
encoded from the other folds.

Without a source it runs on 200,000 made-up rows with the columns, cardinalities and nulls of Criteo's Kaggle data
(`generator.py`); the label depends on some of the columns, so there is something to learn. `--set source=FOLDER` reads
the Parquet files of a folder; docs/gallery.md says how Criteo's own files get there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from headrace.pipelines.gallery.ctr.generator import CARDINALITIES, CATEGORIES, INTEGERS, LABEL
from headrace.pipelines.model import Baseline, Output, Pipeline, Source
from headrace.pipelines.splits import FractionSplit
from headrace.schemas.odcs import load_contract
from headrace.transforms.base import Operator
from headrace.transforms.categorify import Categorify
from headrace.transforms.hashing import HashCross
from headrace.transforms.missing import FillNull
from headrace.transforms.numeric import Clip, Log1p
from headrace.transforms.scale import Standardize
from headrace.transforms.target import TargetEncode

_SIZES: Final = dict(zip(CATEGORIES, CARDINALITIES, strict=True))
SMALL: Final = [name for name in CATEGORIES if _SIZES[name] <= 15_000]
"""Categories with enough rows a value for a click rate to mean something."""

LARGE: Final = [name for name in CATEGORIES if _SIZES[name] > 1_000_000]
"""Categories that tell rows apart: together they stand for the row number that Criteo's data do not have."""

RECIPE: Final[tuple[Operator, ...]] = (
    FillNull(columns=INTEGERS, value=0),
    Clip(columns=INTEGERS, lower=0),
    Log1p(columns=INTEGERS),
    Standardize(columns=INTEGERS),
    Categorify(columns=CATEGORIES, min_count=2),
)

pipeline = Pipeline(
    name="ctr",
    description="Display ads of Criteo's shape: clicked, or not?",
    source=Source(path="*.parquet"),
    contract=load_contract(Path(__file__).parent / "contract.odcs.yaml"),
    steps=(
        # Before the categories become ids, so that both are learned in one pass. Rows that look the same share a fold.
        HashCross(columns=LARGE, n=2**31 - 1, output="row"),
        TargetEncode(columns=SMALL, target=LABEL, fold_on="row", smoothing=20),
        *RECIPE,
    ),
    target=LABEL,
    split=FractionSplit(fractions={"train": 0.8, "validation": 0.1, "test": 0.1}),
    output=Output(features=[*INTEGERS, *CATEGORIES, *(f"{name}_target" for name in SMALL)]),
    baselines=(
        Baseline(estimator="dummy"),
        Baseline(estimator="logistic_regression", features=INTEGERS, name="logistic regression on the counts"),
        Baseline(estimator="logistic_regression", name="logistic regression on counts and click rates"),
    ),
)
