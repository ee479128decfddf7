"""A store that fails in the middle of an epoch: one clear error that names the shard, and no thread is left."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.catalog.loader.worlds import published
from tests.stores.servers import Moto

from headrace import open_dataset
from headrace.schemas.errors import CapabilityError, DataError, HeadraceError

ROWS = 4_000
XML = '<?xml version="1.0"?>\n<Error><Code>{}</Code><Message>No.</Message></Error>'


@pytest.fixture
def uri(catalog: str) -> str:
    """Ten shards."""
    table = pa.table({"id": np.arange(ROWS)})
    published(catalog, *((table.slice(start, 400), [400]) for start in range(0, ROWS, 400)))
    return f"{catalog}/demo"


def read(uri: str, cache: Any, found: list[int]) -> None:
    """The rows of an epoch in published order, as they come."""
    loader = open_dataset(uri, cache_dir=cache).numpy_loader(
        "train", batch_size=200, lanes=1, prefetch=0, shuffle=False
    )
    for batch in loader:
        found += batch["id"].tolist()


def left() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith(("headrace-loader", "fetch"))]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("cache", [None, False])
@pytest.mark.parametrize(
    ("status", "code", "kind", "says"),
    [
        ("503 Service Unavailable", "SlowDown", CapabilityError, "the store is not available"),
        ("400 Bad Request", "ExpiredToken", CapabilityError, "the credentials have expired"),
        ("403 Forbidden", "AccessDenied", CapabilityError, "the credentials do not allow it"),
        ("404 Not Found", "NoSuchKey", DataError, "is missing"),
    ],
)
def test_one_error_names_the_shard(
    uri: str, moto: Moto, cache: Any, status: str, code: str, kind: type[HeadraceError], says: str
) -> None:
    moto.refuse = lambda _, path: (status, XML.format(code)) if path.endswith("part-00007.parquet") else None
    found: list[int] = []
    with pytest.raises(kind, match=says) as caught:
        read(uri, cache, found)
    assert "part-00007.parquet" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert found == list(range(len(found)))
    assert len(found) <= 2_800
    assert left() == []


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("cache", [None, False])
def test_a_store_that_no_longer_answers_ends_the_epoch(uri: str, moto: Moto, cache: Any) -> None:
    over = threading.Event()
    moto.refuse = lambda _, path: over.wait(60) and None if path.endswith("part-00007.parquet") else None
    began = time.monotonic()
    try:
        with pytest.raises(CapabilityError, match=r"part-00007\.parquet: no answer in time"):
            read(uri, cache, [])
    finally:
        over.set()
    assert time.monotonic() - began < 20  # a request is waited for a second here, and tried for another
    assert left() == []
