"""`headrace vocabulary`, over the dataset of a project as `headrace init` makes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner, Result

from headrace.catalog.manifest import Extends
from headrace.cli import cli
from headrace.transforms.categorify import Categorify

pytestmark = pytest.mark.slow  # runs the project once


def call(project: Path, *words: object) -> Result:
    return CliRunner().invoke(cli, ["vocabulary", *map(str, words), "--catalog", str(project / "published")])


def document(project: Path, *words: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(call(project, *words, "--json").stdout)["data"]
    return found


@pytest.fixture
def column(project: Path) -> str:
    name: str = document(project, "show", "shop")["columns"][0]["column"]
    return name


def test_columns_are_listed_and_one_is_shown(project: Path, column: str) -> None:
    listed = call(project, "show", "shop")
    assert listed.exit_code == 0, listed.output
    assert column in listed.stdout
    shown = call(project, "show", "shop", column).stdout
    assert "padding" in shown
    assert "out of vocabulary" in shown
    first = document(project, "show", "shop", column)["values"][0]
    assert first["id"] == 3


def test_ids_and_values_are_translated_both_ways(project: Path, column: str) -> None:
    first = document(project, "show", "shop", column)["values"][0]
    assert document(project, "decode", "shop", column, 0, 3)["ids"] == [
        {"id": 0, "meaning": "padding", "value": None, "count": None},
        {"meaning": "value", **first},
    ]
    encoded = document(project, "decode", "shop", column, first["value"], "nowhere", "--encode")["ids"]
    assert encoded == [{"value": first["value"], "id": 3}, {"value": "nowhere", "id": "out of vocabulary: 2"}]


def test_compact_writes_a_vocabulary_that_can_be_continued_and_a_remap(
    project: Path, column: str, tmp_path: Path
) -> None:
    made = call(project, "compact", "shop", column, "--out", tmp_path / "new", "--max-size", 1)
    assert made.exit_code == 0, made.output
    table = pl.read_parquet(tmp_path / "new" / "vocabulary.parquet")
    assert table.height == 1
    assert Categorify(columns=["x"], previous=str(tmp_path / "new" / "vocabulary.parquet"))
    remap = pl.read_parquet(tmp_path / "new" / "remap.parquet")
    assert remap.columns == ["old_id", "new_id"]
    assert remap["new_id"].max() == 3
    again = call(project, "compact", "shop", column, "--out", tmp_path / "new")
    assert again.exit_code == 2
    assert "is there already" in again.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("show", "shop", "nothing"), "has no column 'nothing'"),
        (("decode", "shop", "{column}", "three"), "'three' is no id"),
        (("decode", "shop", "{column}", "999999"), "has no id 999999"),
        (("show", "shopp"), "did you mean 'shop'?"),
    ],
)
def test_what_is_not_there_is_said_in_a_line(words: tuple[str, ...], message: str, project: Path, column: str) -> None:
    result = call(project, *(word.format(column=column) for word in words))
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_check_says_what_goes_on_and_what_is_missing(project: Path, tmp_path: Path) -> None:
    def checked(previous: str, catalog: Path) -> str:
        text = (project / "pipeline.yaml").read_text()
        assert "[country, product]}" in text
        pipeline = project / f"continued-{previous}.yaml"
        pipeline.write_text(text.replace("[country, product]}", f"[country, product], previous: {previous}}}"))
        try:
            result = CliRunner().invoke(cli, ["check", str(pipeline), "--catalog", str(catalog)])
        finally:
            pipeline.unlink()
        assert result.exit_code == 0, result.output
        return result.stdout

    assert "product continues shop@1, 6 values" in checked("latest", project / "published")
    assert "product begins anew: shop has no version yet" in checked("latest", tmp_path)
    assert "product begins anew: 9 is missing: there is no catalog" in checked("9", tmp_path / "none")


def test_an_older_vocabulary_has_a_name() -> None:
    build = Extends(dataset="shop", version=3, build="b", sha256="0" * 64)
    assert build.named == "shop@3"
    assert Extends(sha256="ab" * 32).named == "a table, abababababab"
