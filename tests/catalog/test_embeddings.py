"""Embeddings follow their vocabulary: rows are compared, nothing is trained."""

from __future__ import annotations

import polars as pl
import pytest

torch = pytest.importorskip("torch", reason="needs the extra torch")
from torch import nn  # noqa: E402  after the check that it is there

from headrace.catalog.embeddings import grow_embedding, remap_embedding  # noqa: E402
from headrace.catalog.vocabulary import Vocabulary  # noqa: E402
from headrace.schemas.errors import UsageError  # noqa: E402


def numbered(rows: int, **options: object) -> nn.Embedding:
    """Row n holds n and n + 0.5."""
    weight = torch.arange(rows, dtype=torch.float64)[:, None] + torch.tensor([0.0, 0.5], dtype=torch.float64)
    return nn.Embedding(rows, 2, _weight=weight, **options)


def test_new_rows_begin_as_those_out_of_vocabulary() -> None:
    old = numbered(6, padding_idx=0)
    new = grow_embedding(old, 8, oov_ids=(2, 3))
    assert new.weight.tolist() == [*old.weight.tolist(), [2.5, 3.0], [2.5, 3.0]]
    assert (new.padding_idx, new.weight.dtype, new.weight.requires_grad) == (0, torch.float64, True)
    assert old.num_embeddings == 6


def test_rows_go_where_their_values_go() -> None:
    known = Vocabulary("x", pl.DataFrame({"value": ["a", "b", "c", "d"], "count": [1, 9, 4, 9]}), 0, 1, (2,), 7)
    _, remap = known.compacted(min_count=2)
    new = remap_embedding(numbered(7, max_norm=3.0).eval(), remap)
    assert new.weight[:, 0].tolist() == [0, 1, 2, 4, 6, 5]  # b, d, c; a is out of vocabulary, whose row stays
    assert new.max_norm == 3.0
    assert not new.training


def test_the_old_embedding_shares_nothing_with_the_new_one() -> None:
    old = numbered(4)
    new = grow_embedding(old, 4)
    with torch.no_grad():
        new.weight.fill_(9)
    assert old.weight[:, 0].tolist() == [0, 1, 2, 3]


def test_a_frozen_embedding_stays_frozen() -> None:
    old = nn.Embedding.from_pretrained(torch.zeros(4, 2), freeze=True)
    assert not grow_embedding(old, 5).weight.requires_grad


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="has 6 rows and 5 are asked for"):
        grow_embedding(numbered(6), 5)
    with pytest.raises(UsageError, match="none for id 9"):
        grow_embedding(numbered(6), 7, oov_ids=(9,))
    with pytest.raises(UsageError, match="oov_ids names none"):
        grow_embedding(numbered(6), 7, oov_ids=())
    with pytest.raises(UsageError, match="has 6 rows, the table is of 2 ids up to 1"):
        remap_embedding(numbered(6), pl.DataFrame({"old_id": [0, 1], "new_id": [0, 1]}))
    with pytest.raises(UsageError, match="leave some out"):
        remap_embedding(numbered(2), pl.DataFrame({"old_id": [0, 1], "new_id": [0, 2]}))
