from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from tests.pipelines.conftest import contract_of, small

from headrace.pipelines.load import from_yaml, gallery_names, load_pipeline, to_yaml
from headrace.pipelines.model import Pipeline
from headrace.pipelines.splits import TimeSplit
from headrace.schemas.errors import PipelineError
from headrace.schemas.odcs import dump_contract
from headrace.transforms.numeric import Clip

YAML = """
name: small
source: {path: "*.parquet"}
contract: contract.odcs.yaml
steps:
  - Clip: {columns: [x], lower: 0}
  - Derive: {z: x * 2}
target: y
split: {by: time, column: at, starts: {test: 2024-01-02}}
"""

PYTHON = """
from headrace.pipelines.load import from_yaml
from pathlib import Path
from headrace.transforms.base import Transform

pipeline = from_yaml(Path(__file__).parent / "small.yaml")
number = 5
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "contract.odcs.yaml").write_text(dump_contract(contract_of(small())))
    (tmp_path / "small.yaml").write_text(YAML)
    (tmp_path / "small.py").write_text(PYTHON)
    return tmp_path


def test_yaml_finds_its_contract_and_its_source_beside_it(folder: Path) -> None:
    pipeline = load_pipeline(str(folder / "small.yaml"))
    assert pipeline.source.root == str(folder)
    assert pipeline.contract == contract_of(small())
    assert pipeline.steps[0] == Clip(columns=["x"], lower=0)
    assert pipeline.split.names == ("train", "test")


def test_the_same_from_yaml_and_python(folder: Path) -> None:
    assert load_pipeline(f"{folder / 'small.py'}:pipeline") == load_pipeline(str(folder / "small.yaml"))


def test_a_pipeline_survives_yaml(folder: Path) -> None:
    pipeline = from_yaml(folder / "small.yaml")
    (folder / "again.yaml").write_text(to_yaml(pipeline))
    assert from_yaml(folder / "again.yaml") == pipeline


@pytest.mark.parametrize("reference", ["small.yaml", "small.py:pipeline"])
def test_values_are_set_by_dotted_paths(folder: Path, reference: str) -> None:
    pipeline = load_pipeline(
        str(folder / reference),
        {"source": "/elsewhere", "output.seed": "7", "max_bad_fraction": "0.5", "split.starts.test": "2024-02-01"},
    )
    assert pipeline.source.root == "/elsewhere"
    assert (pipeline.output.seed, pipeline.max_bad_fraction) == (7, 0.5)
    assert pipeline.split == TimeSplit(column="at", starts={"test": "2024-02-01"})  # type: ignore[dict-item]


def test_values_are_set_on_a_pipeline_with_operators_of_ones_own(folder: Path) -> None:
    code = "from tests.pipelines.own_operators import Double\n" + PYTHON
    code += "pipeline = pipeline.model_copy(update={'steps': (Double(column='x'),)})\n"
    (folder / "own.py").write_text(code)
    pipeline = load_pipeline(f"{folder / 'own.py'}:pipeline", {"output.seed": "7"})
    assert type(pipeline.steps[0]).__name__ == "Double"
    assert pipeline.output.seed == 7


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (YAML.replace("target: y", ""), "target: is required"),
        (YAML + "targets: y\n", "targets: there is no such field; did you mean target?"),
        (YAML + "output: {sed: 7}\n", "output.sed: there is no such field; did you mean seed?"),
        (
            YAML.replace("by: time", "by: tme"),
            "split: by 'tme' is not known; expected one of 'time', 'hash', 'fraction'",
        ),
        (YAML.replace("by: time, ", ""), "split: needs by: time, by: hash or by: fraction"),
        (
            YAML.replace("{test: 2024-01-02}", "{late: 2024-02-02, test: 2024-01-02}"),
            "split.starts: the starts of the splits must ascend, got late 2024-02-02T00:00:00, test 2024-01-02",
        ),
        (YAML.replace("lower: 0", "lowest: 0"), "lowest: is no field of Clip; did you mean lower?"),
        (YAML.replace("Clip", "Clp"), "unknown operator 'Clp'"),
        (YAML.replace("Clip: {columns: [x], lower: 0}", "'os:system': {}"), "may not be imported"),
        ("- a\n", "expected a mapping of fields, got list"),
        ("a: [\n", "is not YAML"),
        ("a: !!python/object/apply:os.system [true]\n", "is not YAML"),
    ],
)
def test_what_is_wrong_in_yaml_is_named(folder: Path, text: str, words: str) -> None:
    (folder / "small.yaml").write_text(text)
    with pytest.raises(PipelineError) as problem:
        load_pipeline(str(folder / "small.yaml"))
    assert words in problem.value.message
    assert str(folder / "small.yaml") in problem.value.where


@pytest.mark.parametrize(
    ("reference", "words", "hint"),
    [
        ("flihgts", "no pipeline 'flihgts'", "did you mean 'flights'?"),
        ("nothing.yaml", "no such file", ""),
        ("nothing.py:pipeline", "no such file", ""),
        ("no.such.module:pipeline", "no module", ""),
        ("small.py:pipelines", "has no 'pipelines'", "its pipelines are pipeline"),
        ("small.py:number", "expected a Pipeline, got int", ""),
    ],
)
def test_a_reference_to_nothing_is_explained(
    folder: Path, monkeypatch: pytest.MonkeyPatch, reference: str, words: str, hint: str
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(PipelineError) as problem:
        load_pipeline(reference)
    assert words in problem.value.message
    assert hint in problem.value.hint


def test_the_step_that_does_not_fit_is_named_by_its_number(folder: Path) -> None:
    (folder / "small.yaml").write_text(YAML.replace("Derive: {z: x * 2}", "Log1p: {}"))
    with pytest.raises(PipelineError) as problem:
        load_pipeline(str(folder / "small.yaml"))
    assert problem.value.where == f"{folder / 'small.yaml'}: step 2 Log1p"


def test_a_path_that_has_no_fields_cannot_be_set_into(folder: Path) -> None:
    with pytest.raises(PipelineError, match=r"--set target\.name: 'target' has no fields"):
        load_pipeline(str(folder / "small.yaml"), {"target.name": "z"})


def test_a_gallery_pipeline_takes_a_source_and_its_sample_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert gallery_names() == ("ctr", "flights", "tpch")
    assert load_pipeline("flights", {"source": str(tmp_path)}).source.root == str(tmp_path)
    monkeypatch.setattr("headrace.pipelines.gallery.flights.sample.cached_sample", lambda: tmp_path / "cached")
    with caplog.at_level("INFO", "headrace"):
        pipeline = load_pipeline("flights")
    assert pipeline.source.root == str(tmp_path / "cached")
    assert str(tmp_path / "cached") in caplog.text
    assert isinstance(pipeline, Pipeline)
    assert pl.Int64() in pipeline.contract.dtypes.values()


def test_a_gallery_pipeline_without_tables_takes_a_path_where_one_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.pipelines.gallery.ctr.sample.cached_sample", lambda: pytest.fail("not needed"))
    source = load_pipeline("ctr", {"source.path": "mine/*.parquet"}).source
    assert (source.root, source.path) == ("", "mine/*.parquet")
