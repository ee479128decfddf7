"""The block of docs/loader.md on TorchRec, and a network of TorchRec that learns from what it makes."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.catalog.loader.page import code
from tests.catalog.loader.worlds import published

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of what TorchRec imports
    pytest.mark.skipif(
        importlib.util.find_spec("torchrec") is None,
        reason="torchrec is not installed: it brings CUDA, so it is in no extra; run by hand as docs/loader.md says",
    ),
]

ITEMS = [[n % 7] * (n % 4) for n in range(64)]
SHOPS = [[n % 5, n % 3] for n in range(64)]


def lists_of(batch: dict[str, Any]) -> Any:
    """What the page's block makes of a batch."""
    names: dict[str, Any] = {"batch": batch}
    exec(code("TorchRec"), names)
    return names["lists"]


@pytest.fixture
def batches(tmp_path: Path) -> list[dict[str, Any]]:
    kind = pa.list_(pa.int32())
    label = np.array([float(len(items) > 1) for items in ITEMS], np.float32)
    table = pa.table({"items": pa.array(ITEMS, kind), "shops": pa.array(SHOPS, kind), "label": label})
    loader = published(tmp_path, (table, [20, 20, 24])).torch_loader("train", batch_size=16, shuffle=False, lanes=1)
    return list(loader)


def test_each_key_has_the_lists_of_its_column(batches: list[dict[str, Any]]) -> None:
    found: dict[str, list[list[int]]] = {"items": [], "shops": []}
    for batch in batches:
        lists = lists_of(batch)
        assert lists.stride() == 16
        for key in found:
            found[key] += [one.tolist() for one in lists[key].to_dense()]
    assert found == {"items": ITEMS, "shops": SHOPS}


def test_a_network_of_torchrec_learns_from_them(batches: list[dict[str, Any]]) -> None:
    import torch
    from torchrec import EmbeddingBagCollection, EmbeddingBagConfig

    torch.manual_seed(0)
    tables = [
        EmbeddingBagConfig(name=f"of_{key}", embedding_dim=4, num_embeddings=8, feature_names=[key])
        for key in ("items", "shops")
    ]
    bags, top = EmbeddingBagCollection(tables=tables), torch.nn.Linear(8, 1)
    optimizer = torch.optim.Adam([*bags.parameters(), *top.parameters()], lr=0.1)
    losses = []
    for _ in range(10):
        for batch in batches:
            scores = top(bags(lists_of(batch)).values()).squeeze(1)
            loss = torch.nn.functional.binary_cross_entropy_with_logits(scores, batch["label"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
