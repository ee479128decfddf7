"""Stops a `headrace` process, or one of its workers, at a chosen place: put on PYTHONPATH as sitecustomize.

The place is named by HEADRACE_STOP (module:function:call, counted from 0 in each process). There the process writes a
file `reached-<pid>` in HEADRACE_STOP_FOLDER and waits until a file `go` is there, or raises, if `raise` is there.
"""

from __future__ import annotations

import functools
import importlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def stop_at(place: str, folder: Path) -> None:
    module_name, name, call = place.split(":")
    module = importlib.import_module(module_name)
    original: Callable[..., Any] = getattr(module, name)
    calls = iter(range(1 << 30))
    lock = threading.Lock()

    @functools.wraps(original)
    def stopping(*args: Any, **kwargs: Any) -> Any:
        with lock:
            number = next(calls)
        if number > int(call) and (folder / "raise").exists():  # a task that is tried again fails again
            raise ZeroDivisionError("a bug\nof two lines")
        if number == int(call):
            (folder / f"reached-{os.getpid()}").touch()
            deadline = time.monotonic() + 60
            while not (folder / "go").exists():
                if (folder / "raise").exists():
                    raise ZeroDivisionError("a bug\nof two lines")
                if time.monotonic() > deadline:
                    os._exit(99)
                time.sleep(0.01)
        return original(*args, **kwargs)

    setattr(module, name, stopping)
    # Where it is defined as well: a worker is told a function's name there.
    setattr(importlib.import_module(original.__module__), name, stopping)


if "HEADRACE_STOP" in os.environ:
    stop_at(os.environ["HEADRACE_STOP"], Path(os.environ["HEADRACE_STOP_FOLDER"]))
