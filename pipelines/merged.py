"""What a task between passes gives, and what it leaves to be said of it when a run goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from headrace.engines.engine import TaskEngine
from headrace.pipelines.tasks import Task
from headrace.pipelines.work import write_atomically


class Merged(NamedTuple):
    """What a task between passes gives: how many rows it left, and what ran on the CPU though the GPU was asked for."""

    rows: int
    fallbacks: tuple[str, ...]


def note(target: Path, task: Task, engine: TaskEngine, before: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Leave what is to be said of a task beside what it makes, and before: a resumed run says it too."""
    notes = tuple(dict.fromkeys((*before, *task.notes(engine.fallbacks))))
    if notes:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(_notes_file(target), json.dumps(notes))
    return notes


def noted(target: Path) -> tuple[str, ...]:
    """What there is to be said of the task that made this."""
    file = _notes_file(target)
    return tuple(json.loads(file.read_bytes())) if file.exists() else ()


def answered(target: Path) -> bool:
    """Whether a task has made this, whatever suffix its engine has added."""
    return any(target.parent.glob(f"{target.name}.*"))


def _notes_file(target: Path) -> Path:
    return target.with_name(f".{target.name}.notes")
