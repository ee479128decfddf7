"""Stores on loopback that speak the protocol of S3, started for the time of a measurement, and what is put there."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import obstore
from obstore.store import S3Store

from benchmarks.loader.data import CATALOG, Made
from benchmarks.measure import cpu_seconds, tree

KEYS: Final = {
    "AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST",
    "AWS_SECRET_ACCESS_KEY": "not-a-secret-of-anyone",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}

_CONFIG: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL")

_PATIENCE: Final = 60.0


@dataclass(frozen=True)
class Server:
    """A store that runs.

    Attributes
    ----------
    name
        As in the table.
    environment
        What a process needs to reach it.
    pid
        Of its process, if it was started for the measurement.
    """

    name: str
    environment: Mapping[str, str]
    pid: int | None = None

    def cpu_seconds(self) -> float:
        """That it has used so far, which it takes from the same cores as a client; 0 if its process is not known."""
        return cpu_seconds(tree(self.pid)) if self.pid is not None else 0.0


@contextlib.contextmanager
def moto(log: Path) -> Iterator[Server]:
    """moto's server: Python, and what it holds is in its memory."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _running(command, log, port) as (url, pid):
        yield Server("moto", {**KEYS, "AWS_ENDPOINT_URL": url}, pid)


@contextlib.contextmanager
def seaweedfs(program: str, work: Path, log: Path) -> Iterator[Server]:
    """SeaweedFS in one process (`weed mini`), which keeps what it holds in a folder; it is removed at the end."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="seaweedfs-", dir=work) as folder:
        command = [program, "mini", f"-dir={folder}", f"-s3.port={port}", f"-bucket={CATALOG}"]
        command += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-admin.ui=false", "-webdav=false"]
        with _running(command, log, port, folder) as (url, pid):
            yield Server("SeaweedFS", {**KEYS, "AWS_ENDPOINT_URL": url}, pid)


@contextlib.contextmanager
def given(url: str) -> Iterator[Server]:
    """One that runs already, with credentials in the environment."""
    yield Server(url, {"AWS_ENDPOINT_URL": url})


def put(server: Server, made: Made) -> str:
    """The files of a dataset to a bucket `catalog`, which is made unless it is there. Returns the dataset's URI."""
    folder = Path(made.uri)
    url = server.environment["AWS_ENDPOINT_URL"]
    with contextlib.suppress(urllib.error.HTTPError):  # there already, or made by who runs the store
        request = urllib.request.Request(f"{url}/{CATALOG}", method="PUT")
        urllib.request.urlopen(request, timeout=30).close()
    config = {name.lower(): value for name, value in server.environment.items() if name in _CONFIG}
    bucket = S3Store(CATALOG, config=config, client_options={"allow_http": True, "timeout": "120s"})
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        obstore.put(bucket, f"{folder.name}/{path.relative_to(folder)}", path)
    return f"s3://{CATALOG}/{folder.name}"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextlib.contextmanager
def _running(command: list[str], log: Path, port: int, folder: str | None = None) -> Iterator[tuple[str, int]]:
    """The URL and the process of a server; what it puts to a temporary folder is in `folder`, where that is given."""
    with log.open("wb") as stream:
        environment = os.environ | KEYS | ({"TMPDIR": folder} if folder else {})
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=environment, cwd=folder
        )
        try:
            _wait(process, port, log)
            yield f"http://127.0.0.1:{port}", process.pid
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise RuntimeError(f"{process.args}: does not answer\n{log.read_text(errors='replace')[-2000:]}")
