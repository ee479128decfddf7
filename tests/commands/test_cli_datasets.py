from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import Result
from tests.catalog.conftest import fill

from headrace.catalog.build import new_build
from headrace.catalog.commit import publish


def test_verify_says_which_shards_have_no_page_checksums(
    tmp_path: Path,
    invoke: Callable[..., Result],
    document: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    catalog = tmp_path / "catalog"
    build = new_build(catalog, "with")
    publish(catalog, "with", build, fill(build))
    real = pq.ParquetWriter.__init__
    monkeypatch.setattr(
        pq.ParquetWriter, "__init__", lambda w, *to, **how: real(w, *to, **how | {"write_page_checksum": False})
    )
    build = new_build(catalog, "without")
    publish(catalog, "without", build, fill(build))
    for name, shards in (("with", []), ("without", ["test/part-00000.parquet", "train/part-00000.parquet"])):
        verify = ("datasets", "verify", name, "--catalog", catalog, "--level", "pages")
        result = invoke(*verify)
        assert result.exit_code == 0
        assert "all as published (pages)" in result.stdout
        words = "2 of them have no checksums of pages, as the GPU engine writes them"
        assert (words in result.stdout) == bool(shards)
        assert document(*verify)["data"]["without_page_checksums"] == shards
    assert document("datasets", "verify", "without", "--catalog", catalog)["data"]["without_page_checksums"] == []


def test_list_names_what_versions_are_called(
    tmp_path: Path, invoke: Callable[..., Result], document: Callable[..., dict[str, Any]]
) -> None:
    catalog = tmp_path / "catalog"
    for _ in range(2):
        build = new_build(catalog, "demo")
        publish(catalog, "demo", build, fill(build))
    listing = ("datasets", "list", "--catalog", catalog)
    assert "names" not in invoke(*listing).stdout
    assert invoke("datasets", "tag", "demo", "prod", "1", "--catalog", catalog).exit_code == 0
    header, line = invoke(*listing).stdout.splitlines()
    assert header.split()[-1] == "names"
    assert line.endswith("prod 1")
    assert document(*listing)["data"][0]["refs"] == {"prod": 1}
