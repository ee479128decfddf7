"""Hugging Face's Trainer trains on a loader, each epoch in an order of its own, and goes on in the middle of one."""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.catalog.loader.training import STEPS, dataset
from transformers import TrainingArguments

from headrace.catalog.loader.huggingface import PLACE, LoaderTrainer
from headrace.schemas.errors import DataError, UsageError

pytestmark = [
    pytest.mark.slow,  # importing transformers takes seconds
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"),
]


class Network(torch.nn.Module):
    """A logistic regression that remembers which rows it was given."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(2, 1)
        self.seen: list[list[int]] = []
        self.losses: list[float] = []

    def forward(self, id: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> dict[str, torch.Tensor]:
        self.seen.append(id.tolist())
        found = self.layer(x).squeeze(1)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(found, y.float())
        self.losses.append(float(loss.detach()))
        return {"loss": loss, "logits": found}


def trained(root: Path, network: Network, folder: str, *, resume: bool | str = False, **options: Any) -> None:
    loader = dataset(root).torch_loader("train", ["id", "y"], pack={"x": ["a", "b"]}, batch_size=64, lanes=4)
    arguments = TrainingArguments(
        output_dir=str(root / folder), report_to=[], disable_tqdm=True, use_cpu=True, learning_rate=0.05, **options
    )
    LoaderTrainer(network, arguments, loader=loader).train(resume_from_checkpoint=resume)


def test_a_run_learns_and_one_that_goes_on_sees_what_was_left(tmp_path: Path) -> None:
    whole = Network()
    trained(tmp_path, whole, "whole", num_train_epochs=2, save_strategy="no")
    first, second = whole.seen[:STEPS], whole.seen[STEPS:]
    assert len(second) == STEPS
    assert sorted(chain.from_iterable(first)) == sorted(chain.from_iterable(second))
    assert first != second
    assert sum(whole.losses[-5:]) < 0.8 * sum(whole.losses[:5])

    begun, steps = Network(), STEPS + 3
    schedule = {"num_train_epochs": 2, "save_steps": steps, "lr_scheduler_type": "constant"}
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, Stopping(begun, steps + 1), "cut", **schedule)
    place = json.loads((tmp_path / "cut" / f"checkpoint-{steps}" / PLACE).read_text())
    assert (place["epoch"], place["step"]) == (1, 3)
    resumed = Network()
    trained(tmp_path, resumed, "cut", resume=True, **schedule)
    assert begun.seen[:steps] + resumed.seen == whole.seen

    elsewhere = Network()
    (tmp_path / "cut" / f"checkpoint-{steps}").rename(tmp_path / "kept")
    trained(tmp_path, elsewhere, "other", resume=str(tmp_path / "kept"), **schedule)
    assert elsewhere.seen == resumed.seen
    for cut in ("", '{"epoch": 1', "\0"):
        (tmp_path / "kept" / PLACE).write_text(cut)
        with pytest.raises(DataError, match="is not the JSON that says where the loader was"):
            trained(tmp_path, Network(), "other", resume=str(tmp_path / "kept"), **schedule)
    (tmp_path / "kept" / PLACE).unlink()
    with pytest.raises(UsageError, match=r"there is no loader\.json"):
        trained(tmp_path, Network(), "other", resume=str(tmp_path / "kept"), **schedule)


def test_a_run_goes_on_twice_though_an_epoch_has_an_odd_batch(tmp_path: Path) -> None:
    """Then the Trainer finds itself an update behind, and at the end of an epoch that it takes for the present one."""
    whole = Network()
    trained(tmp_path, whole, "whole", num_train_epochs=4, save_strategy="no")
    seen = []
    for stop in (4, 15, 24):
        network = Network()
        schedule = {"max_steps": stop, "save_steps": stop, "lr_scheduler_type": "constant"}
        trained(tmp_path, network, "cut", resume=stop > 4, gradient_accumulation_steps=2, **schedule)
        seen.append(network.seen)
    assert [len(part) for part in seen] == [8, 7 + STEPS, STEPS + 2]
    assert list(chain.from_iterable(seen)) == whole.seen[: 2 + 3 * STEPS]


def test_it_goes_on_where_max_steps_ended_it(tmp_path: Path) -> None:
    whole, seen = Network(), []
    trained(tmp_path, whole, "whole", num_train_epochs=2, save_strategy="no")
    for stop in (7, 12, 2 * STEPS):
        network = Network()
        schedule = {"max_steps": stop, "save_steps": stop, "lr_scheduler_type": "constant"}
        trained(tmp_path, network, "cut", resume=stop > 7, **schedule)
        seen += network.seen
    assert seen == whole.seen


def test_it_evaluates_every_row(tmp_path: Path) -> None:
    loaders = {
        name: dataset(tmp_path).torch_loader("train", ["id", "y"], pack={"x": ["a", "b"]}, batch_size=128, **options)
        for name, options in {"loader": {}, "eval_loader": {"shuffle": False, "drop_last": False}}.items()
    }
    arguments = TrainingArguments(
        output_dir=str(tmp_path / "out"),
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
        num_train_epochs=1,
        eval_strategy="epoch",
        label_names=["y"],
    )
    network = Network()
    trainer = LoaderTrainer(network, arguments, compute_metrics=lambda found: {"rows": len(found.label_ids)}, **loaders)
    trainer.train()
    [during] = [entry for entry in trainer.state.log_history if "eval_loss" in entry]
    assert during["eval_rows"] == STEPS * 64
    network.seen.clear()
    assert trainer.evaluate()["eval_loss"] == pytest.approx(during["eval_loss"])
    assert list(chain.from_iterable(network.seen)) == list(range(STEPS * 64))

    other = dataset(tmp_path).torch_loader("train", ["id", "y"], pack={"x": ["a", "b"]}, batch_size=64, shuffle=False)
    network.seen.clear()
    assert trainer.evaluate(other)["eval_rows"] == STEPS * 64
    assert trainer.predict(other).predictions.shape == (STEPS * 64,)
    assert [len(ids) for ids in network.seen] == [64] * (2 * STEPS)
    with pytest.raises(UsageError, match="both given"):
        LoaderTrainer(network, arguments, eval_dataset=other, **loaders)


def searching(root: Path, networks: list[Network]) -> LoaderTrainer:
    def begin() -> Network:
        networks.append(Network())
        return networks[-1]

    loaders = {
        name: dataset(root).torch_loader("train", ["id", "y"], pack={"x": ["a", "b"]}, batch_size=64, **options)
        for name, options in {"loader": {}, "eval_loader": {"shuffle": False}}.items()
    }
    arguments = TrainingArguments(
        output_dir=str(root / "search"), report_to=[], disable_tqdm=True, use_cpu=True, save_steps=10, label_names=["y"]
    )
    return LoaderTrainer(model_init=begin, args=arguments, **loaders)


def test_each_trial_of_a_search_begins_the_loader_anew(tmp_path: Path) -> None:
    networks: list[Network] = []
    trainer = searching(tmp_path, networks)
    del networks[:]  # the Trainer makes one to look at
    objectives: list[float] = []

    def objective(metrics: dict[str, float]) -> float:
        objectives.append(metrics["eval_loss"])
        return objectives[-1]

    best = trainer.hyperparameter_search(
        lambda trial: {"num_train_epochs": trial.suggest_int("num_train_epochs", 2, 2)}, objective, n_trials=2
    )
    assert best.hyperparameters == {"num_train_epochs": 2}
    first, second = networks
    assert first.seen == second.seen
    assert [sorted(chain.from_iterable(first.seen[at : at + STEPS])) for at in (0, STEPS)] == [list(range(960))] * 2
    assert first.seen[:STEPS] != first.seen[STEPS : 2 * STEPS]
    assert objectives[0] == objectives[1]
    assert {path.relative_to(tmp_path / "search").as_posix() for path in tmp_path.rglob(PLACE)} == {
        f"run-{number}/checkpoint-{step}/loader.json" for number in (0, 1) for step in (10, 20, 30)
    }


def test_what_cannot_be_searched_for_is_refused(tmp_path: Path) -> None:
    trainer = searching(tmp_path, [])
    with pytest.raises(UsageError, match="backend is 'ray', and a loader is searched with in this process alone"):
        trainer.hyperparameter_search(lambda _: {}, backend="ray")
    with pytest.raises(UsageError, match="hp_space is not given, and the default one looks for a batch size"):
        trainer.hyperparameter_search()
    with pytest.raises(UsageError, match="per_device_train_batch_size is searched for, and batches are as the loader"):
        trainer.hyperparameter_search(lambda _: {"per_device_train_batch_size": 8}, n_trials=1)


def test_what_is_no_loader_is_refused_when_it_is_made(tmp_path: Path) -> None:
    arguments = TrainingArguments(output_dir=str(tmp_path / "out"), report_to=[], use_cpu=True)
    for named in ({"loader": dataset(tmp_path)}, {"loader": None}, {"loader": [{}]}):
        with pytest.raises(UsageError, match=r"^loader is a (Dataset|NoneType|list)$"):
            LoaderTrainer(Network(), arguments, **named)
    with pytest.raises(TypeError, match="eval_laoder"):
        LoaderTrainer(
            Network(), arguments, loader=dataset(tmp_path).torch_loader("train", batch_size=64), eval_laoder=1
        )


class Stopping(Network):
    """Stops a run as Ctrl-C does, at a step."""

    def __init__(self, network: Network, at: int) -> None:
        super().__init__()
        self.layer, self.seen, self.losses = network.layer, network.seen, network.losses
        self._at = at

    def forward(self, id: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> dict[str, torch.Tensor]:
        if len(self.seen) == self._at:
            raise KeyboardInterrupt
        return super().forward(id, x, y)
