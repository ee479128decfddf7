"""What a command writes: results on stdout, as text or as one JSON document; everything else on stderr."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import PurePath
from typing import Any, Final, NoReturn, TypeVar

import click

from headrace.commands import failure
from headrace.schemas.errors import HeadraceError

Function = TypeVar("Function", bound=Callable[..., Any])
_META: Final = "headrace."


def _flag(*names: str, key: str, text: str) -> Callable[[Function], Function]:
    def keep(ctx: click.Context, param: click.Parameter, value: bool) -> None:
        # The contexts of a group and of its command share `meta`: either place of the flag counts.
        ctx.meta[_META + key] = value or ctx.meta.get(_META + key, False)

    return click.option(*names, is_flag=True, expose_value=False, callback=keep, help=text)


def common_options(command: Function) -> Function:
    """-q, -v and --debug, which may stand before or after the command's name."""
    command = _flag("--debug", key="debug", text="Show the traceback of an error.")(command)
    command = _flag("-v", "--verbose", key="verbose", text="Say more on stderr.")(command)
    return _flag("-q", "--quiet", key="quiet", text="Say nothing on stderr but warnings and errors.")(command)


def json_option(command: Function) -> Function:
    """--json, for commands whose result a program may want."""
    return _flag("--json", key="json", text="One JSON document on stdout.")(command)


@dataclass(frozen=True)
class Terminal:
    """Where the command that runs now writes. `command` is its name, such as `datasets list`."""

    command: str
    json: bool
    quiet: bool
    verbose: bool

    def note(self, text: str) -> None:
        """A line on stderr, unless -q."""
        if not self.quiet:
            say(text)

    def show(self, data: object, text: Callable[[], str]) -> None:
        """The result: `data` as the JSON document, or `text()` for people."""
        click.echo(failure.document(self.command, plain(data)) if self.json else text())

    def show_failed(self, data: object, text: Callable[[], str], error: HeadraceError) -> NoReturn:
        """A result that is a failure, such as damage that was found: both are shown, the exit code is the error's."""
        failed = failure.describe(error)
        click.echo(failure.document(self.command, plain(data), failed) if self.json else text())
        failure.tell(failed)
        raise click.exceptions.Exit(failed.exit_code)


def terminal() -> Terminal:
    """The terminal of the command that runs now. Until it ends, headrace's own log lines go to stderr."""
    ctx = click.get_current_context()
    root, words = ctx, []
    while root.parent is not None:
        words.append(root.info_name or "")
        root = root.parent
    quiet, verbose = bool(ctx.meta.get(_META + "quiet")), bool(ctx.meta.get(_META + "verbose"))
    _log_to_stderr(root, logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO)
    return Terminal(" ".join(reversed(words)), bool(ctx.meta.get(_META + "json")), quiet, verbose)


def say(text: str) -> None:
    """A line on stderr. A closed stderr does not stop the work."""
    with contextlib.suppress(BrokenPipeError):
        click.echo(text, err=True)


def is_interactive() -> bool:
    """Whether stderr is a terminal that can be drawn on."""
    return sys.stderr.isatty() and os.environ.get("TERM", "") != "dumb"


def plain(value: Any) -> Any:
    """A value as JSON has it: models and dataclasses as objects, paths and times as text, NaN and infinity as null."""
    if hasattr(value, "model_dump"):
        return plain(value.model_dump(mode="json"))
    if hasattr(value, "__dataclass_fields__"):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, datetime | date):
        return value.isoformat()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value.as_posix() if isinstance(value, PurePath) else value)


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        say(level + record.getMessage())


def _log_to_stderr(ctx: click.Context, level: int) -> None:
    logger = logging.getLogger("headrace")
    before, lines = (logger.level, logger.propagate), _Lines()
    logger.addHandler(lines)
    logger.setLevel(level)
    logger.propagate = False

    def restore() -> None:
        logger.removeHandler(lines)
        logger.setLevel(before[0])
        logger.propagate = before[1]

    ctx.call_on_close(restore)
