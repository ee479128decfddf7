"""Prefect's API: there must be one that was started on purpose. None is started here."""

from __future__ import annotations

from typing import Final

from headrace.schemas.errors import CapabilityError

_HINT: Final = "start a server with `prefect server start` and set PREFECT_API_URL=http://127.0.0.1:4200/api"
_SECONDS: Final = 5.0


def require_api() -> str:
    """The address of the API that is configured and answers.

    Raises
    ------
    CapabilityError
        None is configured, or it does not answer. Without this, Prefect would start a temporary server.
    """
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_REQUEST_TIMEOUT, PREFECT_API_URL, temporary_settings

    url: str | None = PREFECT_API_URL.value()
    if not url:
        raise CapabilityError("no Prefect API is configured", hint=_HINT)
    with temporary_settings({PREFECT_API_REQUEST_TIMEOUT: _SECONDS}), get_client(sync_client=True) as client:
        problem = client.api_healthcheck()
    if problem is not None:
        reason = str(problem) or type(problem).__name__
        raise CapabilityError(f"the Prefect API at {url} does not answer: {reason}", hint=_HINT)
    return url
