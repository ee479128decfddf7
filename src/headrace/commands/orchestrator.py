"""Who runs the stages: Prefect, if an API is configured and answers, else headrace itself."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Final, Literal, NamedTuple

from headrace.schemas.errors import CapabilityError

Wanted = Literal["auto", "none", "prefect"]
TIMEOUT_SECONDS: Final = 2.0


class Orchestrator(NamedTuple):
    """The orchestrator of a run, and why."""

    name: Literal["none", "prefect"]
    reason: str


def choose_orchestrator(wanted: Wanted) -> Orchestrator:
    """Prefect only if an API is configured and its /health answers within two seconds.

    Raises
    ------
    CapabilityError
        `prefect` is asked for, and no API is configured, or it does not answer, or Prefect is not installed.
    """
    if wanted == "none":
        return Orchestrator("none", "asked for")
    url = api_url()
    problem = "" if url else "no Prefect API is configured"
    if url and not _installed():
        problem = "Prefect is not installed"
    if not problem and (answer := health(url)):
        problem = f"the Prefect API at {url} does not answer: {answer}"
    if not problem:
        return Orchestrator("prefect", f"the API at {url} answers")
    if wanted == "prefect":
        raise CapabilityError(
            problem, hint="start a server with `prefect server start` and set PREFECT_API_URL, or use `headrace run`"
        )
    return Orchestrator("none", problem)


def api_url() -> str:
    """PREFECT_API_URL from the environment or Prefect's active profile; empty if there is none."""
    if "PREFECT_API_URL" in os.environ:
        return os.environ["PREFECT_API_URL"].strip()
    home = Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser()
    path = Path(os.environ.get("PREFECT_PROFILES_PATH", home / "profiles.toml")).expanduser()
    import tomllib

    try:
        profiles = tomllib.loads(path.read_text(encoding="utf-8"))
        active = os.environ.get("PREFECT_PROFILE") or profiles["active"]
        return str(profiles["profiles"][active]["PREFECT_API_URL"])
    except (OSError, KeyError, TypeError, ValueError):
        return ""


def health(url: str, timeout: float = TIMEOUT_SECONDS) -> str:
    """Empty if `<url>/health` answers with success within the time, else what went wrong."""
    answer: list[str] = []

    def ask() -> None:
        answer.append(_ask(f"{url.rstrip('/')}/health", timeout))

    # A thread, because looking up a host's name has no timeout of its own.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(timeout)
    return answer[0] if answer else f"nothing within {timeout:g} s"


def _ask(url: str, timeout: float) -> str:
    from urllib import request

    host = url.partition("://")[2]
    local = host.startswith(("127.", "localhost", "[::1]"))
    opener = request.build_opener(request.ProxyHandler({}) if local else request.ProxyHandler())
    headers = {}
    if key := os.environ.get("PREFECT_API_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    try:
        with opener.open(request.Request(url, headers=headers), timeout=timeout) as reply:
            return "" if reply.status == 200 else f"HTTP {reply.status}"
    except (OSError, ValueError) as error:
        return f"HTTP {error.code}" if hasattr(error, "code") else str(getattr(error, "reason", error))


def _installed() -> bool:
    from importlib import util

    return util.find_spec("prefect") is not None
