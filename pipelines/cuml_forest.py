"""Trees of cuML's forests, through Treelite: what `as_treelite()` gives, as the arrays that a baseline is saved as."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from headrace.pipelines.models import Trees, check_trees
from headrace.schemas.errors import CapabilityError

_LESS_OR_EQUAL: Final = 3
"""Treelite's operator of a split: left where `x <= threshold`."""


def trees_of(forest: Any, features: int) -> Trees:
    """The trees of a Treelite model whose output is their mean.

    A leaf of a classifier holds the share of each class, of which the second is kept; one of a regressor its value.
    Treelite's fields are those of its model specification, version 4.

    Raises
    ------
    CapabilityError
        A forest of another kind: not the mean of its trees, more than two classes, splits that are not `<=`.
    """
    header = forest.get_header_accessor()
    if int(header.get_field("average_tree_output")[0]) != 1:
        raise _other("its trees are not averaged")
    count = int(header.get_field("num_tree")[0])
    return together([_tree(forest.get_tree_accessor(index)) for index in range(count)], features)


def together(trees: list[Trees], features: int) -> Trees:
    """Single trees as one table of nodes; a tree's nodes are renumbered where one comes before its parent."""
    trees = [_ordered(tree) for tree in trees]
    fields = {
        name: np.concatenate([getattr(tree, name) for tree in trees]) for name in Trees.model_fields if name != "tree"
    }
    numbers = np.repeat(np.arange(len(trees), dtype=np.int32), [tree.feature.size for tree in trees])
    joined = Trees(tree=numbers, **fields)
    check_trees(joined, features, "a forest of cuML's")
    return joined


def _tree(fields: Any) -> Trees:
    left = fields.get_field("cleft").astype(np.int32)
    inner = left >= 0
    if not np.all(fields.get_field("cmp")[inner] == _LESS_OR_EQUAL):
        raise _other("its splits are not x <= threshold")
    return Trees(
        tree=np.zeros(left.size, dtype=np.int32),
        feature=np.where(inner, fields.get_field("split_index"), -1).astype(np.int32),
        threshold=np.where(inner, fields.get_field("threshold"), 0).astype(np.float64),
        left=left,
        right=fields.get_field("cright").astype(np.int32),
        value=_leaf_values(fields, inner),
    )


def _leaf_values(fields: Any, inner: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    shares = fields.get_field("leaf_vector").astype(np.float64)
    if not shares.size:
        return np.where(inner, 0, fields.get_field("leaf_value")).astype(np.float64)
    begin, end = (fields.get_field(name).astype(np.int64) for name in ("leaf_vector_begin", "leaf_vector_end"))
    if not np.all((end - begin)[~inner] == 2):
        raise _other("it has another number of classes than two")
    values = np.zeros(inner.size)
    values[~inner] = shares[begin[~inner] + 1]
    return values


def _ordered(tree: Trees) -> Trees:
    """The tree with its nodes level by level, unless every child comes after its parent as it is."""
    nodes = np.arange(tree.left.size)
    inner = tree.left >= 0
    if all(bool((child > nodes)[inner].all()) for child in (tree.left, tree.right)):
        return tree
    order = [0]
    for node in order:  # grows while it is walked
        if inner[node]:
            order += [int(tree.left[node]), int(tree.right[node])]
            if len(order) > inner.size:
                raise _other("its nodes do not form trees")
    place = np.full(inner.size, -1, dtype=np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    moved = {name: getattr(tree, name)[order] for name in Trees.model_fields}
    for name in ("left", "right"):
        moved[name] = np.where(inner[order], place[moved[name]], -1).astype(np.int32)
    return Trees(**moved)


def _other(why: str) -> CapabilityError:
    return CapabilityError(
        f"a forest of cuML's cannot be saved: {why}", hint="run with --engine cpu, and report this with cuML's version"
    )
