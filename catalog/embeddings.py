"""Embeddings that follow their vocabulary: more rows where it has grown, rows moved where it was ranked anew.

The only module of the catalog that imports torch at its top; nothing else imports it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
import torch
from torch import nn

from headrace.schemas.errors import UsageError


def grow_embedding(embedding: nn.Embedding, cardinality: int, *, oov_ids: Sequence[int] = (2,)) -> nn.Embedding:
    """An embedding with rows for the values that a continued vocabulary has more.

    Parameters
    ----------
    embedding
        Of the older vocabulary; it is not changed.
    cardinality
        The new number of rows, at least the old one: `cardinality` of the column in the new manifest.
    oov_ids
        Ids out of vocabulary. A new row is the mean of theirs: they are what its value was before.

    Returns
    -------
    torch.nn.Embedding
        With the old rows unchanged, and the options, dtype, device and training mode of the old one.

    Raises
    ------
    UsageError
        Fewer rows than there are, or an id that the old embedding does not have.
    """
    old = embedding.num_embeddings
    if cardinality < old:
        raise UsageError(f"the embedding has {old} rows and {cardinality} are asked for", hint="remap_embedding")
    if outside := [i for i in oov_ids if not 0 <= i < old]:
        raise UsageError(f"the embedding has {old} rows and none for id {outside[0]}")
    weight = embedding.weight.detach()
    if not len(oov_ids):
        raise UsageError("new rows begin as those out of vocabulary, and oov_ids names none")
    start = weight[torch.as_tensor(list(oov_ids), device=weight.device)].mean(dim=0, keepdim=True)
    return _like(embedding, torch.cat([weight, start.expand(cardinality - old, -1)]))


def remap_embedding(embedding: nn.Embedding, remap: pl.DataFrame) -> nn.Embedding:
    """An embedding with its rows where a vocabulary that was ranked anew has their values.

    Parameters
    ----------
    embedding
        Of the vocabulary before; it is not changed.
    remap
        `old_id` and `new_id`, for every row: what `headrace vocabulary compact` writes. A value that went has the id of
        one that stays, whose own row that remains.

    Returns
    -------
    torch.nn.Embedding
        With the options, dtype, device and training mode of the old one, and as many rows as there are new ids.

    Raises
    ------
    UsageError
        A table of other ids than the embedding has rows.
    """
    old, new = (remap[c].cast(pl.Int64) for c in ("old_id", "new_id"))
    if not old.sort().equals(pl.Series("old_id", range(embedding.num_embeddings), dtype=pl.Int64)):
        raise UsageError(
            f"the embedding has {embedding.num_embeddings} rows, the table is of {old.n_unique()} ids"
            f"{f' up to {max(old.to_list())}' if len(old) else ''}",
            hint="every id of the old vocabulary must be in it once",
        )
    # Of several ids that become one, the one that stays came first: special ids, then those that are still there.
    kept = pl.DataFrame([old, new]).sort(pl.col("old_id") != pl.col("new_id"), "old_id", maintain_order=True)
    source = kept.unique("new_id", keep="first", maintain_order=True).sort("new_id")
    if not source["new_id"].equals(pl.Series("new_id", range(source.height), dtype=pl.Int64)):
        raise UsageError("the new ids leave some out", hint="write the table anew with `headrace vocabulary compact`")
    weight = embedding.weight.detach()
    return _like(embedding, weight[torch.as_tensor(source["old_id"].to_list(), device=weight.device)])


def _like(embedding: nn.Embedding, weight: Any) -> nn.Embedding:
    made = nn.Embedding(
        weight.shape[0],
        embedding.embedding_dim,
        padding_idx=embedding.padding_idx,
        max_norm=embedding.max_norm,
        norm_type=embedding.norm_type,
        scale_grad_by_freq=embedding.scale_grad_by_freq,
        sparse=embedding.sparse,
        _weight=weight.clone(),
    )
    made.weight.requires_grad_(embedding.weight.requires_grad)
    return made.train(embedding.training)
