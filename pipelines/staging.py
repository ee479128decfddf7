"""The stages of a run: their names, who calls them, and who is told of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, TypeVar

STAGES: Final = ("prepare", "fit", "apply", "write", "baseline", "report", "publish")

Value = TypeVar("Value")


class Progress(Protocol):
    """What a run tells about its stages while it runs."""

    def start(self, stage: str, total: int) -> None:
        """A stage begins; `total` is the rows it will go over, 0 if that says nothing."""

    def advance(self, stage: str, rows: int = 0) -> None:
        """So many more rows are done."""

    def finish(self, stage: str) -> None:
        """The stage is over."""


class Silent:
    """Progress that tells nobody."""

    def start(self, stage: str, total: int) -> None: ...

    def advance(self, stage: str, rows: int = 0) -> None: ...

    def finish(self, stage: str) -> None: ...


class Staging(Protocol):
    """Who calls the stages: each in its turn, again where a failure may pass and the stage can be repeated."""

    def __call__(self, stage: str, function: Callable[[], Value]) -> Value:
        """What the function returns."""


def directly(stage: str, function: Callable[[], Value]) -> Value:  # noqa: ARG001
    """Call a stage, once."""
    return function()
