"""Hugging Face's Trainer on a published dataset, whose place in an epoch is in the Trainer's own checkpoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from headrace.catalog.loader.loader import Loader

PLACE: Final = "loader.json"
"""The file of a checkpoint that says where the loader was."""


class LoaderTrainer(Trainer):
    """A `transformers.Trainer` that trains on the batches of a loader.

    Parameters
    ----------
    loader
        What `Dataset.torch_loader` gave. Its batches are the keyword arguments of the model; `batch_size` and the
        order are the loader's, not those of `TrainingArguments`. Several ranks: make it with the rank and the world
        size of this process.
    arguments
        As of `transformers.Trainer`.

    Notes
    -----
    Each epoch has an order of its own. A run that goes on, `train(resume_from_checkpoint=True)`, goes on behind the
    last batch before the checkpoint, without reading those before; batches are not skipped one by one.
    """

    def __init__(self, *arguments: Any, loader: Loader, **named: Any) -> None:
        named["callbacks"] = [*(named.get("callbacks") or ()), _Place(loader)]
        super().__init__(*arguments, **named)
        self.loader = loader
        self.args.ignore_data_skip = True

    def get_train_dataloader(self) -> Loader:
        return self.loader


class _Place(TrainerCallback):
    """Writes where the loader is beside each checkpoint, and finds it there when a run goes on."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.is_world_process_zero:
            _file(args, state).write_text(json.dumps(self._loader.state_dict()))

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.global_step:
            self._loader.load_state_dict(json.loads(_file(args, state).read_text()))


def _file(args: TrainingArguments, state: TrainerState) -> Path:
    return Path(str(args.output_dir)) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}" / PLACE
