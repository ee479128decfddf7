"""NumPy in CuPy's place, pyarrow in cuDF's and scikit-learn in cuML's: so that our own lines run without a GPU.

It says nothing about cuML's numbers. Keyword arguments are those of cuML 26.10; `test_cuml_signatures.py` compares
them with the installed one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn import ensemble, linear_model

from headrace.pipelines.cuml_libraries import Libraries
from headrace.pipelines.gpu_matrix import DevicePlace

FOREST = frozenset(
    {
        "n_estimators",
        "split_criterion",
        "bootstrap",
        "max_samples",
        "max_depth",
        "max_leaves",
        "max_features",
        "n_bins",
        "min_samples_leaf",
        "min_samples_split",
        "min_impurity_decrease",
        "max_batch_size",
        "random_state",
        "n_streams",
        "oob_score",
        "verbose",
        "output_type",
    }
)
KEYWORDS: dict[str, frozenset[str]] = {
    "cuml.ensemble.RandomForestClassifier": FOREST | {"class_weight"},
    "cuml.ensemble.RandomForestRegressor": FOREST,
    "cuml.linear_model.LogisticRegression": frozenset(
        {
            "penalty",
            "tol",
            "C",
            "fit_intercept",
            "class_weight",
            "max_iter",
            "linesearch_max_iter",
            "l1_ratio",
            "solver",
            "lbfgs_memory",
            "penalty_normalized",
            "verbose",
            "output_type",
        }
    ),
    "cuml.linear_model.Ridge": frozenset(
        {"alpha", "fit_intercept", "solver", "tol", "max_iter", "copy_X", "output_type", "verbose"}
    ),
}


def libraries(name: str = "cuml imitated") -> Libraries:
    return Libraries(DevicePlace(np, read_parquet), find, name)


def read_parquet(path: str, *, columns: list[str], row_groups: list[list[int]]) -> Frame:
    (groups,) = row_groups
    return Frame(pq.ParquetFile(path).read_row_groups(groups, columns=columns))


class Frame:
    """What is used of a `cudf.DataFrame`."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def take(self, indices: Any) -> Frame:
        assert indices.dtype == np.int64
        return Frame(self._table.take(pa.array(indices)))

    def __getitem__(self, name: str) -> Series:
        return Series(self._table[name])


class Series:
    """What is used of a `cudf.Series`."""

    def __init__(self, values: pa.ChunkedArray) -> None:
        self._values = values

    @property
    def null_count(self) -> int:
        return int(self._values.null_count)

    def astype(self, dtype: str) -> Series:
        return Series(self._values.cast(dtype))

    @property
    def values(self) -> Any:
        if self.null_count or pa.types.is_decimal(self._values.type):
            raise NotImplementedError(f"CuPy does not support {self._values.type}")
        return self._values.to_numpy()


def find(path: str) -> Any:
    """The stand-in for a class of cuML or of `cuml.dask`."""
    single = path.replace("cuml.dask.", "cuml.", 1)
    kind = {
        "cuml.ensemble.RandomForestClassifier": ForestClassifier,
        "cuml.ensemble.RandomForestRegressor": ForestRegressor,
        "cuml.linear_model.LogisticRegression": Logistic,
        "cuml.linear_model.Ridge": Ridge,
    }[single]
    if path == single:
        return kind
    return lambda *, client, **keywords: OnWorkers(kind, client, keywords)


def _check(kind: Any, keywords: dict[str, Any]) -> None:
    if unknown := set(keywords) - KEYWORDS[kind.path]:
        raise TypeError(f"unexpected keyword arguments {sorted(unknown)}")


def _check_matrix(columns: Any) -> None:
    assert columns.dtype == np.float32
    assert columns.flags.f_contiguous


class Ridge:
    path = "cuml.linear_model.Ridge"

    def __init__(self, **keywords: Any) -> None:
        _check(type(self), keywords)
        solver = {"lsmr": "lsqr"}.get(keywords.get("solver", "auto"), keywords.get("solver", "auto"))
        self._by = linear_model.Ridge(**{**keywords, "solver": solver})
        self.n_iter_ = None

    def fit(self, columns: Any, target: Any) -> Ridge:
        _check_matrix(columns)
        assert target.dtype == np.float32
        self._by.fit(columns, target)
        self.coef_, self.intercept_ = self._by.coef_, self._by.intercept_
        return self


