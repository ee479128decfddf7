"""The cache is removed while a dataset is open: its rows are read all the same, or one error says what is missing."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.stores.conftest import Make

from headrace import open_dataset
from headrace.catalog.reader import Dataset
from headrace.catalog.verify import verify
from headrace.schemas.errors import HeadraceError

ROWS = 1_000
FRAME = pl.DataFrame({"id": range(ROWS)})
READERS: list[Callable[[Dataset], Any]] = [
    lambda dataset: dataset.to_polars("train")["id"].to_list(),
    lambda dataset: dataset.arrow("train")["id"].to_pylist(),
    lambda dataset: pl.scan_parquet(dataset.files("train")).collect()["id"].to_list(),
]


@pytest.fixture
def dataset(make: Make, catalog: str) -> Dataset:
    make(frame=FRAME)
    return open_dataset(f"{catalog}/demo")


def ended(work: Callable[[], Any]) -> Any:
    """What `work` returns, or the error of ours that it raises; any other error, or no end, fails the test."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(work())
        except HeadraceError as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(60)
    assert outcome
    return outcome[0]


@pytest.mark.parametrize("reader", range(len(READERS)))
def test_an_open_dataset_fetches_again(dataset: Dataset, tmp_path: Path, reader: int) -> None:
    for _ in range(2):
        assert READERS[reader](dataset) == list(range(ROWS))
        shutil.rmtree(tmp_path / "cache")
    assert verify(dataset) == []


@pytest.mark.parametrize("at", [0, 1, 5])
def test_an_epoch_and_the_next_go_on_or_say_what_is_missing(dataset: Dataset, tmp_path: Path, at: int) -> None:
    loader = dataset.numpy_loader("train", ["id"], batch_size=128, drop_last=False)

    def epoch(number: int) -> list[int]:
        loader.set_epoch(number)
        found: list[int] = []
        for step, batch in enumerate(loader):
            if step == at:
                shutil.rmtree(tmp_path / "cache", ignore_errors=True)
            found += batch["id"].tolist()
        return sorted(found)

    for number in (0, 1):
        outcome = ended(lambda number=number: epoch(number))
        assert outcome == list(range(ROWS)) or (isinstance(outcome, HeadraceError) and ".parquet" in outcome.where)
