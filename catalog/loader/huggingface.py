"""Hugging Face's Trainer on a published dataset, whose place in an epoch is in the Trainer's own checkpoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, get_last_checkpoint

from headrace.catalog.loader.loader import Loader
from headrace.schemas.errors import UsageError

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
    eval_loader
        What `evaluate()` reads, and evaluations while it trains: made with `shuffle=False, drop_last=False` it has all
        rows once. `TrainingArguments(label_names=[...])` says which entries are labels.
    arguments
        As of `transformers.Trainer`.

    Notes
    -----
    Each epoch has an order of its own. A run that goes on, `train(resume_from_checkpoint=True)` or the folder of a
    checkpoint, goes on behind the last batch before it, without reading those before; batches are not skipped one by
    one.
    """

    def __init__(self, *arguments: Any, loader: Loader, eval_loader: Loader | None = None, **named: Any) -> None:
        self._place = _Place(loader)
        named["callbacks"] = [*(named.get("callbacks") or ()), self._place]
        if eval_loader is not None:
            named["eval_dataset"] = eval_loader
        super().__init__(*arguments, **named)
        self.loader = loader
        self.eval_loader = eval_loader
        self.args.ignore_data_skip = True

    def get_train_dataloader(self) -> Loader:
        return self.loader

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        if self.eval_loader is None or eval_dataset not in (None, self.eval_loader):
            return super().get_eval_dataloader(eval_dataset)
        return self.eval_loader

    def train(self, resume_from_checkpoint: str | Path | bool | None = None, **named: Any) -> Any:
        """As of `transformers.Trainer`."""
        found = resume_from_checkpoint
        if found is True:
            found = get_last_checkpoint(self.args.output_dir)
        self._place.resumed = Path(found) if found else None
        return super().train(resume_from_checkpoint, **named)


class _Place(TrainerCallback):
    """Writes where the loader is beside each checkpoint, and finds it there when a run goes on."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self.resumed: Path | None = None

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.is_world_process_zero:
            folder = Path(str(args.output_dir)) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"
            (folder / PLACE).write_text(json.dumps(self._loader.state_dict()))

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if self.resumed is None:
            return
        try:
            place = json.loads((self.resumed / PLACE).read_text())
        except FileNotFoundError as error:
            raise UsageError(
                f"there is no {PLACE}, which says where the loader was",
                hint="it is written by LoaderTrainer beside each checkpoint; begin anew, or with another checkpoint",
                where=str(self.resumed),
            ) from error
        self._loader.load_state_dict(place)
