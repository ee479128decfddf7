"""Pipelines, contracts and words on the command line that are wrong: every finding at once, before a row is read."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner
from tests.failures.shop import Refusals, Shop

from headrace.cli import cli

WRONG: list[tuple[str, Any, list[str]]] = [
    ("target", "lat", ["lat"]),
    ("target", None, ["target"]),
    ("name", "Shop 1", ["name: String should match pattern", "got 'Shop 1'"]),
    ("task", "clustering", ["task: ", "'classification' or 'regression'", "got 'clustering'"]),
    ("max_bad_fraction", 2, ["max_bad_fraction: ", "less than or equal to 1"]),
    ("split", {"by": "moon"}, ["split: ", "'moon'"]),
    (
        "split",
        {"by": "hash", "columns": ["id"], "fractions": {"train": 0.5}},
        ["fractions must be positive"],
    ),
    ("split", {"by": "hash", "columns": ["nr"], "fractions": {"train": 1.0}}, ["nr"]),
    ("split", {"by": "time", "column": "city", "starts": {"test": "2024-01-01"}}, ["needs a date", "'city'"]),
    ("steps", [{"Standardise": {"columns": ["price"]}}], ["Standardise", "Standardize"]),
    ("steps", [{"Standardize": {"columns": ["prize"]}}], ["step 1", "prize", "price"]),
    ("steps", [{"Standardize": {"columns": ["city"]}}], ["step 1", "city", "String"]),
    ("steps", [{"Standardize": {"colums": ["price"]}}], ["colums", "Standardize"]),
    ("steps", "Standardize", ["steps"]),
    ("steps", [{"Filter": {"where": "id <"}}], ["Filter"]),
    ("baselines", [{"estimator": "xgboost"}], ["baselines.0.estimator", "got 'xgboost'"]),
    ("colour", "red", ["colour: there is no such field"]),
    ("contract", "no.odcs.yaml", ["no.odcs.yaml: ", "the contract cannot be read: No such file or directory"]),
    ("contract", {"name": "s", "columns": [{"name": "id", "dtype": "Int65"}]}, ["contract.columns.0.dtype", "Int65"]),
    ("contract", {"name": "s", "columns": []}, ["contract"]),
    ("source", {"path": "data", "on_bad_file": "ignore"}, ["source.on_bad_file", "got 'ignore'"]),
    ("output", {"keep": ["nr"]}, ["nr"]),
    ("output", {"shard_bytes": "big"}, ["output.shard_bytes", "got 'big'"]),
]


@pytest.mark.slow
@pytest.mark.parametrize(("field", "value", "says"), WRONG, ids=[f"{f}-{v}"[:50] for f, v, _ in WRONG])
def test_wrong_field(shop: Shop, refused: Refusals, field: str, value: Any, says: list[str]) -> None:
    shop.plain[field] = value
    if value is None:
        del shop.plain[field]
    kind = "contract" if any("cannot be read" in text for text in says) else "pipeline"
    refused(*says, code=kind, exit_code=2)
    assert not (shop.catalog / ".headrace" / "work").exists()


def test_several_wrong_fields_are_listed_at_once(shop: Shop, refused: Refusals) -> None:
    shop.plain |= {"task": "clustering", "max_bad_fraction": -1, "colour": "red"}
    del shop.plain["target"]
    said = refused("4 fields are wrong:", code="pipeline", exit_code=2)
    assert [line.split(":")[0].strip() for line in said.splitlines()[1:5]] == [
        "target",
        "task",
        "max_bad_fraction",
        "colour",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: [", "is not YAML"),
        ("- 1", "expected a mapping of fields, got list"),
        ("", "expected a mapping of fields, got NoneType"),
        ("!!python/object/apply:os.system ['true']", "is not YAML"),
        ("name: \x00", "is not YAML"),
    ],
)
def test_pipeline_that_is_no_mapping(shop: Shop, text: str, says: str) -> None:
    file = shop.folder / "wrong.yaml"
    file.write_text(text)
    assert_refused(["run", str(file), "--catalog", str(shop.catalog)], 2, "pipeline", str(file), says)


CONTRACTS = [
    ("columns: [", ["YAML"]),
    (
        "apiVersion: v3.1.0\nkind: DataContract\nid: a\nversion: 1.0.0\nstatus: draft\n",
        ["missing: schema"],
    ),
    (
        "apiVersion: v3.1.0\nkind: DataContract\nid: a\nversion: 1.0.0\nstatus: draft\nschema:\n- name: t\n"
        "  properties:\n  - {name: id, logicalType: integer, physicalType: Int65}\n",
        ["Int65"],
    ),
]


@pytest.mark.parametrize(("text", "says"), CONTRACTS, ids=["not-yaml", "no-table", "no-type"])
def test_wrong_contract_file(shop: Shop, refused: Refusals, text: str, says: list[str]) -> None:
    (shop.folder / "wrong.odcs.yaml").write_text(text)
    shop.plain["contract"] = "wrong.odcs.yaml"
    refused("wrong.odcs.yaml", *says, code="contract", exit_code=2)


def assert_refused(words: list[str], exit_code: int, code: str, *says: str) -> None:
    result = CliRunner().invoke(cli, words)
    assert f"error[{code}]: " in result.stderr, result.stderr
    missing = [text for text in says if text not in result.stderr]
    assert missing == [], result.stderr
    assert result.exit_code == exit_code
    assert "Traceback" not in result.stderr


def run(shop: Shop, *words: str) -> list[str]:
    return ["run", str(shop.yaml), "--catalog", str(shop.catalog), *words]


SETTINGS = [
    ("nme=x", "pipeline", ["nme: there is no such field"]),
    ("output.sed=7", "pipeline", ["output.sed: there is no such field"]),
    ("name.first=x", "pipeline", ["name.first", "'name' has no fields"]),
    ("output.seed=x", "pipeline", ["output.seed", "got 'x'"]),
    ("output.seed", "usage", ["--set takes KEY=VALUE, got 'output.seed'"]),
    ("=7", "usage", ["--set takes KEY=VALUE, got '=7'"]),
]


@pytest.mark.parametrize(("setting", "code", "says"), SETTINGS, ids=[s for s, _, _ in SETTINGS])
def test_wrong_setting(shop: Shop, setting: str, code: str, says: list[str]) -> None:
    assert_refused(run(shop, "--set", setting), 2, code, *says)
    assert shop.versions() == []


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("fligths", ["no pipeline 'fligths'", "did you mean 'flights'?"]),
        ("no.yaml", ["no.yaml: no such file"]),
        ("nowhere.module:pipeline", ["no module 'nowhere'"]),
        ("nofile.py:pipeline", ["nofile.py: no such file"]),
        ("headrace.pipelines.model:Pipelin", ["has no 'Pipelin'"]),
        ("headrace.pipelines.model:Pipeline", ["expected a Pipeline, got "]),
    ],
)
def test_unknown_pipeline(shop: Shop, reference: str, says: list[str]) -> None:
    assert_refused(["run", reference, "--catalog", str(shop.catalog)], 2, "pipeline", *says)


def test_python_file_that_fails(shop: Shop) -> None:
    file = shop.folder / "mine.py"
    for text, says in [("a = 1\n1 +", "SyntaxError: "), ("\n1 / 0", "ZeroDivisionError: "), ("\nimport nope", "nope")]:
        file.write_text(text)
        assert_refused(["run", f"{file}:pipeline", "--catalog", str(shop.catalog)], 2, "pipeline", f"{file}", says)


@pytest.mark.parametrize(
    ("words", "code", "exit_code", "says"),
    [
        (["--cluster", "lokal"], "usage", 2, "unknown cluster 'lokal'"),
        (["--cluster", "local:0"], "usage", 2, "local:0"),
        (["--cluster", "tcp://127.0.0.1:9"], "environment", 3, "127.0.0.1:9"),
        (["--partition-bytes", "1"], "usage", 2, "partition-bytes"),
        (["--engine", "tpu"], "usage", 2, "tpu"),
    ],
)
def test_wrong_options(shop: Shop, words: list[str], code: str, exit_code: int, says: str) -> None:
    assert_refused(run(shop, *words), exit_code, code, says)
    shop.assert_nothing_left()
