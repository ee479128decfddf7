"""A small network of the kind that ranks advertisements: embeddings and dense features, and products of all pairs.

Source: Naumov et al. (2019), "Deep Learning Recommendation Model for Personalization and Recommendation Systems",
https://arxiv.org/abs/1906.00091
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class DLRM(nn.Module):
    """Logits of a label out of dense features and ids.

    Parameters
    ----------
    dense
        How many dense features there are.
    cardinalities
        Of each categorical column: its ids are below it.
    width
        Of an embedding, and of what the dense features become.
    hidden
        Of the layers between.
    """

    def __init__(self, dense: int, cardinalities: Sequence[int], width: int = 16, hidden: int = 64) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList(nn.Embedding(rows, width) for rows in cardinalities)
        for table in self.embeddings:
            nn.init.uniform_(table.weight, -(width**-0.5), width**-0.5)
        self.bottom = nn.Sequential(nn.Linear(dense, hidden), nn.ReLU(), nn.Linear(hidden, width), nn.ReLU())
        vectors = len(cardinalities) + 1
        self.register_buffer("pairs", torch.triu_indices(vectors, vectors, 1), persistent=False)
        self.top = nn.Sequential(
            nn.Linear(width + vectors * (vectors - 1) // 2, hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )

    def forward(self, dense: Tensor, ids: Tensor) -> Tensor:
        """Logits, float32 [rows], of `dense`, float32 [rows, features], and `ids`, integers [rows, columns]."""
        below = self.bottom(dense)
        vectors = torch.stack([below, *(table(ids[:, i]) for i, table in enumerate(self.embeddings))], dim=1)
        products = vectors @ vectors.transpose(1, 2)
        first, second = self.pairs
        logits: Tensor = self.top(torch.cat([below, products[:, first, second]], dim=1))
        return logits.squeeze(1)
