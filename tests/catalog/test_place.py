from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from headrace.catalog.place import Place
from headrace.schemas.errors import CapabilityError, UsageError


def test_a_path_is_a_folder(tmp_path: Path) -> None:
    for uri in (tmp_path, str(tmp_path), f"file://{tmp_path}", Place(str(tmp_path))):
        place = Place.of(uri)
        assert place == Place(str(tmp_path))
        assert (place.folder, place.remote, place.scheme, place.bucket, place.prefix) == (
            tmp_path,
            False,
            "file",
            "",
            "",
        )
    assert (Place.of(tmp_path) / "a/b").folder == tmp_path / "a" / "b"
    assert Place.of(tmp_path).parent.folder == tmp_path.parent
    assert Place.of("x").folder == Path.cwd() / "x"
    assert Place.of("~/x").folder == Path.home() / "x"


@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_a_uri_is_a_bucket_and_a_prefix(scheme: str) -> None:
    place = Place.of(f"{scheme}://bucket/team//catalog/")
    assert str(place) == f"{scheme}://bucket/team/catalog"
    assert (place.folder, place.remote, place.scheme) == (None, True, scheme)
    assert (place.bucket, place.prefix, place.name) == ("bucket", "team/catalog", "catalog")
    assert str(place.parent) == f"{scheme}://bucket/team"
    assert str(place.parent.parent) == str(place.parent.parent.parent) == f"{scheme}://bucket"
    assert str(place / "flights") == f"{scheme}://bucket/team/catalog/flights"
    assert str(place.with_name("x")) == f"{scheme}://bucket/team/x"
    assert Place.of(f"{scheme.upper()}://bucket").name == ""
    assert pickle.loads(pickle.dumps(place)) == place


@pytest.mark.parametrize(
    "uri",
    [
        "s3://AKIA123:topsecret@bucket/x",
        "s3://AKIA123:top/topsecret@bucket/x",
        "az://account:topsecret@container/x",
        "gs://topsecret@bucket",
        "az://container/x?sig=topsecret",
        "s3://bucket/x#topsecret",
    ],
)
def test_secrets_in_a_uri_are_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(UsageError) as caught:
        Place.of(uri)
    assert "topsecret" not in str(caught.value) + caught.value.hint + caught.value.where
    assert "environment" in caught.value.hint or "set " in caught.value.hint


@pytest.mark.parametrize(
    ("uri", "meant"),
    [
        (Path("s3://bucket/x"), "write s3://bucket/catalog"),
        (Path("gs://bucket") / "x", "write gs://bucket/catalog"),
        ("s3:/bucket", "write s3://bucket/catalog"),
        ("S3:bucket/x", "write s3://bucket/catalog"),
        ("az:topsecret@container", "write az://bucket/catalog"),
        (Path("hdfs://server/x"), "write hdfs://bucket/catalog"),
        ("file:/data/x", "write a path, or file:///path"),
        (Path("file:///data/x"), "write a path, or file:///path"),
    ],
)
def test_what_was_meant_as_a_uri_makes_no_folder(uri: str | Path, meant: str) -> None:
    with pytest.raises(UsageError, match="is followed by two slashes in a URI") as caught:
        Place.of(uri)
    assert caught.value.hint.startswith(meant)
    assert "topsecret" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("uri", ["file://server/share/x", "file://data", "file://", "file://~/x", "file://./x"])
def test_a_file_uri_names_no_host(uri: str) -> None:
    with pytest.raises(UsageError, match="a file:// URI is a path on this machine"):
        Place.of(uri)
    assert Place.of("file://localhost/data/x") == Place.of("file:///data/x") == Place("/data/x")


@pytest.mark.parametrize("name", ["/data/s3:/x", "2026-03-01T09:30/x", "c:", "a:b/c", "C:/data"])
def test_a_colon_in_the_name_of_a_folder_is_no_scheme(name: str) -> None:
    assert Place.of(name).folder == Path.cwd() / name


@pytest.mark.parametrize("uri", ["s3://", "s3:///x", "gs://_x/y", "s3://bucket/../x", "s3://bucket/a/./b"])
def test_what_is_no_bucket_and_prefix_is_refused(uri: str) -> None:
    with pytest.raises(UsageError):
        Place.of(uri)
    with pytest.raises(UsageError, match="no steps such as"):
        Place.of("s3://bucket/a") / "../b"


def test_other_schemes_are_refused() -> None:
    with pytest.raises(CapabilityError, match="there are no catalogs on hdfs://") as caught:
        Place.of("hdfs://server/x")
    assert "s3://, gs:// or az://" in caught.value.hint


def test_a_folder_is_asked_for_in_vain_in_a_store() -> None:
    with pytest.raises(CapabilityError, match="lies in an object store") as caught:
        Place.of("s3://bucket/x").on_disk("use files()")
    assert (caught.value.where, caught.value.hint) == ("s3://bucket/x", "use files()")
