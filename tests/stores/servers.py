"""Stores on loopback: moto's server, which speaks the protocol of S3, and servers that misbehave."""

from __future__ import annotations

import logging
import threading
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST",
    "AWS_SECRET_ACCESS_KEY": "not-a-secret-of-anyone",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Moto:
    """moto's S3 on a free port.

    `requests` has those that came, `sent` the bytes of each answer to a GET. `refuse` gives status and body for a
    request that is not to reach the store, None for others.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[tuple[str, str]] = []
        self.sent: list[tuple[str, int]] = []
        self.refuse: Callable[[str, str], tuple[str, str] | None] = lambda *_: None
        self.ignores_conditions = False

    def make_bucket(self, name: str) -> None:
        """An empty bucket."""
        request = urllib.request.Request(f"{self.url}/{name}", method="PUT")
        urllib.request.urlopen(request, timeout=60).close()

    def wrap(self, application: Application) -> Application:
        def called(environment: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
            method, path = environment["REQUEST_METHOD"], environment["PATH_INFO"]
            self.requests.append((method, path))
            if refused := self.refuse(method, path):
                start(refused[0], [("Content-Length", str(len(refused[1])))])
                return [refused[1].encode()]
            if self.ignores_conditions:
                environment.pop("HTTP_IF_NONE_MATCH", None)

            def counted(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
                size = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
                self.sent.append((path, size))
                return start(status, headers, *rest)

            return application(environment, counted if method == "GET" else start)

        return called


@contextmanager
def moto_server() -> Iterator[Moto]:
    """A server that holds nothing yet; it ends with the block."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = Moto("")
    application = moto.wrap(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True)  # type: ignore[arg-type]
    moto.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield moto
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


@contextmanager
def answering(status: int, body: str) -> Iterator[str]:
    """A server that gives every request this answer; its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            data = b"" if self.command == "HEAD" else body.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer  # noqa: N815 - the names that http.server calls

        def log_message(self, *_: Any) -> None: ...

    with _serving(Handler) as url:
        yield url


@contextmanager
def silent() -> Iterator[str]:
    """A server that takes every request and never answers; its URL."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def wait(self) -> None:
            over.wait(60)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = wait  # noqa: N815

        def log_message(self, *_: Any) -> None: ...

    with _serving(Handler) as url:
        try:
            yield url
        finally:
            over.set()


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
