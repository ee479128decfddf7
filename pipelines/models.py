"""Baselines saved as numbers: JSON for linear models, one Parquet table for forests, and a prediction of our own.

No pickle, and not skops either: it keeps scikit-learn's objects, so that a file opens only where the same versions are
installed (its own documentation says so) and would be one more dependency with a list of trusted types to keep. A
forest is five arrays and a linear model two; they open everywhere, for as long as Parquet and JSON do.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError

from headrace.catalog.files import durable_file
from headrace.pipelines.estimators import Task
from headrace.pipelines.matrix import Floats
from headrace.pipelines.places import Matrix
from headrace.schemas.errors import DataError

MODEL_FILE: Final = "model.json"
TREES_FILE: Final = "trees.parquet"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    format: Literal[1] = 1
    estimator: str
    task: Task
    target: str
    features: tuple[str, ...]
    library: str = Field(description="what fitted it: name and version")

    def matrix(self, frame: pl.DataFrame) -> Matrix:
        """The model's features of a frame as float32. Raises DataError for columns that are missing."""
        if missing := [name for name in self.features if name not in frame.columns]:
            raise DataError(f"{len(missing)} columns are missing: {', '.join(missing[:12])}")
        if not self.features:
            return np.empty((frame.height, 0), dtype=np.float32)
        return np.column_stack([frame[name].cast(pl.Float32).to_numpy() for name in self.features])


class ConstantModel(_Model):
    """The same for every row: the share of ones or the mean of the training rows."""

    kind: Literal["constant"] = "constant"
    value: FiniteFloat

    def predict(self, features: Matrix) -> Floats:
        """float64, a value a row: the probability of 1, or the number."""
        return np.full(len(features), self.value)


class LinearModel(_Model):
    """`intercept + sum(coefficient * (x - mean) / scale)`, through the logistic function for a classification."""

    kind: Literal["linear"] = "linear"
    intercept: FiniteFloat
    coefficients: tuple[FiniteFloat, ...]
    mean: tuple[FiniteFloat, ...]
    scale: tuple[FiniteFloat, ...]

    def predict(self, features: Matrix) -> Floats:
        """float64, a value a row: the probability of 1, or the number. An array of CuPy gives one of CuPy."""
        weights = np.divide(self.coefficients, self.scale)
        # Centred first: folding the means into the intercept would cancel digits where they are large.
        score = np.full_like(features, self.intercept, dtype=np.float64, shape=len(features))
        for column, (weight, mean) in enumerate(zip(weights.tolist(), self.mean, strict=True)):
            score += weight * (features[:, column].astype(np.float64) - mean)
        return _logistic(score) if self.task == "classification" else score


class Trees(BaseModel):
    """Nodes of all trees, tree by tree; `left` and `right` count from a tree's first node, and are -1 at a leaf."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    tree: npt.NDArray[np.int32]
    feature: npt.NDArray[np.int32]
    threshold: npt.NDArray[np.float64]
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    value: npt.NDArray[np.float64]


class ForestModel(_Model):
    """The mean over trees of the value at the leaf a row falls into; left where `x <= threshold` in float32."""

    kind: Literal["forest"] = "forest"
    trees: Annotated[Trees | None, Field(exclude=True)] = None

    def predict(self, features: Matrix) -> Floats:
        """float64, a value a row: the probability of 1, or the number. Cost: trees x depth passes over the rows."""
        assert self.trees is not None
        total = np.zeros(len(features))
        starts = np.flatnonzero(np.diff(self.trees.tree, prepend=-1))
        for start in starts.tolist():
            at = np.full(len(features), start)
            active = np.arange(len(features))
            while active.size:
                node = at[active]
                inner = self.trees.left[node] >= 0
                active, node = active[inner], node[inner]
                goes_left = features[active, self.trees.feature[node]] <= self.trees.threshold[node]
                at[active] = start + np.where(goes_left, self.trees.left[node], self.trees.right[node])
            total += self.trees.value[at]
        return total / len(starts)


Model = ConstantModel | LinearModel | ForestModel
_ANY: Final[TypeAdapter[Model]] = TypeAdapter(Annotated[Model, Field(discriminator="kind")])


def export(fitted: Any, family: str, about: Mapping[str, Any], mean: Floats, scale: Floats) -> Model:
    """A fitted scikit-learn estimator as numbers. `mean` and `scale` are what a linear model's columns went through."""
    if family == "constant":
        classes = about["task"] == "classification"
        value = fitted.class_prior_[1] if classes else fitted.constant_.ravel()[0]
        return ConstantModel(**about, value=float(value))
    if family == "linear":
        return LinearModel(
            **about,
            intercept=float(np.ravel(fitted.intercept_)[0]),
            coefficients=tuple(np.ravel(fitted.coef_).astype(float).tolist()),
            mean=tuple(mean.tolist()),
            scale=tuple(scale.tolist()),
        )
    trees = [estimator.tree_ for estimator in fitted.estimators_]
    which = 1 if about["task"] == "classification" else 0
    return ForestModel(
        **about,
        trees=Trees(
            tree=np.repeat(np.arange(len(trees), dtype=np.int32), [tree.node_count for tree in trees]),
            feature=np.concatenate([np.maximum(tree.feature, -1) for tree in trees]).astype(np.int32),
            threshold=np.concatenate([tree.threshold for tree in trees]),
            left=np.concatenate([tree.children_left for tree in trees]).astype(np.int32),
            right=np.concatenate([tree.children_right for tree in trees]).astype(np.int32),
            value=np.concatenate([tree.value[:, 0, which] for tree in trees]),
        ),
    )


