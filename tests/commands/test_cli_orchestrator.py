from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from headrace.commands.orchestrator import api_url, choose_orchestrator, health
from headrace.schemas.errors import CapabilityError


class Api(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/api/health" else 503)
        self.end_headers()
        self.wfile.write(b"true")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Api) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


def test_health_is_empty_where_the_api_answers(server: str) -> None:
    assert health(f"{server}/api") == ""
    assert health(f"{server}/api/") == ""


def test_health_says_what_is_wrong(server: str) -> None:
    assert "503" in health(f"{server}/elsewhere")
    assert "refused" in health("http://127.0.0.1:9/api")
    assert "nonsense" in health("nonsense")


def test_a_server_that_says_nothing_is_given_up() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert health(f"http://127.0.0.1:{port}/api", timeout=0.05) in ("nothing within 0.05 s", "timed out")


def test_auto_without_an_api_is_the_plain_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "")
    assert choose_orchestrator("auto") == ("none", "no Prefect API is configured")


def test_auto_with_a_dead_api_is_the_plain_engine_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    name, reason = choose_orchestrator("auto")
    assert name == "none"
    assert "http://127.0.0.1:9/api does not answer" in reason


def test_auto_with_a_live_api_is_prefect(monkeypatch: pytest.MonkeyPatch, server: str) -> None:
    monkeypatch.setenv("PREFECT_API_URL", f"{server}/api")
    assert choose_orchestrator("auto").name == "prefect"
    assert choose_orchestrator("none") == ("none", "asked for")


def test_prefect_that_is_asked_for_and_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "")
    with pytest.raises(CapabilityError) as caught:
        choose_orchestrator("prefect")
    assert "PREFECT_API_URL" in caught.value.hint


def test_the_api_of_prefects_active_profile_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.delenv("PREFECT_PROFILE", raising=False)
    monkeypatch.delenv("PREFECT_PROFILES_PATH", raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    assert api_url() == ""
    (tmp_path / "profiles.toml").write_text(
        'active = "team"\n[profiles.team]\nPREFECT_API_URL = "http://prefect:4200/api"\n[profiles.local]\n'
    )
    assert api_url() == "http://prefect:4200/api"
    monkeypatch.setenv("PREFECT_PROFILE", "local")
    assert api_url() == ""
