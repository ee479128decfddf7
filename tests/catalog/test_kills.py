"""Processes that are really killed, by SIGKILL at every write, and processes that race each other."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.catalog.worlds import publish as publish_world

from headrace.catalog import log
from headrace.catalog.reader import open_dataset
from headrace.catalog.store import get, names, open_store
from headrace.catalog.verify import verify

ROOT = Path(__file__).parent.parent.parent

# Nothing runs before the fork but imports, so no thread is lost in it.
ZYGOTE = """
import os, signal, sys
from tests.catalog.conftest import fill
from tests.catalog.faults import DISK
from headrace.catalog.build import new_build
from headrace.catalog.commit import publish

def killing(operation, left):
    def run(*arguments, **options):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return operation(*arguments, **options)
    return run

at = 0
for _ in sys.stdin:
    at += 1
    child = os.fork()
    if child == 0:
        left = [at]
        for owner, name in DISK:
            setattr(owner, name, killing(getattr(owner, name), left))
        build = new_build(sys.argv[1], "demo")
        publish(sys.argv[1], "demo", build, fill(build))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status), flush=True)
"""

MOVER = """
import sys
from headrace.catalog.refs import tag
from headrace.catalog.store import open_store
from pathlib import Path
store = open_store(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(40):
    tag(store, "prod", 1 + (int(sys.argv[2]) + number) % 3)
"""


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", program, *(str(argument) for argument in arguments)]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)


@pytest.mark.slow
def test_sigkill_at_every_write_of_publish_leaves_the_old_or_the_new(
    make: Callable[..., object], catalog: Path
) -> None:
    make()
    zygote = start(ZYGOTE, catalog)
    assert zygote.stdin is not None
    assert zygote.stdout is not None
    version, ended, seen = 1, [], set()
    with zygote:
        while not ended or ended[-1] == 9:
            zygote.stdin.write("go\n")
            zygote.stdin.flush()
            ended.append(int(zygote.stdout.readline()))
            dataset = open_dataset(catalog / "demo")
            assert dataset.version in (version, version + 1)
            assert verify(dataset) == []
            seen.add(dataset.version - version)
            version = dataset.version
        zygote.stdin.close()
    assert ended[-1] == 0
    assert len(ended) > 30
    assert seen == {0, 1}
    assert log.versions(open_store(catalog / "demo")) == list(range(1, version + 1))


@pytest.mark.slow
def test_movers_in_other_processes_lose_no_record(tmp_path: Path) -> None:
    store = open_store(tmp_path / "demo", create=True)
    for _ in range(3):
        publish_world(store)
    movers = [start(MOVER, tmp_path / "demo", number) for number in range(3)]
    for mover in movers:
        assert mover.stdout is not None
        assert mover.stdout.readline() == "ready\n"
    for mover in movers:
        assert mover.stdin is not None
        mover.stdin.write("go\n")
        mover.stdin.flush()
    assert [mover.communicate()[0] for mover in movers] == ["", "", ""]
    assert [mover.returncode for mover in movers] == [0, 0, 0]
    written = names(store, "_refs/prod")
    assert written == [f"_refs/prod/{number:08d}.json" for number in range(1, len(written) + 1)]
    records = [json.loads(get(store, name) or b"") for name in written]
    assert [record["before"] for record in records] == [None, *(record["version"] for record in records[:-1])]
    assert len(records) >= 40
