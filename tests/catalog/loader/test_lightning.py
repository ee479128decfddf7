"""Lightning trains on a dataset, each epoch in an order of its own, and goes on in the middle of one."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from tests.catalog.loader.training import STEPS, dataset

from headrace.catalog.loader.lightning import DatasetModule
from headrace.schemas.errors import UsageError

pytestmark = [
    pytest.mark.slow,  # importing lightning takes seconds
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"),
]


class Network(lightning.LightningModule):
    """A logistic regression that remembers which rows it was given."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(2, 1)
        self.seen: list[list[int]] = []
        self.validated = 0
        self.losses: list[float] = []

    def training_step(self, batch: dict[str, Any], _: int) -> torch.Tensor:
        self.seen.append(batch["id"].tolist())
        loss = self.loss(batch)
        self.losses.append(float(loss.detach()))
        return loss

    def validation_step(self, batch: dict[str, Any], _: int) -> None:
        self.validated += len(batch["id"])

    def loss(self, batch: dict[str, Any]) -> torch.Tensor:
        found = self.layer(batch["x"]).squeeze(1)
        return torch.nn.functional.binary_cross_entropy_with_logits(found, batch["y"].float())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.05)


def trained(root: Path, network: Network, **options: Any) -> None:
    resume, saved = options.pop("ckpt_path", None), options.pop("saved_as", None)
    trainer = lightning.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing="callbacks" in options,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=root,
        **options,
    )
    module = DatasetModule(
        dataset(root), validation="train", columns=["id", "y"], pack={"x": ["a", "b"]}, batch_size=64, lanes=4
    )
    trainer.fit(network, datamodule=module, ckpt_path=resume)
    if saved:
        trainer.save_checkpoint(saved)


def test_a_run_learns_and_one_that_goes_on_sees_what_was_left(tmp_path: Path) -> None:
    whole = Network()
    trained(tmp_path, whole, max_epochs=2)
    first, second = whole.seen[:STEPS], whole.seen[STEPS:]
    assert len(second) == STEPS
    assert sorted(chain.from_iterable(first)) == sorted(chain.from_iterable(second))
    assert first != second
    assert sum(whole.losses[-5:]) < 0.8 * sum(whole.losses[:5])

    begun, steps = Network(), STEPS + 3
    checkpoints = ModelCheckpoint(tmp_path, "cut", every_n_train_steps=steps)
    trained(tmp_path, begun, max_epochs=2, callbacks=[checkpoints])
    resumed = Network()
    trained(tmp_path, resumed, max_epochs=2, ckpt_path=tmp_path / "cut.ckpt")
    assert begun.seen[:steps] + resumed.seen == whole.seen
    assert torch.equal(resumed.layer.weight, whole.layer.weight)


@pytest.mark.parametrize("stopped", [7, STEPS, STEPS + 5])
def test_of_a_checkpoint_of_an_epoch_that_max_steps_ended_the_rest_comes_first(tmp_path: Path, stopped: int) -> None:
    whole, begun, resumed = Network(), Network(), Network()
    trained(tmp_path, whole, max_epochs=2)
    trained(tmp_path, begun, max_steps=stopped, saved_as=tmp_path / "stopped.ckpt")
    assert len(begun.seen) == stopped
    trained(tmp_path, resumed, max_steps=2 * STEPS, ckpt_path=tmp_path / "stopped.ckpt")
    assert begun.seen + resumed.seen == whole.seen
    assert torch.equal(resumed.layer.weight, whole.layer.weight)


def test_lightning_counts_an_epoch_that_max_steps_ended_as_done(tmp_path: Path) -> None:
    whole, begun = Network(), Network()
    trained(tmp_path, whole, max_epochs=2)
    trained(tmp_path, begun, max_steps=7, saved_as=tmp_path / "stopped.ckpt")
    for epochs, expected in [(1, []), (2, whole.seen[STEPS:])]:
        resumed = Network()
        trained(tmp_path, resumed, max_epochs=epochs, ckpt_path=tmp_path / "stopped.ckpt")
        assert resumed.seen == expected


def test_epochs_that_take_fewer_batches_have_orders_of_their_own(tmp_path: Path) -> None:
    whole, resumed = Network(), Network()
    trained(tmp_path, whole, max_epochs=2)
    trained(tmp_path, Network(), max_epochs=1, limit_train_batches=5, saved_as=tmp_path / "first.ckpt")
    trained(tmp_path, resumed, max_epochs=2, limit_train_batches=5, ckpt_path=tmp_path / "first.ckpt")
    assert resumed.seen == whole.seen[STEPS : STEPS + 5]


def test_validation_sees_every_row(tmp_path: Path) -> None:
    network = Network()
    trained(tmp_path, network, max_epochs=1, num_sanity_val_steps=0)
    assert network.validated == dataset(tmp_path).rows["train"]


def test_a_split_that_is_not_there_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'train'"):
        DatasetModule(dataset(tmp_path), validation="trian", batch_size=64)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batchsize": 64}, "a loader has no option 'batchsize'; did you mean 'batch_size'?"),
        ({"num_workers": 2}, "a loader has no option 'num_workers'; there are columns, device, batch_size"),
        ({"rank": 0}, "rank is not for a module to say: the trainer knows it"),
        ({"batch_size": 0}, "batch_size is 0; expected a whole number from 1"),
        ({"columns": ["idd"]}, "has no column 'idd'; did you mean 'id'"),
        ({"shuffle": "row"}, "shuffle is 'row'; expected 'rows' or 'blocks' or False"),
    ],
)
def test_options_are_refused_when_it_is_made(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        DatasetModule(dataset(tmp_path), **{"batch_size": 64} | options)


def test_a_device_may_be_there_in_the_processes_of_the_trainer_alone(tmp_path: Path) -> None:
    assert str(DatasetModule(dataset(tmp_path), batch_size=64, device="cuda:7"))


def test_it_says_what_it_is(tmp_path: Path) -> None:
    module = DatasetModule(dataset(tmp_path), validation="train", batch_size=64)
    assert str(module) == "DatasetModule(demo@1: train='train', validation='train')"
