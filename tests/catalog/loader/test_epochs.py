"""Epochs follow one another however a trainer counts them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from tests.catalog.loader.rows import OPTIONS

from headrace.catalog.loader.epochs import Epochs
from headrace.catalog.reader import Dataset

STEPS = 20
"""Of an epoch."""


def taken(epochs: Epochs, counts: Iterable[int], most: int = STEPS) -> list[tuple[int, int, int]]:
    """As a trainer goes through epochs that it counts so: the epoch of the rows, the first step and the last."""
    found = []
    for epoch in counts:
        batches = iter(epochs)  # Lightning asks before it says which epoch begins
        epochs.set_epoch(epoch)
        count = sum(1 for _ in islice(batches, most))
        found.append((epochs.loader.epoch, epochs.loader.step - count, epochs.loader.step))
    return found


def gone_on(dataset: Dataset, epoch: int, step: int, steps: int = STEPS) -> Epochs:
    epochs = Epochs(dataset.numpy_loader("train", ["id"], **OPTIONS), lambda: steps)
    assert len(epochs) == STEPS
    epochs.load_state_dict({**epochs.state_dict(), "epoch": epoch, "step": step})
    return epochs


def test_a_run_begins_with_the_epoch_that_is_counted(demo: Dataset) -> None:
    loader = demo.numpy_loader("train", ["id"], **OPTIONS)
    assert taken(Epochs(loader), [0, 1, 2]) == [(0, 0, 20), (1, 0, 20), (2, 0, 20)]
    assert taken(Epochs(loader), [2]) == [(2, 0, 20)]
    assert taken(Epochs(loader), [5, 6], most=3) == [(5, 0, 3), (6, 0, 3)]


def test_a_run_goes_on_with_the_rows_that_were_left(demo: Dataset) -> None:
    for counts in ([1, 2], [2, 3], [0, 1]):
        assert taken(gone_on(demo, 1, 7), counts) == [(1, 7, 20), (2, 0, 20)]


def test_a_run_goes_on_behind_an_epoch_that_is_done(demo: Dataset) -> None:
    for counts in ([1, 2], [2, 3]):
        assert taken(gone_on(demo, 1, 20), counts) == [(2, 0, 20), (3, 0, 20)]


def test_an_epoch_of_which_nothing_was_taken_is_none(demo: Dataset) -> None:
    epochs = gone_on(demo, 0, 20)
    assert taken(epochs, [1], most=0) == [(1, 0, 0)]
    assert taken(epochs, [2, 3]) == [(1, 0, 20), (2, 0, 20)]


def test_an_epoch_is_done_where_the_trainer_takes_no_more_of_it(demo: Dataset) -> None:
    assert taken(gone_on(demo, 0, 5, steps=5), [1, 2], most=5) == [(1, 0, 5), (2, 0, 5)]
    assert taken(gone_on(demo, 0, 3, steps=5), [0, 1], most=2) == [(0, 3, 5), (1, 0, 2)]
