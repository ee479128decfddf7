"""Stores of URIs, as far as they can be made without one: Google's and Azure's are not spoken to in any test."""

from __future__ import annotations

import pytest
from obstore.store import AzureStore, GCSStore, S3Store

from headrace.catalog.place import Place
from headrace.catalog.store import open_store, place
from headrace.schemas.errors import CapabilityError


def test_each_scheme_has_its_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    for uri, kind in (("s3://b/x/y", S3Store), ("gs://b/x/y", GCSStore), ("az://b/x/y", AzureStore)):
        store = open_store(uri)
        assert isinstance(store, kind)
        assert store.prefix == "x/y"
        assert place(store) == uri
        assert open_store(Place.of(uri)) is store
    assert place(open_store("s3://b")) == "s3://b"


def test_a_store_without_its_account_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(CapabilityError, match="could not open the catalog: there are no credentials") as caught:
        open_store("az://container/x")
    assert "AZURE_" in caught.value.hint
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "one")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    with pytest.raises(CapabilityError, match="no credentials for this store, or not all of them"):
        open_store("s3://bucket/x")


def test_other_credentials_get_another_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not a secret")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "one")
    first = open_store("s3://b/x")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "two")
    second = open_store("s3://b/x")
    assert first is not second
    assert open_store("s3://b/x") is second


def test_http_is_allowed_for_an_endpoint_that_is_http(monkeypatch: pytest.MonkeyPatch) -> None:
    for endpoint, allowed in (("http://127.0.0.1:9", "true"), ("https://127.0.0.1:9", "false")):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        store = open_store("s3://b/x")
        assert isinstance(store, S3Store)
        assert str((store.client_options or {}).get("allow_http")).lower() == allowed
