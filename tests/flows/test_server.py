from __future__ import annotations

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from headrace.flows.server import require_api
from headrace.schemas.errors import CapabilityError


def test_no_server_is_started_where_none_is_configured() -> None:
    with temporary_settings(restore_defaults={PREFECT_API_URL}), pytest.raises(CapabilityError) as caught:
        require_api()
    assert caught.value.message == "no Prefect API is configured"
    assert "prefect server start" in caught.value.hint


def test_a_server_that_does_not_answer_is_named() -> None:
    url = "http://127.0.0.1:9/api"
    with temporary_settings({PREFECT_API_URL: url}), pytest.raises(CapabilityError) as caught:
        require_api()
    assert caught.value.message.startswith(f"the Prefect API at {url} does not answer: ")
