from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError
from tests.pipelines.conftest import SPLIT, contract_of, small
from tests.pipelines.own_operators import Double, ToMaximum

from headrace.pipelines.model import Allowed, Baseline, Output, Pipeline, Source
from headrace.schemas.errors import PipelineError
from headrace.transforms.numeric import Clip
from headrace.transforms.shape import Derive

STEPS = (Clip(columns="x", lower=0), Derive(z=pl.col("x") * 2, w="x + 1"))


def pipeline(**fields: Any) -> Pipeline:
    parts: dict[str, Any] = {"contract": contract_of(small()), "split": SPLIT, "target": "y", "steps": STEPS}
    return Pipeline(**({"name": "small", "source": Source(path="*.parquet")} | parts | fields))


def test_a_pipeline_survives_json() -> None:
    one = pipeline(
        split={"by": "time", "column": "at", "starts": {"validation": "2024-01-02", "test": "2024-01-03T04:00"}},
        baselines=[{"estimator": "dummy"}, {"estimator": "ridge", "name": "second", "parameters": {"alpha": 2.0}}],
        output={"features": "numeric", "keep": ["id"], "order": "source", "seed": 3, "profile": "cold"},
    )
    again = Pipeline.model_validate_json(one.model_dump_json())
    assert again == one
    assert again.model_dump_json() == one.model_dump_json()
    assert [type(step) for step in again.steps] == [Clip, Derive]


def test_steps_may_be_written_as_plain_data() -> None:
    plain = [{"Clip": {"columns": "x", "lower": 0}}, {"Derive": {"z": "x * 2"}}]
    assert pipeline(steps=plain).steps == (Clip(columns="x", lower=0), Derive(z="x * 2"))


def test_operators_of_ones_own_go_by_import_path_and_are_read_only_where_allowed() -> None:
    one = pipeline(steps=(*STEPS, Double(column="x"), ToMaximum(column="x")))
    module = "tests.pipelines.own_operators"
    assert one.modules == (module,)
    assert one.model_dump(mode="json")["steps"][2] == {f"{module}:Double": {"column": "x"}}
    assert Pipeline.model_validate_json(one.model_dump_json(), context=Allowed((module,))) == one
    for context in (None, Allowed(()), Allowed(("os",))):
        with pytest.raises(PipelineError, match="in a module that may not be imported"):
            Pipeline.model_validate_json(one.model_dump_json(), context=context)
    assert pipeline().modules == ()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "No Name"}, "name"),
        ({"name": "../x"}, "name"),
        ({"nothing": 1}, "nothing"),
        ({"max_bad_fraction": 1.5}, "max_bad_fraction"),
        ({"split": {"by": "chance"}}, "chance"),
        ({"baselines": [{"estimator": "dummy"}, {"estimator": "dummy"}]}, "twice: dummy"),
        ({"output": {"shard_bytes": 1}}, "shard_bytes"),
        ({"source": {"path": "x", "on_bad_file": "ignore"}}, "on_bad_file"),
    ],
)
def test_fields_that_do_not_fit_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        pipeline(**fields)


def test_a_pipeline_is_not_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        pipeline().name = "other"


def test_the_documentation_lists_every_field() -> None:
    page = (Path(__file__).parents[2] / "docs" / "pipeline.md").read_text()
    for model in (Pipeline, Source, Output, Baseline):
        for name, field in model.model_fields.items():
            if (model, name) != (Source, "root"):
                assert (f"`{name}`" if field.is_required() else f"*{name}*") in page, f"{model.__name__}.{name}"


def test_a_source_has_one_folder_whichever_files_there_are(tmp_path: Path) -> None:
    (tmp_path / "data" / "a[1]").mkdir(parents=True)
    (tmp_path / "data" / "x.parquet").touch()
    folders = {
        path: Source(path=path, root=str(tmp_path)).folder.relative_to(tmp_path).as_posix()
        for path in ("data", "data/x.parquet", "data/*.parquet", "data/*/x[12].parquet", "data/a[1]", "**/x.parquet")
    }
    assert folders == {
        "data": "data",
        "data/x.parquet": "data",
        "data/*.parquet": "data",
        "data/*/x[12].parquet": "data",
        "data/a[1]": "data/a[1]",
        "**/x.parquet": ".",
    }
