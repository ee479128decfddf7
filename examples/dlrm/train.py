"""Train a small DLRM on a published dataset, on one process or several, and go on where it was stopped.

    torchrun --standalone --nproc-per-node 2 examples/dlrm/train.py published/flights --checkpoint out/flights.npz

Run it again after it was killed: it goes on from the last checkpoint, with the losses it would have had.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from checkpoint import load, save
from features import Features
from model import DLRM
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from headrace import Dataset, open_dataset


def main() -> None:
    options = arguments()
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if world > 1:
        dist.init_process_group("gloo")
    torch.manual_seed(options.seed)
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // world))
    dataset = open_dataset(options.dataset)
    features = Features.of(dataset)
    model = DLRM(len(features.dense), list(features.tables.values()))
    train(options, dataset, features, model, rank, world)
    if rank == 0:
        compare(dataset, model, features, options.batch_size)
    if world > 1:
        dist.barrier()
        dist.destroy_process_group()


def train(
    options: argparse.Namespace, dataset: Dataset, features: Features, model: DLRM, rank: int, world: int
) -> None:
    """Learn for some epochs; rank 0 writes every loss, and a checkpoint every `save_every` steps."""
    optimizer = torch.optim.Adagrad(model.parameters(), lr=options.learning_rate)
    loader = dataset.torch_loader(
        "train",
        columns=features.columns,
        pack=features.matrices,
        batch_size=options.batch_size,
        rank=rank,
        world_size=world,
        seed=options.seed,
    )
    step, losses = 0, Losses(options.checkpoint.with_suffix(".jsonl"), write=rank == 0)
    if options.checkpoint.exists():
        state, step = load(options.checkpoint, model, optimizer)
        loader.load_state_dict(state)
        say(rank, f"goes on after step {step} of {options.checkpoint}")
    losses.forget_after(step)
    network: nn.Module = DistributedDataParallel(model) if world > 1 else model
    loss_of = nn.BCEWithLogitsLoss()
    for epoch in range(loader.epoch, options.epochs):
        loader.set_epoch(epoch)
        began, first = time.perf_counter(), step
        for batch in loader:
            loss = loss_of(network(batch["dense"], batch["ids"]), batch[features.label].float())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            losses.add(step, over_ranks(loss.detach(), world))
            if rank == 0 and step % options.save_every == 0:
                save(options.checkpoint, model, optimizer, loader.state_dict(), step)
        if step == first:
            say(rank, f"epoch {epoch} was finished before")
            continue
        if rank == 0:
            save(options.checkpoint, model, optimizer, loader.state_dict(), step)
        rate = (step - first) * options.batch_size / (time.perf_counter() - began)
        say(rank, f"epoch {epoch}: {step} steps, loss {losses.last:.4f}, {rate:,.0f} rows/s")


def compare(dataset: Dataset, model: DLRM, features: Features, batch_size: int) -> None:
    """Print the AUC of the network beside those of the dataset's baselines, split by split."""
    from sklearn.metrics import roc_auc_score

    known = {"dlrm": {}} | {b.name: {s: m.get("auc") for s, m in b.metrics.items()} for b in dataset.manifest.baselines}
    for split in dataset.splits:
        loader = dataset.torch_loader(
            split,
            columns=features.columns,
            pack=features.matrices,
            batch_size=min(batch_size, dataset.rows[split]),
            lanes=1,
            shuffle=False,
            drop_last=False,
        )
        with torch.inference_mode():
            found = [(model(b["dense"], b["ids"]).numpy().copy(), b[features.label].numpy().copy()) for b in loader]
        scores, labels = (np.concatenate(parts) for parts in zip(*found, strict=True))
        known["dlrm"][split] = float(roc_auc_score(labels, scores))
    wide = max(map(len, known))
    print(f"{'AUC':<{wide}} " + " ".join(f"{split:>12}" for split in dataset.splits))
    for name, values in known.items():
        print(f"{name:<{wide}} " + " ".join(f"{values.get(s) or float('nan'):>12.4f}" for s in dataset.splits))


class Losses:
    """A line of JSON for each step; the steps after a checkpoint are done again, so theirs go."""

    def __init__(self, path: Path, *, write: bool) -> None:
        self.last = float("nan")
        self._path = path
        self._write = write

    def forget_after(self, step: int) -> None:
        if self._write:
            lines = self._path.read_text().splitlines(keepends=True) if self._path.exists() else []
            self._path.write_text("".join(lines[:step]))

    def add(self, step: int, loss: float) -> None:
        self.last = loss
        if self._write:
            with self._path.open("a") as out:
                out.write(json.dumps({"step": step, "loss": loss}) + "\n")


def over_ranks(value: Tensor, world: int) -> float:
    """The mean of a number over all ranks."""
    if world > 1:
        dist.all_reduce(value)
    return float(value) / world


def say(rank: int, text: str) -> None:
    if rank == 0:
        print(text, flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("dataset", help="published/flights, or any other whose label is 0 or 1")
    parser.add_argument("--checkpoint", type=Path, default=Path("dlrm.npz"))
    parser.add_argument("--save-every", type=int, default=20, metavar="STEPS")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=4096, help="of all processes together")
    parser.add_argument("--learning-rate", type=float, default=0.02)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
