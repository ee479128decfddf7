"""Where an epoch is, as JSON: without ranks, so that a world of another size goes on from it."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any, Final

from headrace.catalog.loader.order import Order, at_least, integer
from headrace.catalog.reader import Dataset
from headrace.schemas.errors import UsageError

FORMAT: Final = 1

_OPTIONS: Final = ("split", "batch_size", "lanes", "shuffle", "seed", "drop_last")
_KEYS: Final = {*_OPTIONS, "format", "dataset", "version", "shards", "epoch", "step"}
_HINT: Final = "load_state_dict takes what state_dict() gave"


def source_of(dataset: Dataset, split: str) -> dict[str, Any]:
    """What the batches of a state are of. Shards by their bytes: where the dataset lies is for people to read."""
    files = dataset.manifest.splits[split].files
    cut = json.dumps([[file.sha256, *file.row_groups] for file in files])
    return {
        "dataset": str(dataset.place),
        "version": dataset.version,
        "split": split,
        "shards": sha256(cut.encode()).hexdigest(),
    }


def state_of(source: dict[str, Any], order: Order, epoch: int, step: int) -> dict[str, Any]:
    """The state after `step` steps of an epoch."""
    return {
        "format": FORMAT,
        **source,
        "batch_size": order.batch_size,
        "lanes": order.lanes,
        "shuffle": order.shuffle,
        "seed": order.seed,
        "drop_last": order.drop_last,
        "epoch": epoch,
        "step": step,
    }


def read_state(state: Any) -> dict[str, Any]:
    """A state with Python's own numbers. Raises UsageError for what is none, and for one of another format."""
    if not isinstance(state, dict):
        raise UsageError(f"is no state of a loader: got a {type(state).__name__}, expected a dict", hint=_HINT)
    found = {name: value if (number := integer(value)) is None else number for name, value in state.items()}
    if "format" in found and integer(found["format"]) != FORMAT:  # before its other keys, which are those of its format
        raise UsageError(
            f"the state is of format {found['format']!r}; this headrace knows {FORMAT}",
            hint="load it with the headrace that saved it, or begin anew",
        )
    lacks, more = (sorted(map(repr, keys)) for keys in (_KEYS - found.keys(), found.keys() - _KEYS))
    if lacks or more:
        words = [f"it lacks {', '.join(lacks)}"] if lacks else []
        words += [f"it has {', '.join(more[:10])} besides"] if more else []
        raise UsageError(f"is no state of a loader: {'; '.join(words)}", hint=_HINT)
    return found


def check_state(state: dict[str, Any], ours: dict[str, Any], steps: int) -> None:
    """Raise UsageError that names what a state was saved with and this loader does not have.

    Place and version may differ, as those of a copy do: the shards say what was read.
    """
    if state["shards"] != ours["shards"] and state["split"] == ours["split"]:
        raise UsageError(
            f"the state is of {state['dataset']}@{state['version']}, and this loader reads "
            f"{ours['dataset']}@{ours['version']}: the shards of {ours['split']!r} differ",
            hint=f"open {state['dataset']}@{state['version']}, or begin anew",
        )
    if differ := [name for name in _OPTIONS if state[name] != ours[name]]:
        words = "; ".join(f"{name} was {state[name]!r}, is {ours[name]!r}" for name in differ)
        raise UsageError(f"the state is of a loader with other options: {words}", hint="make the loader with those")
    at_least("epoch", state["epoch"], 0)
    at_least("step", state["step"], 0)
    if state["step"] > steps:
        raise UsageError(f"the state is of step {state['step']:,}, and an epoch has {steps:,}")
