"""A loader as trainers ask for one: they say when an epoch begins, and which it is goes by the loader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from headrace.catalog.loader.loader import Loader


class Epochs:
    """The epochs of a loader for one run of a trainer, one behind the other.

    Parameters
    ----------
    steps
        How many batches the trainer takes of an epoch; all of them by default.

    Notes
    -----
    A trainer's count chooses the epoch of a run that begins. In one that goes on it may be another than that of the
    rows: Lightning counts an epoch that `max_steps` ended as done, and Hugging Face's Trainer divides all updates by
    those of an epoch. By their counts rows would be left out, or come twice.
    """

    def __init__(self, loader: Loader, steps: Callable[[], float] | None = None) -> None:
        self.loader = loader
        self._steps = steps or (lambda: len(loader))
        self._begun = self._going_on = False

    @property
    def sampler(self) -> Epochs:
        """Lightning tells what calls itself a sampler which epoch begins."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Begin an epoch, or go on in that of the checkpoint; one of which nothing was taken is begun again."""
        if not self._begun:
            self.loader.set_epoch(epoch)
        elif self.loader.step >= (self._steps() if self._going_on else 1):
            self.loader.set_epoch(self.loader.epoch + 1)
        self._begun, self._going_on = True, False

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.loader)

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint; Lightning takes it."""
        return self.loader.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the run go on where a checkpoint was made; Lightning calls it."""
        self.loader.load_state_dict(state)
        self._begun = self._going_on = True
