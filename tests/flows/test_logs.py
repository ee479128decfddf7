from __future__ import annotations

import logging

import pytest
from prefect.logging.handlers import APILogHandler

from headrace.flows.logs import LoggedStages, errors_in_one_line, sent_to_prefect
from headrace.schemas.errors import DataError

LOG = logging.getLogger("headrace")


def test_what_is_logged_goes_to_the_flow_run_and_then_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[logging.LogRecord] = []
    monkeypatch.setattr(APILogHandler, "emit", lambda _, record: sent.append(record))
    before = (LOG.level, list(LOG.handlers))
    with sent_to_prefect("run-7"):
        LOG.info("within")
    LOG.warning("after")
    assert [(record.getMessage(), vars(record)["flow_run_id"]) for record in sent] == [("within", "run-7")]
    assert (LOG.level, LOG.handlers) == before


def test_a_stage_that_is_over_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    stages = LoggedStages()
    with caplog.at_level(logging.INFO, logger="headrace"):
        stages.start("fit", 12_040)
        stages.advance("fit", 6_000)
        stages.finish("fit")
        stages.start("report", 0)
        stages.finish("report")
    first, second = caplog.messages
    assert first.startswith("fit: ")
    assert first.endswith(" s, 12,040 rows")
    assert second.startswith("report: ")
    assert second.endswith(" s")


def test_tracebacks_of_our_own_errors_stay_off_the_console(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("a flow run")
    with errors_in_one_line():
        for problem in (DataError("truncated"), ValueError("a mistake of ours")):
            try:
                raise problem
            except Exception:
                logger.exception("Encountered %s", type(problem).__name__)
    assert "Encountered ValueError" in caplog.text
    assert "Encountered DataError" not in caplog.text