def save_model(model: Model, folder: Path) -> None:
    """Write `model.json`, and `trees.parquet` for a forest. Equal models give equal bytes, and may be written again."""
    if isinstance(model, ForestModel):
        assert model.trees is not None
        table = pa.table({name: getattr(model.trees, name) for name in Trees.model_fields})
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd", use_dictionary=False, write_page_checksum=True)
        write_once(folder / TREES_FILE, buffer.getvalue())
    write_once(folder / MODEL_FILE, (json.dumps(model.model_dump(), indent=1) + "\n").encode())


def load_model(folder: Path) -> Model:
    """Read what `save_model` wrote: JSON and Parquet are parsed and checked, nothing in them is run.

    Raises DataError for anything else, a pickle included, and for trees whose nodes do not lead to a leaf.
    """
    path = folder / MODEL_FILE
    try:
        model = _ANY.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise DataError(f"is no saved baseline: {_first_line(error)}", where=str(path)) from error
    if not isinstance(model, ForestModel):
        return model
    path = folder / TREES_FILE
    try:
        table = pq.read_table(
            path, columns=list(Trees.model_fields), page_checksum_verification=True, partitioning=None
        )
        trees = Trees(**{name: np.ascontiguousarray(table[name].to_numpy()) for name in Trees.model_fields})
    except (OSError, pa.ArrowException, ValidationError) as error:
        raise DataError(f"is no saved forest: {_first_line(error)}", where=str(path)) from error
    check_trees(trees, len(model.features), str(path))
    return model.model_copy(update={"trees": trees})


def write_once(path: Path, data: bytes) -> None:
    """Write a file in one atomic step; the same bytes again are no error, other bytes raise DataError."""
    if path.is_file() and path.read_bytes() == data:
        return
    with durable_file(path) as out:
        out.write(data)


def check_trees(trees: Trees, features: int, where: str) -> None:
    """Raise DataError for nodes that do not form trees: a child before its parent, or in another tree."""
    nodes = np.bincount(trees.tree) if trees.tree.size and trees.tree.min() >= 0 else np.zeros(0, dtype=np.int64)
    starts = np.append(0, np.cumsum(nodes)[:-1]) if nodes.size else nodes
    own = np.arange(trees.tree.size) - np.repeat(starts, nodes) if nodes.size else nodes
    inner = trees.left >= 0
    size = np.repeat(nodes, nodes) if nodes.size else nodes
    # Children lie behind their parent: so every walk ends, and within its own tree.
    good = (
        nodes.size > 0
        and bool((nodes > 0).all())
        and bool((np.diff(trees.tree) >= 0).all())
        and all(bool(((c > own) & (c < size))[inner].all()) for c in (trees.left, trees.right))
        and bool(((trees.feature >= 0) & (trees.feature < features))[inner].all())
    )
    if not good:
        raise DataError("is no saved forest: its nodes do not form trees", where=where)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _logistic(score: Floats) -> Floats:
    """Without overflow for any finite score."""
    small = np.exp(-np.abs(score))
    return np.where(score >= 0, 1 / (1 + small), small / (1 + small))
