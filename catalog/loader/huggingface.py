"""Hugging Face's Trainer on a published dataset, whose place in an epoch is in the Trainer's own checkpoints."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, get_last_checkpoint

from headrace.catalog.loader.epochs import Epochs
from headrace.catalog.loader.loader import Loader
from headrace.schemas.errors import DataError, UsageError

PLACE: Final = "loader.json"
"""The file of a checkpoint that says where the loader was."""

_SEARCH: Final = 'backend="optuna" with an hp_space over anything but batch sizes'


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
        rows once. `TrainingArguments(label_names=[...])` says which entries are labels. `evaluate` and `predict` take
        other loaders as well.
    arguments
        As of `transformers.Trainer`.

    Notes
    -----
    Each epoch has an order of its own. A run that goes on, `train(resume_from_checkpoint=True)` or the folder of a
    checkpoint, goes on behind the last batch before it, without reading those before; batches are not skipped one by
    one. What the Trainer's logs call the epoch is its own count, which does not know of that. Where
    `gradient_accumulation_steps` does not divide the steps of an epoch, the last update of the epoch that a run goes on
    in is made together with the first of the next one.

    Raises UsageError for a `loader` or `eval_loader` that is none, and for both `eval_loader` and `eval_dataset`.
    """

    def __init__(self, *arguments: Any, loader: Loader, eval_loader: Loader | None = None, **named: Any) -> None:
        for name, given in {"loader": loader, "eval_loader": eval_loader}.items():
            if not isinstance(given, Loader) and (name == "loader" or given is not None):
                raise UsageError(f"{name} is a {type(given).__name__}", hint=f"{name}=dataset.torch_loader(split, ...)")
        self._place = _Place(Epochs(loader))
        named["callbacks"] = [*(named.get("callbacks") or ()), self._place]
        if eval_loader is not None:
            if named.get("eval_dataset") is not None:
                raise UsageError(
                    "eval_loader and eval_dataset are both given", hint="evaluate(eval_dataset=...) takes another"
                )
            named["eval_dataset"] = eval_loader
        super().__init__(*arguments, **named)
        self.loader = loader
        self.eval_loader = eval_loader
        self.args.ignore_data_skip = True

    def get_train_dataloader(self) -> Epochs:
        """Asked for once a run."""
        self._place.epochs = Epochs(self.loader)
        return self._place.epochs

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """A loader as it is, `eval_loader` if none is given; anything else as `transformers.Trainer` makes it."""
        chosen = self.eval_loader if eval_dataset is None else eval_dataset
        return chosen if isinstance(chosen, Loader) else super().get_eval_dataloader(eval_dataset)

    def get_test_dataloader(self, test_dataset: Any) -> Any:
        """What `predict` reads: a loader as it is."""
        return test_dataset if isinstance(test_dataset, Loader) else super().get_test_dataloader(test_dataset)

    def train(self, resume_from_checkpoint: str | Path | bool | None = None, **named: Any) -> Any:
        """As of `transformers.Trainer`."""
        found = resume_from_checkpoint
        if found is True:
            found = get_last_checkpoint(self.args.output_dir)
        self._place.resumed = Path(found) if found else None
        return super().train(resume_from_checkpoint, **named)

    def hyperparameter_search(
        self,
        hp_space: Callable[[Any], dict[str, Any]] | None = None,
        *arguments: Any,
        backend: str | None = None,
        hp_name: Callable[[Any], str] | None = None,
        **named: Any,
    ) -> Any:
        """As of `transformers.Trainer`, by Optuna: each trial begins the loader anew.

        Raises
        ------
        UsageError
            Another backend, which would need the loader in other processes; no `hp_space`: the default one looks for a
            batch size, and that is the loader's. So is one that gives a batch size refused.
        """
        if backend not in (None, "optuna"):
            raise UsageError(
                f"backend is {backend!r}, and a loader is searched with in this process alone", hint=_SEARCH
            )
        if hp_space is None:
            raise UsageError("hp_space is not given, and the default one looks for a batch size", hint=_SEARCH)

        def space(trial: Any) -> dict[str, Any]:
            found = hp_space(trial)
            if sizes := [name for name in found if "batch_size" in name]:
                raise UsageError(f"{sizes[0]} is searched for, and batches are as the loader gives them", hint=_SEARCH)
            return found

        named |= {"backend": "optuna", "hp_name": hp_name or (lambda trial: f"run-{trial.number}")}
        return super().hyperparameter_search(space, *arguments, **named)


class _Place(TrainerCallback):
    """Writes where the loader is beside each checkpoint, and finds it there when a run goes on."""

    def __init__(self, epochs: Epochs) -> None:
        self.epochs = epochs
        self.resumed: Path | None = None

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.is_world_process_zero:
            # A trial of a search has a folder of its own, by its name.
            folder = Path(str(args.output_dir), state.trial_name or "", f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}")
            (folder / PLACE).write_text(json.dumps(self.epochs.state_dict()))

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
        except (OSError, ValueError) as error:
            raise DataError(
                f"is not the JSON that says where the loader was: {error}",
                hint="begin anew, or with another checkpoint",
                where=str(self.resumed / PLACE),
            ) from error
        self.epochs.load_state_dict(place)
