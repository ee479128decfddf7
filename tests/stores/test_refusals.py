"""Stores that refuse or do not answer: one clear error each, within a bounded time."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from tests.stores.servers import answering, silent

from headrace import open_dataset
from headrace.catalog import remote
from headrace.catalog.build import new_build
from headrace.catalog.refusal import store_error
from headrace.catalog.store import get, open_store
from headrace.cli import cli
from headrace.schemas.errors import CapabilityError


def refusal(code: str, message: str = "No.") -> str:
    return f'<?xml version="1.0"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'


@pytest.mark.usefixtures("moto", "quick")
@pytest.mark.parametrize(
    ("status", "body", "says", "hint"),
    [
        (403, refusal("InvalidAccessKeyId"), "does not accept the credentials (403 Forbidden: Inv", "check them"),
        (403, refusal("SignatureDoesNotMatch"), "does not accept the credentials (403 Forbidden: Sig", "check them"),
        (400, refusal("ExpiredToken"), "the credentials have expired (400 Bad Request: ExpiredToken", "get new ones"),
        (403, refusal("AccessDenied"), "the credentials do not allow it (403 Forbidden: AccessDenied", "permission"),
        (401, "", "does not accept the credentials (401 Unauthorized", "check them"),
        (404, refusal("NoSuchBucket"), "there is no such bucket", "make the bucket"),
        (
            503,
            refusal("SlowDown", "Slow."),
            "(503 Service Unavailable: SlowDown: Slow., after 2 retries)",
            "later",
        ),
        (500, "", "the store is not available (500 Internal Server Error, after 2 retries)", "later"),
    ],
)
def test_what_a_store_refuses(monkeypatch: pytest.MonkeyPatch, status: int, body: str, says: str, hint: str) -> None:
    with answering(status, body) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        calls: list[Callable[[], Any]] = [
            lambda: get(open_store("s3://bucket/catalog"), "x"),
            lambda: open_dataset("s3://bucket/catalog/demo"),
            lambda: new_build("s3://bucket/catalog", "demo"),
        ]
        for call in calls:
            with pytest.raises(CapabilityError) as caught:
                call()
            assert says in caught.value.message
            assert hint in caught.value.hint
            assert caught.value.where.startswith("s3://bucket/catalog")
            assert "\n" not in str(caught.value)
        result = CliRunner().invoke(cli, ["datasets", "list", "--catalog", "s3://bucket/catalog"])
        assert result.exit_code == 3
        assert result.stderr.startswith("error[environment]: s3://bucket/catalog: could not look into the catalog: ")
        assert result.stderr.count("\n") == 2


@pytest.mark.usefixtures("moto", "quick")
def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(200, "") as url:
        pass
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    with pytest.raises(CapabilityError, match=r"no connection at 127.0.0.1:\d+, after 2 retries") as caught:
        open_dataset("s3://bucket/catalog/demo")
    assert "AWS_ENDPOINT_URL" in caught.value.hint


@pytest.mark.slow
@pytest.mark.usefixtures("moto", "quick")
def test_a_server_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    with silent() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        began = time.monotonic()
        with pytest.raises(CapabilityError, match="no answer in time at 127"):
            open_dataset("s3://bucket/catalog/demo")
        assert time.monotonic() - began < 60  # it ends: no request is waited for longer than it may take


def test_patience_has_an_end() -> None:
    assert timedelta(seconds=45) >= remote.ANSWER + remote.RETRY
    assert remote.CONNECT < remote.ANSWER


@pytest.mark.usefixtures("moto")
def test_a_missing_bucket_is_named() -> None:
    for call in (lambda: open_dataset("s3://nobucket/c/demo"), lambda: new_build("s3://nobucket/c", "demo")):
        with pytest.raises(CapabilityError, match=r"s3://nobucket/c/demo: could not .*: there is no such bucket"):
            call()


@pytest.mark.usefixtures("moto")
def test_secrets_in_a_catalog_are_never_printed() -> None:
    uri = "s3://AKIA1:topsecret@bucket/catalog"
    for words in (
        ["datasets", "list", "--catalog", uri],
        ["datasets", "show", f"{uri}/demo"],
        ["datasets", "verify", f"{uri}/demo", "--json"],
        ["doctor", "--catalog", uri],
        ["run", "flights", "--catalog", uri],
    ):
        result = CliRunner().invoke(cli, words)
        assert result.exit_code == 2, result.output
        assert "topsecret" not in result.output
        assert "has credentials in it" in result.output


def test_a_password_in_a_servers_address_is_not_repeated() -> None:
    text = "error sending request for url (http://user:sekret@127.0.0.1:1/bucket/x): tcp connect error"
    told = store_error(OSError(text), "read x", "s3://bucket")
    assert "sekret" not in f"{told} {told.hint}"
    assert "127.0.0.1:1" in f"{told} {told.hint}"
