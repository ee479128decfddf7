"""Runs that end in the middle: by Ctrl-C, by SIGTERM, by kill -9, by a bug. Nothing shows, and the next run goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from tests.failures.shop import Shop, checksums

from headrace.catalog.reader import open_dataset
from headrace.pipelines import measuring
from headrace.pipelines.runs import list_runs

PLACES = {
    "prepare": "headrace.pipelines.stages:make_plan:0",
    "fit": "headrace.pipelines.fit:run_pass:1",
    "fit, half of a task": "headrace.pipelines.measuring:save_record:1",
    "learn": "headrace.pipelines.merging:save_step:1",
    "apply": "headrace.pipelines.apply:apply_partition:1",
    "apply, half of a task": "headrace.pipelines.apply:save_record:1",
    "write": "headrace.pipelines.write:write_shard:1",
    "baseline": "headrace.pipelines.build:baseline_stage:0",
    "report": "headrace.pipelines.stages:make_manifest:0",
    "publish": "headrace.pipelines.build:publish_stage:0",
    "publish, before the commit": "headrace.catalog.log:commit:0",
}
EVERYWHERE = pytest.mark.parametrize("place", PLACES)
DEADLINE = 180.0


@dataclass
class Run:
    """`headrace run` in a process of its own, waiting at its place."""

    process: subprocess.Popen[str]
    folder: Path
    children: list[psutil.Process]

    def go_on(self) -> None:
        (self.folder / "go").touch()

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=DEADLINE)
        return self.process.returncode, out, err


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text((Path(__file__).parent / "stops.py").read_text())
    return os.environ | {"PYTHONPATH": str(site), "PREFECT_API_URL": "", "NO_COLOR": "1"}


@contextmanager
def stopped(shop: Shop, environment: dict[str, str], place: str, *words: str) -> Iterator[Run]:
    """Start a run and wait until it is at a place; whatever is left of it in the end is killed."""
    folder = shop.folder / "stop"
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "headrace.cli", "run", str(shop.yaml), "--catalog", str(shop.catalog), "-q"]
    variables = environment | {"HEADRACE_STOP": PLACES[place], "HEADRACE_STOP_FOLDER": str(folder)}
    process = subprocess.Popen(
        [*command, *words], env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=shop.folder
    )
    children: list[psutil.Process] = []
    try:
        until(lambda: any(folder.glob("reached-*")) or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        children = psutil.Process(process.pid).children(recursive=True)
        yield Run(process, folder, children)
    finally:
        for one in [process, *children]:
            if isinstance(one, subprocess.Popen):
                one.kill()
                one.wait()
            elif one.is_running():
                one.kill()
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < deadline, "waited for nothing"
        time.sleep(0.01)


def assert_next_run_completes(shop: Shop, undisturbed: dict[str, str]) -> None:
    record = shop.build()
    assert (record.status, record.version) == ("done", 1)
    assert shop.checksums() == undisturbed
    shop.assert_nothing_left(published=1)
    assert [r.status for r in list_runs(shop.catalog) if r.status == "running"] == []
    assert list((shop.catalog / ".headrace" / "work").iterdir()) == []


@pytest.fixture
def undisturbed(shop: Shop) -> dict[str, str]:
    """The checksums that a run gives in another catalog, where nothing disturbs it."""
    catalog = shop.folder / "elsewhere"
    shop.build(catalog=str(catalog))
    return checksums(open_dataset(catalog / "shop"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "number", "code", "word"),
    [(place, signal.SIGINT, 130, "interrupted") for place in PLACES]
    + [(place, signal.SIGTERM, 143, "terminated") for place in ("fit", "write", "publish")],
)
def test_interrupted_at_any_stage(
    shop: Shop,
    environment: dict[str, str],
    undisturbed: dict[str, str],
    place: str,
    number: signal.Signals,
    code: int,
    word: str,
) -> None:
    with stopped(shop, environment, place) as run:
        run.process.send_signal(number)
        # A task on a thread is waited for; everything else stops where it is.
        if "fit" in place or "apply" in place or "learn" in place or "write" in place:
            until_interrupted(run)
        ended, out, err = run.end()
    assert (ended, out) == (code, "")
    assert err.lstrip().startswith(f"error[interrupted]: {word}\n"), err  # click leaves the line that ^C is on
    assert "Traceback" not in err
    assert [r.status for r in list_runs(shop.catalog)] == ["interrupted"]
    shop.assert_nothing_left()
    assert_next_run_completes(shop, undisturbed)


def until_interrupted(run: Run) -> None:
    """Let the task go on once the signal has been taken."""
    pending = Path(f"/proc/{run.process.pid}/status")
    until(lambda: "ShdPnd:\t0000000000000000" in pending.read_text())
    run.go_on()


@pytest.mark.slow
@EVERYWHERE
def test_killed_at_any_stage(shop: Shop, environment: dict[str, str], undisturbed: dict[str, str], place: str) -> None:
    with stopped(shop, environment, place) as run:
        run.process.kill()
        run.end()
    assert shop.versions() == []
    assert [r.status for r in list_runs(shop.catalog)] == ["running"]
    assert_next_run_completes(shop, undisturbed)
    assert [(r.status, r.error and r.error.code) for r in list_runs(shop.catalog)] == [
        ("done", None),
        ("failed", "killed"),
    ]


@pytest.mark.slow
def test_finished_tasks_are_not_repeated_after_a_kill(
    shop: Shop, environment: dict[str, str], undisturbed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with stopped(shop, environment, "learn") as run:
        run.process.kill()
        run.end()
    monkeypatch.setattr(measuring, "read_checked", None)  # the first pass would need it
    assert_next_run_completes(shop, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("place", ["fit", "apply", "write"])
def test_workers_end_with_the_run(
    shop: Shop, environment: dict[str, str], undisturbed: dict[str, str], number: signal.Signals, place: str
) -> None:
    # Each worker counts for itself: with one of them, the second call is sure to come.
    with stopped(shop, environment, place, "--cluster", "local:1") as run:
        assert len(run.children) >= 2
        run.process.send_signal(number)
        code, _, err = run.end()
        assert code == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[number]
        assert "Traceback" not in err
        until(lambda: not any(child.is_running() for child in run.children))
    assert shop.versions() == []
    assert_next_run_completes(shop, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("cluster", ["inline", "local:1"])
def test_a_bug_in_a_task(shop: Shop, environment: dict[str, str], undisturbed: dict[str, str], cluster: str) -> None:
    with stopped(shop, environment, "apply", "--cluster", cluster, "--json") as run:
        (run.folder / "raise").touch()
        code, out, err = run.end()
    assert code == 1
    assert json.loads(out)["error"]["code"] in ("internal", "run")
    assert "ZeroDivisionError: a bug" in err
    assert "Traceback" not in err
    record = list_runs(shop.catalog)[0]
    assert record.status == "failed"
    assert record.error is not None
    shop.assert_nothing_left()
    assert_next_run_completes(shop, undisturbed)


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced(
    shop: Shop, environment: dict[str, str], undisturbed: dict[str, str]
) -> None:
    with stopped(shop, environment, "apply", "--cluster", "local:1") as run:
        (worker,) = [int(path.name.removeprefix("reached-")) for path in run.folder.glob("reached-*")]
        assert worker in [child.pid for child in run.children]
        os.kill(worker, signal.SIGKILL)
        run.go_on()
        code, _, err = run.end()
    assert (code, err) == (0, "")
    assert shop.checksums() == undisturbed
