from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.catalog.cards import cards
from headrace.catalog.commit import publish
from headrace.catalog.manifest import Manifest
from headrace.catalog.reader import open_dataset
from headrace.catalog.verify import verify
from headrace.schemas.odcs import load_contract

NAMES = ["README.md", "croissant.json", "output.odcs.yaml"]
Filled = Callable[..., tuple[Any, Manifest]]


def test_a_published_build_holds_its_cards_and_the_manifest_their_hashes(make: Any, catalog: Path) -> None:
    make()
    dataset = open_dataset(catalog / "demo")
    listed = {ref.path for ref in dataset.manifest.files}
    assert listed >= set(NAMES)
    assert verify(dataset) == []
    assert json.loads((dataset.path / "croissant.json").read_text())["name"] == "demo"
    assert load_contract(dataset.path / "output.odcs.yaml").names == ["delay", "carrier", "late"]


@pytest.mark.parametrize("name", NAMES)
def test_a_card_that_is_there_stays(filled: Filled, catalog: Path, name: str) -> None:
    build, manifest = filled()
    mine = build.write(name, b"mine")
    published = publish(catalog, "demo", build, manifest.model_copy(update={"files": (*manifest.files, mine)}))
    assert (published.path / name).read_bytes() == b"mine"
    assert all((published.path / other).stat().st_size > 4 for other in NAMES if other != name)


def test_the_same_manifest_gives_the_same_bytes(filled: Filled) -> None:
    _, manifest = filled()
    assert list(cards(manifest)) == NAMES
    assert cards(manifest) == cards(Manifest.model_validate(manifest.model_dump()))
