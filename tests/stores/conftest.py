"""An S3 store on loopback for each test: one server, a bucket of its own, credentials in the environment."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.catalog.conftest import FRAME, fill
from tests.failures.shop import Shop
from tests.stores.servers import CREDENTIALS, Moto, moto_server

from headrace.catalog import remote
from headrace.catalog.build import new_build
from headrace.catalog.commit import Published, publish

Make = Callable[..., Published]


@pytest.fixture(scope="session")
def server() -> Iterator[Moto]:
    with moto_server() as moto:
        yield moto


@pytest.fixture
def moto(server: Moto, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Moto:
    """The server, with this process's environment set to it and to a cache of its own."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("HEADRACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HEADRACE_WORK", raising=False)
    monkeypatch.setattr(server, "ignores_conditions", False)
    monkeypatch.setattr(server, "refuse", lambda *_: None)
    server.requests.clear()
    server.sent.clear()
    return server


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less patience with a store than there is by default."""
    monkeypatch.setattr(remote, "ANSWER", timedelta(seconds=1))
    monkeypatch.setattr(remote, "RETRY", timedelta(seconds=1))
    monkeypatch.setattr(remote, "RETRIES", 2)
    remote._opened.cache_clear()


@pytest.fixture
def catalog(moto: Moto) -> str:
    """The URI of an empty catalog."""
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    moto.make_bucket(bucket)
    return f"s3://{bucket}/team/catalog"


@pytest.fixture
def make(catalog: str) -> Make:
    """Publishes a version of the tiny dataset of `tests/catalog` to the store."""

    def one(dataset: str = "demo", *, key: str | None = None, frame: pl.DataFrame = FRAME, **changes: Any) -> Published:
        build = new_build(catalog, dataset)
        return publish(catalog, dataset, build, fill(build, frame, **changes), idempotency_key=key)

    return one


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Two files of 80 rows and a pipeline with a vocabulary that it goes on with."""
    monkeypatch.setenv("PREFECT_API_URL", "")
    monkeypatch.delenv("HEADRACE_CATALOG", raising=False)
    monkeypatch.chdir(tmp_path)
    return Shop.at(
        tmp_path,
        {"FillNull": {"columns": ["price"], "statistic": "median"}},
        {"Categorify": {"columns": ["city"], "previous": "latest"}},
        parts=2,
    )
