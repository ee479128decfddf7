from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest
from tests.catalog.conftest import fill
from tests.catalog.pages.test_dataset_page import Page

from headrace.catalog.build import new_build
from headrace.catalog.commit import publish
from headrace.catalog.pages.site import write_index, write_page
from headrace.schemas.errors import CapabilityError, RunError, UsageError


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    root = tmp_path / "catalog"
    for name, versions in (("flights", 2), ("index", 1)):
        for _ in range(versions):
            build = new_build(root, name)
            publish(root, name, build, fill(build))
    return root


def test_the_page_of_a_version(catalog: Path, tmp_path: Path) -> None:
    out = tmp_path / "pages" / "flights.html"
    written = write_page(f"{catalog}/flights@1", out)
    text = out.read_text(encoding="utf-8")
    assert (written.dataset, written.version, written.bytes) == ("flights", 1, out.stat().st_size)
    assert "<title>flights@1</title>" in text
    assert "All datasets" not in text
    assert f"open_dataset(&#34;{catalog}/flights@1&#34;)" in text
    assert "croissant.json (Croissant metadata), output.odcs.yaml (the contract of these rows)" in text
    assert text.count('<tr class="here" aria-current="true"><th scope="row">1</th>') == 1


@pytest.mark.slow
def test_a_page_is_replaced_as_a_whole(catalog: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    out.write_text("old")
    write_page(f"{catalog}/flights", out)
    first = out.read_bytes()
    write_page(f"{catalog}/flights", out)
    assert out.read_bytes() == first
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["page.html"]


@pytest.mark.slow
def test_the_index_links_to_a_page_of_each_dataset(catalog: Path, tmp_path: Path) -> None:
    out = tmp_path / "site"
    found = write_index(str(catalog), out)
    assert found.path == out / "index.html"
    assert [(page.dataset, page.version) for page in found.pages] == [("flights", 2), ("index", 1)]
    text = found.path.read_text(encoding="utf-8")
    for name in ("flights", "index"):
        assert f'<a href="datasets/{name}.html">{name}</a>' in text
        page = (out / "datasets" / f"{name}.html").read_text(encoding="utf-8")
        assert f"<h1>{name}@" in page
        assert '<a href="../index.html">All datasets</a>' in page


@pytest.mark.slow
def test_every_page_is_well_formed_and_every_link_leads_somewhere(catalog: Path, tmp_path: Path) -> None:
    build = new_build(catalog, "a.b_c-D")
    publish(catalog, "a.b_c-D", build, fill(build))
    out = tmp_path / "site"
    write_index(str(catalog), out)
    pages = {path.resolve(): Page(path.read_text(encoding="utf-8")) for path in out.rglob("*.html")}
    names = ["datasets/a.b_c-D.html", "datasets/flights.html", "datasets/index.html", "index.html"]
    assert sorted(str(path.relative_to(out.resolve())) for path in pages) == names
    for path, page in pages.items():
        links = [attributes["href"] or "" for tag, attributes in page.elements if tag == "a"]
        assert links
        for link in links:
            file, _, place = link.partition("#")
            target = (path.parent / file).resolve() if file else path
            assert target in pages, link
            assert not place or place in {attributes.get("id") for _, attributes in pages[target].elements}, link
        assert not {"src", "srcset", "data", "poster"} & {name for _, found in page.elements for name in found}
        assert not [tag for tag, _ in page.elements if tag in ("link", "img", "iframe", "object", "base")]


def test_a_damaged_dataset_is_in_the_index_with_what_is_wrong(catalog: Path, tmp_path: Path) -> None:
    [manifest] = (catalog / "index" / "builds").glob("*/manifest.json")
    manifest.chmod(0o644)
    manifest.write_bytes(b"{}")
    found = write_index(str(catalog), tmp_path / "site")
    assert [page.dataset for page in found.pages] == ["flights"]
    assert list(found.problems) == ["index"]
    assert found.problems["index"].split(": ")[-1] in found.path.read_text(encoding="utf-8").replace("&#39;", "'")


@pytest.mark.slow
def test_nothing_is_written_into_the_catalog(catalog: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in catalog.rglob("*")}
    write_index(str(catalog), tmp_path / "site")
    assert {path: path.stat().st_mtime_ns for path in catalog.rglob("*")} == before


def test_a_folder_is_no_page(catalog: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder, expected the name of a file"):
        write_page(f"{catalog}/flights", tmp_path)


def test_a_place_that_cannot_be_written(catalog: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"file/page.html: cannot write"):
        write_page(f"{catalog}/flights", tmp_path / "file" / "page.html")


def test_without_jinja2_it_says_what_to_install(catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    real = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name.startswith("jinja2"):
            raise ModuleNotFoundError("No module named 'jinja2'")
        return real(name, *rest)

    for module in ("templates", "dataset_page", "index_page"):
        monkeypatch.delitem(sys.modules, f"headrace.catalog.pages.{module}", raising=False)
    monkeypatch.setattr(builtins, "__import__", missing)
    for write in (
        lambda: write_page(f"{catalog}/flights", tmp_path / "x"),
        lambda: write_index(str(catalog), tmp_path),
    ):
        with pytest.raises(CapabilityError, match="pages need jinja2") as failed:
            write()
        assert failed.value.hint == "pip install 'headrace[build]'"
