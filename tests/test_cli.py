"""The root of the command line: help, errors, exit codes, signals, pipes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from headrace.cli import COMMANDS, cli
from headrace.schemas.errors import ConflictError

HEAVY = ("polars", "pyarrow", "pydantic", "obstore", "rich", "prefect", "dask", "distributed", "sklearn", "matplotlib")
HEAVY += ("cudf", "cudf_polars", "jinja2", "torch", "numpy", "pandas")


def headrace(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "headrace.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)  # type: ignore[call-overload,no-any-return]


def test_help_names_every_command() -> None:
    result = CliRunner().invoke(cli, ["--help"])
    assert result.exit_code == 0
    for name in COMMANDS:
        assert f"\n  {name}" in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: ")


@pytest.mark.slow
@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["datasets", "--help"], ["doctor", "--help"]])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys\nfrom headrace.cli import cli\n"
        f"try: cli.main({words!r}, prog_name='headrace')\n"
        f"finally: print('LOADED', [m for m in {HEAVY!r} if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.stdout.splitlines()[-1] == "LOADED []"


def test_version_is_the_installed_one() -> None:
    from importlib.metadata import version

    assert CliRunner().invoke(cli, ["--version"]).stdout == f"headrace, version {version('headrace')}\n"


def test_unknown_command_is_usage_and_names_the_near_one() -> None:
    result = CliRunner().invoke(cli, ["rum"])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == (
        "error[usage]: there is no command 'rum'; did you mean 'run'?\nhint: see headrace --help\n"
    )


@pytest.mark.parametrize("words", [[], ["datasets"]])
def test_a_group_alone_shows_its_help(words: list[str]) -> None:
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == CliRunner().invoke(cli, [*words, "--help"]).stdout


def test_wrong_option_is_one_document_with_json() -> None:
    result = CliRunner().invoke(cli, ["datasets", "list", "--json", "--catalogue", "x"])
    assert result.exit_code == 2
    found = json.loads(result.stdout)
    assert found["schema_version"] == 1
    assert found["command"] == "datasets list"
    assert found["ok"] is False
    assert set(found["error"]) == {"code", "message", "hint", "where"}
    assert found["error"]["code"] == "usage"
    assert "data" not in found


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    @click.command()
    def command() -> None:
        raise error

    monkeypatch.setattr(type(cli), "get_command", lambda *_: command)


def test_our_errors_are_one_line_a_hint_and_their_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, ConflictError("version 7 is there", hint="try again", where="shop"))
    result = CliRunner().invoke(cli, ["run"])
    assert result.exit_code == 4
    assert result.stderr == "error[conflict]: shop: version 7 is there\nhint: try again\n"


def test_other_errors_are_one_line_and_the_traceback_comes_with_debug(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, ZeroDivisionError("by\nzero"))
    result = CliRunner().invoke(cli, ["run"])
    assert result.exit_code == 1
    assert result.stderr == (
        "error[internal]: ZeroDivisionError: by zero\nhint: run again with --debug for the traceback\n"
    )
    debugged = CliRunner().invoke(cli, ["--debug", "run"])
    assert debugged.exit_code == 1
    assert "Traceback (most recent call last)" in debugged.stderr


def test_a_missing_extra_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, ModuleNotFoundError("No module named 'sklearn.linear_model'", name="sklearn.linear_model"))
    result = CliRunner().invoke(cli, ["run"])
    assert result.exit_code == 3
    assert result.stderr == (
        "error[environment]: this needs the extra build: sklearn is not installed\n"
        "hint: pip install 'headrace[build]'\n"
    )


def test_interrupt_exits_130(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, KeyboardInterrupt())
    result = CliRunner().invoke(cli, ["run"])
    assert result.exit_code == 130
    assert "error[interrupted]: interrupted\nhint: the same command goes on with what is ready\n" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_close_what_is_open_and_exit(tmp_path: Path, number: signal.Signals, code: int) -> None:
    script = f"""
import sys, threading, click
import headrace.cli as program
from contextlib import contextmanager
@contextmanager
def opened():
    try: yield
    finally: open({str(tmp_path / "closed")!r}, "w").close()
@click.command()
def command():
    with opened():
        print("open", flush=True)
        threading.Event().wait(30)
type(program.cli).get_command = lambda *_: command
sys.argv = ["headrace", "run"]
program.main()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    process.send_signal(number)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == code
    assert (tmp_path / "closed").exists()
    assert "Traceback" not in stderr


@pytest.mark.slow
@pytest.mark.parametrize("words", [["--help"], ["doctor", "--json"]])
def test_a_closed_pipe_is_no_error(words: list[str], tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "headrace.cli", *words]
    with os.fdopen(writer, "wb") as pipe:
        result = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, text=True, timeout=60, cwd=tmp_path)
    assert result.returncode == 0
    assert result.stderr == ""


@pytest.mark.slow
def test_styles_need_a_terminal(tmp_path: Path) -> None:
    result = headrace("datasets", "list", "--catalog", str(tmp_path / "none"))
    assert result.returncode == 2
    assert "\x1b" not in result.stdout + result.stderr
