"""The stages log through the standard library, as `headrace`; in a flow run that goes to Prefect as well."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from prefect.context import TaskRunContext
from prefect.logging.handlers import APILogHandler

from headrace.schemas.errors import HeadraceError

_LOG = logging.getLogger("headrace")


@contextmanager
def sent_to_prefect(flow_run: str) -> Iterator[None]:
    """Send what `headrace` logs to the flow run, and to the task that is running; threads included."""
    handler = APILogHandler()
    level = _LOG.level

    def of_this_run(record: logging.LogRecord) -> bool:
        task = TaskRunContext.get()
        record.flow_run_id = flow_run
        record.task_run_id = str(task.task_run.id) if task else None
        return True

    handler.addFilter(of_this_run)
    _LOG.addHandler(handler)
    if level == logging.NOTSET:
        _LOG.setLevel(logging.INFO)
    try:
        yield
    finally:
        _LOG.removeHandler(handler)
        _LOG.setLevel(level)


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Keep the tracebacks of our own errors off the console; Prefect's pages have them, the caller gets the error."""

    def wanted(record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], HeadraceError))

    handlers = list(logging.getLogger().handlers)
    for handler in handlers:
        handler.addFilter(wanted)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(wanted)


class LoggedStages:
    """Progress as one line in the log for each stage that is over."""

    def __init__(self) -> None:
        self._began: dict[str, tuple[float, int]] = {}

    def start(self, stage: str, total: int) -> None:
        self._began[stage] = (time.monotonic(), total)

    def advance(self, stage: str, rows: int = 0) -> None: ...

    def finish(self, stage: str) -> None:
        began, total = self._began.pop(stage)
        rows = f", {total:,} rows" if total else ""
        _LOG.info("%s: %.1f s%s", stage, time.monotonic() - began, rows)
