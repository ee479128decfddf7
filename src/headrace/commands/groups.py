"""Groups that import a command when it is called, and the root that turns errors into one line and an exit code."""

from __future__ import annotations

import importlib
import os
import select
import signal
import sys
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any, NoReturn

import click

from headrace.commands import failure


class LazyGroup(click.Group):
    """A group whose members are named by `module:object` and a line of help, and imported when one is called."""

    def __init__(self, *args: Any, members: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.members = dict(members)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.members)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.members:
            return None
        module, _, name = self.members[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.members and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], self.members, n=1)
            ctx.fail(f"there is no command {args[0]!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, help_line) in self.members.items()])


class Terminated(KeyboardInterrupt):
    """SIGTERM as an exception, so that context managers close what they opened."""


class Root(LazyGroup):
    """The root group: every way a command can end becomes an exit code and, if it failed, one line on stderr."""

    def main(  # type: ignore[override]  # one exit for standalone and for tests
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        words = list(sys.argv[1:] if args is None else args)
        extra["standalone_mode"] = False
        previous = _on_terminate()
        try:
            code = self._run(words, prog_name, extra)
        finally:
            if previous is not None:
                signal.signal(signal.SIGTERM, previous)
        sys.exit(code)

    def _run(self, words: list[str], prog_name: str | None, extra: dict[str, Any]) -> int:
        try:
            # Without standalone mode click hands back the code of ctx.exit(), or what the command returned.
            ended = super().main(words, prog_name=prog_name, **extra)
            sys.stdout.flush()
            return ended if isinstance(ended, int) else 0
        except BaseException as error:  # a panic of Polars is no Exception
            # click makes a SystemExit of a broken pipe, whichever pipe it was.
            broken = isinstance(error, BrokenPipeError | SystemExit)
            if not (broken and _reader_is_gone()):
                return failure.report(error, words, self.command_words(words))
            # The reader of stdout has seen enough (`| head`). Nothing must be written again, not even at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0

    def command_words(self, words: Sequence[str]) -> str:
        """The command that `words` begin with, such as `datasets list`, as far as it is known."""
        named: list[str] = []
        members: Mapping[str, Any] = self.members
        for word in words:
            if word.startswith("-"):
                continue
            if word not in members:
                break
            named.append(word)
            group = self.get_command(click.Context(self), word) if len(named) == 1 else None
            members = group.commands if isinstance(group, click.Group) else {}
        return " ".join(named)


def _reader_is_gone() -> bool:
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), select.POLLOUT)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    except (OSError, ValueError):  # no stdout, or one that is no file
        return False


def _on_terminate() -> Any:
    def terminate(number: int, frame: FrameType | None) -> None:
        raise Terminated

    try:
        return signal.signal(signal.SIGTERM, terminate)
    except ValueError:  # not the main thread
        return None
