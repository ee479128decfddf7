"""Where an epoch is, as JSON: without ranks, so that a world of another size goes on from it."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any, Final

from headrace.catalog.loader.order import Order, at_least
from headrace.catalog.reader import Dataset
from headrace.schemas.errors import UsageError

FORMAT: Final = 1

_TAKES: Final = "load_state_dict takes what state_dict() gave"

_OPTIONS: Final = ("split", "batch_size", "lanes", "shuffle", "seed", "drop_last")


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


def check_format(state: Any) -> None:
    """Raise UsageError for what is no state, or of another format: before any of it is believed."""
    if not isinstance(state, dict) or "format" not in state:
        raise UsageError("is no state of a loader", hint=_TAKES)
    if isinstance(state["format"], bool) or state["format"] != FORMAT:
        raise UsageError(
            f"the state is of format {state['format']!r}; this headrace knows {FORMAT}",
            hint="load it by the headrace that saved it, or begin anew",
        )


def check_state(state: dict[str, Any], ours: dict[str, Any], steps: int) -> None:
    """Raise UsageError that names what a state was saved with and this loader does not have.

    Place and version may differ, as those of a copy do: the shards say what was read.
    """
    for what, names in {"no": ours.keys() - state.keys(), "also": state.keys() - ours.keys()}.items():
        if names:
            raise UsageError(
                f"is no state of a loader: it has {what} {', '.join(sorted(map(str, names)))}", hint=_TAKES
            )
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
