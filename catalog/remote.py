"""Stores of URIs: opened once a process, with credentials from the environment or the store's own chain, and patience
that has an end."""

from __future__ import annotations

import hashlib
import os
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from obstore.store import AzureStore, GCSStore, ObjectStore, S3Store

from headrace.catalog.place import Place

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

CONNECT: Final = timedelta(seconds=5)
ANSWER: Final = timedelta(seconds=25)
"""The longest that one request may take, its bytes included: no request is for more than a few MiB."""

RETRY: Final = timedelta(seconds=20)
"""How long a request that failed is tried again: connections that are refused or break, 429, 5xx."""

RETRIES: Final = 8

_SETTINGS: Final = ("AWS_", "AZURE_", "GOOGLE_")
_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")


def remote_store(place: Place) -> ObjectStore:
    """The store of a place in an object store; one for a process as long as its environment stays the same."""
    return _opened(place, _environment(), os.getpid())  # a store does not live through a fork


@lru_cache(maxsize=256)
def _opened(place: Place, environment: str, process: int) -> ObjectStore:  # noqa: ARG001 - keys of the cache
    retry: RetryConfig = {
        "max_retries": RETRIES,
        "retry_timeout": RETRY,
        "backoff": {"init_backoff": timedelta(milliseconds=250), "max_backoff": timedelta(seconds=5), "base": 2},
    }
    client: ClientConfig = {"connect_timeout": CONNECT, "timeout": ANSWER}
    prefix = place.prefix or None
    match place.scheme:
        case "s3":
            client["allow_http"] = endpoint().startswith("http://")
            return S3Store(place.bucket, prefix=prefix, client_options=client, retry_config=retry)
        case "gs":
            return GCSStore(place.bucket, prefix=prefix, client_options=client, retry_config=retry)
        case _:
            return AzureStore(place.bucket, prefix=prefix, client_options=client, retry_config=retry)


def endpoint() -> str:
    """Where S3 is, if the environment says so: another store that speaks its protocol."""
    return next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), "")


def _environment() -> str:
    """What the environment says to stores, as a hash: secrets are not kept."""
    found = sorted(item for item in os.environ.items() if item[0].startswith(_SETTINGS))
    return hashlib.sha256(repr(found).encode()).hexdigest()
