"""A connection to a Dask scheduler, without what importing and losing it would print."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any


def import_distributed() -> Any:
    """The package `distributed`, imported without its advice and its logging."""
    with warnings.catch_warnings():
        # Where the package `pynvml` stands beside `nvidia-ml-py`, importing distributed prints advice to uninstall it.
        warnings.filterwarnings("ignore", "The pynvml package is deprecated", FutureWarning)
        import distributed

    # Importing distributed gives its loggers handlers of their own on stderr, at level INFO. What goes wrong while
    # tasks run is an error of ours, not a log line.
    logging.getLogger("distributed").setLevel(logging.WARNING)
    for name in ("distributed.client", "distributed.comm", "distributed.core"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return distributed


def connect(address: str, seconds: float) -> Any:
    """A `distributed.Client` of the scheduler at that address; whatever Dask raises where none answers in time."""
    make: Callable[..., Any] = import_distributed().Client
    return make(address, timeout=seconds, set_as_default=False)


@contextmanager
def closing(client: Any) -> Iterator[None]:
    """Close the client on leaving."""
    try:
        yield
    finally:
        with suppress(Exception):  # the scheduler may be gone, and the error that says so is on its way
            client.close(timeout=2)
