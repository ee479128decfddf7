from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from headrace.cli import cli

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Call `headrace` in this process, in an empty folder, without a Prefect API."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEADRACE_CATALOG", raising=False)
    monkeypatch.setenv("PREFECT_API_URL", "")
    return lambda *words: CliRunner().invoke(cli, [str(word) for word in words], prog_name="headrace")


@pytest.fixture
def document(invoke: Invoke) -> Callable[..., dict[str, Any]]:
    """Call `headrace ... --json` and read the one document on stdout."""

    def call(*words: object) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(invoke(*words, "--json").stdout)
        return found

    return call


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project as `headrace init` makes it, run once: its dataset is in `published`."""
    folder = tmp_path_factory.mktemp("projects") / "shop"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_API_URL", "")
        made = CliRunner().invoke(cli, ["init", str(folder)])
        assert made.exit_code == 0, made.output
        patch.chdir(folder)
        ran = CliRunner().invoke(cli, ["run", "pipeline.yaml", "--json"])
        assert ran.exit_code == 0, ran.output
        (folder / "run.json").write_text(ran.stdout)
        yield folder
