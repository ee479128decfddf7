"""The work folder of a run: what every task reads, and where it leaves what it made.

    pipeline.json  plan.json  tables/          written once by `prepare`
    pass-0/00003/                              what one pass made of one partition; appears whole or not at all
    learned/7/  windows/9/  unique/0/          what was merged out of a pass
    merged/7/                                  statistics of many groups on their way to learned/7/
    apply/00003/                               the features of one partition, in pieces by shard

The folder's name is a key of its content (inputs, pipeline, code), so that a run after a crash finds what is done.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from headrace.catalog.manifest import Extends
from headrace.pipelines.continuing import FILE, FromWork
from headrace.pipelines.model import Allowed, Pipeline
from headrace.pipelines.plan import Plan
from headrace.pipelines.resolve import Resolved, resolve
from headrace.transforms.base import Transform, to_plain
from headrace.transforms.elements import inside
from headrace.transforms.registry import operator_from_plain
from headrace.transforms.table import Table, TableFolder


class Work:
    """Read access to a work folder; one value per process and folder, see `open_work`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._learned: dict[int, Transform] = {}
        self._loading = threading.Lock()

    @cached_property
    def pipeline(self) -> Pipeline:
        allowed = Allowed(tuple(json.loads((self.path / "modules.json").read_bytes())))
        return Pipeline.model_validate_json((self.path / "pipeline.json").read_bytes(), context=allowed)

    @cached_property
    def plan(self) -> Plan:
        return Plan.model_validate_json((self.path / "plan.json").read_bytes())

    @cached_property
    def tables(self) -> dict[str, Table]:
        context = TableFolder(self.path)
        listed = json.loads((self.path / "tables.json").read_bytes())
        return {name: context.read(entry["table"], entry["sha256"]) for name, entry in listed.items()}

    @cached_property
    def resolved(self) -> Resolved:
        return resolve(self.pipeline, self.tables, self.vocabularies)

    @cached_property
    def vocabularies(self) -> FromWork:
        """Those that steps continue."""
        return FromWork(self.tables, self.path)

    @cached_property
    def source_folder(self) -> Path:
        """The folder of the source, whichever of its files are read; rows are located by paths relative to it."""
        return self.pipeline.source.folder

    def source_path(self, path: str) -> str:
        """A file of the source as readers of the dataset are told of it: relative to the source's folder."""
        return Path(path).relative_to(self.source_folder).as_posix()

    def learned(self, index: int) -> Transform:
        """The fitted form of the learner at this place: one for all threads, so that its tables are read once."""
        with self._loading:
            if index not in self._learned:
                module = type(inside(self.resolved.steps[index].form)).__module__
                self._learned[index] = _load_step(self.path / "learned" / str(index), module)
            return self._learned[index]

    def form(self, index: int) -> Transform:
        """What is applied at this place: the learned form, or the step itself."""
        placed = self.resolved.steps[index]
        return self.learned(index) if placed.learns and placed.pass_number is not None else placed.form

    def part(self, stage: str, partition: int) -> Path:
        """Where a stage leaves what it made of one partition."""
        return self.path / stage / f"{partition:05d}"


@lru_cache(maxsize=2)
def open_work(path: str) -> Work:
    """The work folder at this path, loaded once per process, which holds what it has learned in memory.

    Only of the last two: a worker that serves many runs keeps none of the vocabularies of those before.
    """
    return Work(Path(path))


def create_work(
    path: Path, pipeline: Pipeline, plan: Plan, tables: Mapping[str, Table], extends: Mapping[str, Extends] = {}
) -> None:
    """Write what every task needs, among `tables` the vocabularies that steps continue; nothing is written twice."""
    if (path / "plan.json").exists():
        return
    path.mkdir(parents=True, exist_ok=True)
    context = TableFolder(path, "tables")
    listed = {name: context.write(table) for name, table in tables.items()}
    write_atomically(path / "tables.json", json.dumps(listed))
    write_atomically(path / FILE, json.dumps({column: known.model_dump() for column, known in extends.items()}))
    write_atomically(path / "modules.json", json.dumps(pipeline.modules))
    write_atomically(path / "pipeline.json", pipeline.model_dump_json())
    write_atomically(path / "plan.json", plan.model_dump_json())


def save_step(folder: Path, step: Transform) -> None:
    """Save one fitted step and its tables; the folder appears whole."""
    with whole_folder(folder) as made:
        plain = to_plain(step, TableFolder(made))
        (made / "step.json").write_text(json.dumps(plain))


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A folder that appears under its name when the block ends without an error; another's that came first stays."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = folder.with_name(f".{folder.name}.{os.getpid()}.{threading.get_ident()}")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    try:
        yield made
        try:
            os.rename(made, folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(made, ignore_errors=True)


def write_atomically(path: Path, text: str) -> None:
    """Write a small file; it appears whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    temporary.write_text(text)
    os.replace(temporary, path)


def save_record(folder: Path, record: BaseModel) -> None:
    """Leave what a task returned beside what it made, so that a resumed run need not run it again."""
    (folder / "record.json").write_text(record.model_dump_json())


def saved_record(folder: Path) -> bytes | None:
    """What `save_record` left, or None where the task has not run to its end."""
    try:
        return (folder / "record.json").read_bytes()
    except FileNotFoundError:
        return None


def _load_step(folder: Path, module: str) -> Transform:
    plain: dict[str, Any] = json.loads((folder / "step.json").read_bytes())
    step = operator_from_plain(plain, context=TableFolder(folder), allowed=(module,))
    assert isinstance(step, Transform)
    return step
