"""Lightning: a data module over a published dataset, whose place in an epoch is in Lightning's own checkpoints."""

from __future__ import annotations

from math import inf
from typing import Any, Final

from lightning import LightningDataModule

from headrace.catalog.dataset import near
from headrace.catalog.loader.epochs import Epochs
from headrace.catalog.loader.loader import Loader
from headrace.catalog.loader.options import Asked
from headrace.catalog.reader import Dataset
from headrace.schemas.errors import UsageError

_TRAINERS: Final = ("rank", "world_size")
_OPTIONS: Final = ("columns", "device", *(name for name in Asked.__annotations__ if name not in _TRAINERS))


class DatasetModule(LightningDataModule):
    """The splits of a dataset as the loaders of a `lightning.Trainer`.

    Parameters
    ----------
    dataset
        An opened version.
    train, validation, test
        Names of splits. Validation and test are read in published order, to the last row; None leaves one out.
    options
        As of `Dataset.torch_loader`, but for `rank` and `world_size`, which the trainer knows.

    Raises
    ------
    UsageError
        A split that the dataset has not; options that there are not, or that do not fit each other or a split.

    Notes
    -----
    Each epoch has an order of its own. A run that goes on from a checkpoint, `trainer.fit(..., ckpt_path=...)`, goes on
    behind the last batch before it, also on another number of ranks that divides `lanes`. Lightning counts an epoch
    that `max_steps` ended as done: from a checkpoint that was saved after that, a run by `max_epochs` begins the next
    one, of which there may be none, and a run by `max_steps` goes on in it. Those that were saved while it ran, as by
    `ModelCheckpoint(every_n_train_steps=...)`, are gone on from by either.

    Over several ranks the last batch of a validation can be empty on some: the mean of a metric is to be weighted by
    rows.

    Examples
    --------
    >>> module = DatasetModule(open_dataset("published/ctr"), batch_size=65_536)  # doctest: +SKIP
    >>> Trainer(max_epochs=2).fit(network, datamodule=module)  # doctest: +SKIP
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        train: str = "train",
        validation: str | None = None,
        test: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self._dataset = dataset
        self._splits = {"train": train, "validation": validation, "test": test}
        self._options = options
        for name in options:
            if name in _TRAINERS:
                raise UsageError(f"{name} is not for a module to say: the trainer knows it")
            if name not in _OPTIONS:
                raise UsageError(f"a loader has no option {name!r}{near(name, _OPTIONS)}")
        for use, split in self._splits.items():
            if split is not None:
                # What does not fit is said now. The device may be there in the trainer's processes only.
                dataset.torch_loader(split, **self._options_of(use) | {"device": "cpu"})

    def __str__(self) -> str:
        splits = ", ".join(f"{use}={split!r}" for use, split in self._splits.items() if split)
        return f"DatasetModule({self._dataset.name}@{self._dataset.version}: {splits})"

    def train_dataloader(self) -> Epochs:
        return Epochs(self._loader("train"), self._steps)

    def val_dataloader(self) -> Loader | list[Loader]:
        return self._whole("validation")

    def test_dataloader(self) -> Loader | list[Loader]:
        return self._whole("test")

    def _steps(self) -> float:
        """Of an epoch: `Trainer(limit_train_batches=...)` may take fewer than there are."""
        return self.trainer.num_training_batches if self.trainer else inf

    def _whole(self, use: str) -> Loader | list[Loader]:
        if self._splits[use] is None:
            return []
        return self._loader(use)

    def _options_of(self, use: str) -> dict[str, Any]:
        return self._options | ({} if use == "train" else {"shuffle": False, "drop_last": False})

    def _loader(self, use: str) -> Loader:
        split, trainer = self._splits[use], self.trainer
        assert split is not None
        ranks = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        return self._dataset.torch_loader(split, rank=ranks[0], world_size=ranks[1], **self._options_of(use))
