from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.catalog.columns import COLUMNS, EXPECTED, plain
from tests.catalog.loader.worlds import published

from headrace.catalog.device import Ragged
from headrace.schemas.errors import CapabilityError, UsageError

torch = pytest.importorskip("torch", reason="torch comes with the extra of that name")


def test_batches_are_tensors_of_the_columns_types(tmp_path: Path) -> None:
    dataset = published(tmp_path, (COLUMNS, [1, 2]))
    (batch,) = dataset.torch_loader("train", batch_size=3, shuffle=False)
    assert {name: plain(value) for name, value in batch.items()} == EXPECTED
    assert batch["uint32"].dtype == torch.uint32
    assert batch["flag"].dtype == batch["flags"].values.dtype == torch.bool
    assert batch["embedding"].shape == (3, 2)
    assert batch["items"].offsets.dtype == torch.int64


def test_tensors_have_what_arrays_have(tmp_path: Path) -> None:
    table = pa.table({"id": np.arange(500), "x": np.arange(500, dtype=np.float32)})
    dataset = published(tmp_path, (table, [100] * 5))
    options: dict[str, Any] = {"batch_size": 48, "drop_last": "pad", "pack": {"m": ["x", "id"]}, "seed": 5}
    tensors = list(dataset.torch_loader("train", **options))
    arrays = list(dataset.numpy_loader("train", **options))
    assert [list(batch) for batch in tensors] == [["m", "_valid"]] * 11
    for ours, theirs in zip(tensors, arrays, strict=True):
        assert all(np.array_equal(ours[name].numpy(), theirs[name]) for name in theirs)


def test_kept_tensors_keep_their_rows(tmp_path: Path) -> None:
    dataset = published(tmp_path, (pa.table({"id": np.arange(5_000)}), [500] * 10))
    kept = [batch["id"] for batch in dataset.torch_loader("train", batch_size=8, drop_last=False, prefetch=0)]
    assert sorted(torch.cat(kept).tolist()) == list(range(5_000))


def test_a_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    dataset = published(tmp_path, (COLUMNS, [3]))
    with pytest.raises(UsageError, match="unknown device 'gpu'"):
        dataset.torch_loader("train", batch_size=1, device="gpu")
    if not torch.cuda.is_available():
        with pytest.raises(CapabilityError, match="sees no GPU"):
            dataset.torch_loader("train", batch_size=1, device="cuda:0")


def test_a_dataloader_around_it_is_told_that_it_is_not_needed(tmp_path: Path) -> None:
    loader = published(tmp_path, (COLUMNS, [3])).torch_loader("train", batch_size=1)
    for options in ({}, {"batch_size": None}):
        with pytest.raises(UsageError, match="one after the other") as caught:
            next(iter(torch.utils.data.DataLoader(loader, **options)))
        assert "no DataLoader goes around it" in (caught.value.hint or "")


def test_lists_are_ragged(tmp_path: Path) -> None:
    table = pa.table({"items": pa.array([[n] * (n % 4) for n in range(64)], pa.list_(pa.int32()))})
    for batch in published(tmp_path, (table, [20, 20, 24])).torch_loader("train", batch_size=16):
        assert isinstance(batch["items"], Ragged)
        assert batch["items"].offsets[-1] == len(batch["items"].values)


RANK = """
import json, sys
import torch, torch.distributed as dist
from headrace import open_dataset
uri, rank, world, port, out = sys.argv[1], int(sys.argv[2]), 2, sys.argv[3], sys.argv[4]
dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
torch.manual_seed(0)
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(1, 1))
optimizer = torch.optim.SGD(model.parameters(), 1e-3)
loader = open_dataset(uri).torch_loader("train", batch_size=64, rank=rank, world_size=world, drop_last="pad")
seen, losses = [], []
for epoch in range(2):
    loader.set_epoch(epoch)
    for batch in loader:
        valid = batch["_valid"]
        error = (model(batch["x"][:, None]).squeeze(1) - 2 * batch["x"]) ** 2
        loss = (error * valid).sum() / 64
        optimizer.zero_grad(); loss.backward(); optimizer.step()
        seen.append(batch["id"][valid].tolist()); losses.append(loss.item())
dist.destroy_process_group()
json.dump({"seen": seen, "steps": len(losses), "weight": model.module.weight.item()}, open(f"{out}/{rank}.json", "w"))
"""


@pytest.mark.slow
def test_two_processes_train_together_to_the_end(tmp_path: Path) -> None:
    numbers = np.arange(1_000)
    table = pa.table({"id": numbers, "x": (numbers / 1_000).astype(np.float32)})
    dataset = published(tmp_path, (table, [130] * 7 + [90]))
    port = free_port()
    commands = [[sys.executable, "-c", RANK, dataset.place.uri, str(n), port, str(tmp_path)] for n in range(2)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
    try:
        for process in processes:
            _, errors = process.communicate(timeout=240)
            assert process.returncode == 0, errors
    finally:
        for process in processes:
            process.kill()
            process.wait()
    ranks = [json.loads((tmp_path / f"{n}.json").read_text()) for n in range(2)]
    assert [rank["steps"] for rank in ranks] == [32, 32]
    assert ranks[0]["weight"] == ranks[1]["weight"]
    for epoch in range(2):
        rows = [row for rank in ranks for step in rank["seen"][epoch * 16 : epoch * 16 + 16] for row in step]
        assert sorted(rows) == list(range(1_000))


def free_port() -> str:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return str(taken.getsockname()[1])