class Logistic:
    path = "cuml.linear_model.LogisticRegression"

    def __init__(self, **keywords: Any) -> None:
        _check(type(self), keywords)
        assert keywords.pop("solver") == "qn"
        penalty, ratio = keywords.pop("penalty"), keywords.pop("l1_ratio")
        if keywords.get("C", 1.0) < 0:
            raise ValueError("C must be positive")
        ratio = {"l1": 1.0, "l2": 0.0}.get(penalty, ratio)
        self._by = linear_model.LogisticRegression(**keywords, l1_ratio=ratio, solver="saga" if ratio else "lbfgs")

    def fit(self, columns: Any, target: Any) -> Logistic:
        _check_matrix(columns)
        assert target.dtype in (np.int32, np.float32)
        self._by.fit(columns, target)
        self.coef_, self.intercept_, self.n_iter_ = self._by.coef_, self._by.intercept_, self._by.n_iter_
        return self


class Forest:
    path: str
    kind: Any
    target: Any

    def __init__(self, **keywords: Any) -> None:
        _check(type(self), keywords)
        criterion = {"mse": "squared_error"}.get(keywords.get("split_criterion"), keywords.get("split_criterion"))
        leaves = keywords.get("max_leaves", -1)
        same = {k: v for k, v in keywords.items() if k not in ("split_criterion", "max_leaves")}
        self._by = self.kind(
            **same, max_leaf_nodes=None if leaves == -1 else leaves, **({"criterion": criterion} if criterion else {})
        )

    def fit(self, columns: Any, target: Any) -> Forest:
        _check_matrix(columns)
        assert target.dtype == self.target
        self._by.fit(columns, target)
        return self

    def predict(self, columns: Any) -> Any:
        return self._by.predict(columns).astype(np.float32)

    def as_treelite(self) -> Treelite:
        return Treelite(self._by)


class ForestClassifier(Forest):
    path = "cuml.ensemble.RandomForestClassifier"
    kind = ensemble.RandomForestClassifier
    target = np.int32

    def predict_proba(self, columns: Any) -> Any:
        return self._by.predict_proba(columns).astype(np.float32)


class ForestRegressor(Forest):
    path = "cuml.ensemble.RandomForestRegressor"
    kind = ensemble.RandomForestRegressor
    target = np.float32


class OnWorkers:
    """What is used of an estimator of `cuml.dask`: it takes Dask arrays, one block a worker."""

    def __init__(self, kind: Any, client: Any, keywords: dict[str, Any]) -> None:
        self._model, self._client = kind(**keywords), client

    def fit(self, columns: Any, target: Any) -> OnWorkers:
        assert columns.numblocks[1:] == (1,)
        assert columns.chunks[0] == target.chunks[0]
        assert 0 not in columns.chunks[0]
        whole, label = self._client.gather(self._client.compute([columns, target]))
        self._model.fit(np.asfortranarray(whole), label)
        return self

    def get_combined_model(self) -> Any:
        return self._model


class Treelite:
    """A forest as Treelite tells it: version 4 of its model specification."""

    def __init__(self, forest: Any, **header: Any) -> None:
        self._trees = [Tree(one.tree_) for one in forest.estimators_]
        self._header = {"average_tree_output": [1], "num_tree": [len(self._trees)], **header}

    def get_header_accessor(self) -> Fields:
        return Fields({name: np.asarray(value) for name, value in self._header.items()})

    def get_tree_accessor(self, tree_id: int) -> Fields:
        return Fields(self._trees[tree_id].fields)


class Tree:
    def __init__(self, tree: Any) -> None:
        leaf = tree.children_left < 0
        classes = tree.value.shape[2]
        self.fields: dict[str, Any] = {
            "cleft": tree.children_left.astype(np.int32),
            "cright": tree.children_right.astype(np.int32),
            "split_index": tree.feature.astype(np.int32),
            "threshold": tree.threshold,
            "cmp": np.where(leaf, 0, 3).astype(np.int8),
            "leaf_value": np.zeros(leaf.size) if classes > 1 else np.where(leaf, tree.value[:, 0, 0], 0),
            "leaf_vector": np.zeros(0) if classes == 1 else tree.value[leaf, 0, :].ravel(),
        }
        end = np.cumsum(np.where(leaf & (classes > 1), classes, 0)).astype(np.uint64)
        self.fields |= {"leaf_vector_begin": np.append(np.uint64(0), end[:-1]), "leaf_vector_end": end}


class Fields:
    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = fields

    def get_field(self, name: str) -> Any:
        return self._fields[name]
