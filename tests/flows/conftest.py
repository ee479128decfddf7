from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib import request
from urllib.error import HTTPError

import pytest

Answer = Any


class Server:
    """A Prefect server on loopback, in a home of its own; asked over HTTP."""

    def __init__(self, url: str, home: Path) -> None:
        self.url = url
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")},
            "PREFECT_HOME": str(home),
            "PREFECT_API_URL": url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "NO_PROXY": "127.0.0.1",
            "PREFECT_RUNNER_POLL_FREQUENCY": "1",
            "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "1",
        }

    def ask(self, path: str, body: object | None = None) -> Answer:
        """The answer to a GET, or to a POST of a body. As Prefect's clients do, asks again while SQLite is locked."""
        data = None if body is None else json.dumps(body).encode()
        asked = request.Request(self.url + path, data=data, headers={"content-type": "application/json"})
        deadline, pause = time.monotonic() + 30, threading.Event()
        while True:
            try:
                with request.build_opener(request.ProxyHandler({})).open(asked, timeout=60) as reply:
                    return json.load(reply)
            except HTTPError as error:
                if error.code != 503 or time.monotonic() > deadline:
                    raise
            pause.wait(0.2)

    def refusal(self, path: str, body: object) -> int:
        """The status with which a POST is refused."""
        try:
            self.ask(path, body)
        except HTTPError as error:
            return error.code
        raise AssertionError(f"{path} was not refused")


@contextmanager
def running(words: list[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours, ended with the block: asked first, then killed."""
    with log.open("wb") as out:
        process = subprocess.Popen(words, env=environment, stdout=out, stderr=subprocess.STDOUT, cwd=log.parent)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until(found: Callable[[], Any], seconds: float, process: subprocess.Popen[bytes], log: Path) -> Any:
    """What `found` returns once that is true; fails with the log at the deadline, or when the process has ended."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not (value := found()):
        if time.monotonic() > deadline or process.poll() is not None:
            raise AssertionError(f"not within {seconds} s; rc {process.poll()}\n{log.read_text()[-6000:]}")
        pause.wait(0.2)
    return value


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real Prefect server, for all tests that need one; 10 to 20 s."""
    folder = tmp_path_factory.mktemp("prefect")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    found = Server(f"http://127.0.0.1:{port}/api", folder / "home")
    words = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui"]
    log = folder / "server.log"

    def healthy() -> bool:
        try:
            return bool(found.ask("/health"))
        except OSError:
            return False

    with running(words, found.environment, log) as process:
        until(healthy, 120, process, log)
        yield found
