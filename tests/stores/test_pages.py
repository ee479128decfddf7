from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.stores.servers import Moto

from headrace import open_dataset
from headrace.catalog.store import names, open_store
from headrace.schemas.odcs import load_contract

pytest.importorskip("jinja2")
from headrace.catalog.pages.site import write_index


def test_a_build_in_a_store_holds_its_cards(make: Callable[..., Any], catalog: str) -> None:
    make()
    dataset = open_dataset(f"{catalog}/demo")
    listed = {ref.path: ref for ref in dataset.manifest.files}
    stored = {name.rpartition("/")[2] for name in names(open_store(f"{catalog}/demo"), "builds")}
    assert stored >= {"README.md", "croissant.json", "output.odcs.yaml"}
    assert load_contract(dataset.local(listed["output.odcs.yaml"])).names == list(dataset.columns)


@pytest.mark.slow
def test_pages_of_a_catalog_in_a_store_read_no_rows(
    make: Callable[..., Any], catalog: str, moto: Moto, tmp_path: Path
) -> None:
    make("flights")
    make("ctr")
    make("ctr")
    moto.requests.clear()
    found = write_index(catalog, tmp_path / "site")
    assert [(page.dataset, page.version) for page in found.pages] == [("ctr", 2), ("flights", 1)]
    asked = [path for method, path in moto.requests if method == "GET"]
    assert asked
    assert not [path for path in asked if path.endswith(".parquet")]
    assert {method for method, _ in moto.requests} <= {"GET", "HEAD"}
    page = (tmp_path / "site" / "datasets" / "ctr.html").read_text(encoding="utf-8")
    assert f"open_dataset(&#34;{catalog}/ctr@2&#34;)" in page
    assert "load_dataset(&#34;parquet&#34;, data_files={&#34;train&#34;: &#34;s3://" in page
    assert f'<p class="lead">{catalog}</p>' in found.path.read_text(encoding="utf-8")
