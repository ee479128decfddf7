"""docs/own-operators.md: its blocks are files of a folder, and do what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml

from headrace.engines.cpu import CpuEngine
from headrace.pipelines.load import load_pipeline
from headrace.schemas.errors import PipelineError
from headrace.testing import LAWS, ConformanceError, check_transform
from headrace.transforms.base import Transform
from headrace.transforms.registry import operator_from_plain

PAGE = (Path(__file__).parents[2] / "docs" / "own-operators.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's blocks, each in the file that its first line names."""
    for name, continued, text in re.findall(r"```\w+\n# ([\w.]+)(, continued)?\n(.*?)```", PAGE, re.DOTALL):
        with (tmp_path / name).open("a" if continued else "w", encoding="utf-8") as file:
            file.write(("\n\n" if continued else "") + text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "shop_steps", raising=False)
    return tmp_path


def test_the_steps_in_sql(folder: Path) -> None:
    frame = pl.LazyFrame({"price": [10.0, 4.0, 6.0], "quantity": [2, 0, 12]})
    for plain in yaml.safe_load((folder / "steps.yaml").read_text()):
        step = operator_from_plain(plain).resolve(frame.collect_schema())
        assert isinstance(step, Transform)
        frame = step.apply(frame, CpuEngine())
    assert frame.collect().rows() == [(10.0, 2, 5.0, "no"), (6.0, 12, 0.5, "yes")]


@pytest.mark.slow
def test_the_classes_keep_the_laws_and_are_named_by_import_path(folder: Path) -> None:
    for words in (["-m", "pytest", "-q", "-p", "no:cacheprovider", "test_shop_steps.py"], ["use.py"]):
        done = subprocess.run(
            [sys.executable, *words], cwd=folder, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_message_that_the_page_shows(folder: Path) -> None:
    careless = (folder / "shop_steps.py").read_text().replace("value.filter(value.is_finite()).max()", "value.max()")
    (folder / "shop_steps.py").write_text(careless)
    from shop_steps import ToHighest  # type: ignore[import-not-found]

    with pytest.raises(ConformanceError) as caught:
        check_transform(ToHighest(columns="price"), pl.DataFrame({"price": [1.5, 2.0] * 12}))
    shown = re.search(r"\n    (ToHighest\(price\) breaks .*?)\n\n\|", PAGE, re.DOTALL)
    assert shown is not None
    expected = re.sub(r"^    ", "", shown.group(1), flags=re.MULTILINE)
    assert caught.value.message.startswith(expected)


def test_the_page_lists_the_laws() -> None:
    assert dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", PAGE, re.MULTILINE)) == {n: law.words for n, law in LAWS.items()}


def test_a_pipeline_in_yaml_names_them_where_their_module_is_allowed(folder: Path) -> None:
    plain = {
        "name": "shop",
        "source": "data/*.parquet",
        "contract": {"name": "shop", "columns": [{"name": n, "dtype": "Float64"} for n in ("price", "cost", "late")]},
        "steps": yaml.safe_load((folder / "own.yaml").read_text()),
        "target": "late",
        "task": "regression",
        "split": {"by": "fraction", "fractions": {"train": 0.8, "test": 0.2}},
    }
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(plain, sort_keys=False))
    pipeline = load_pipeline(str(folder / "pipeline.yaml"), allow=["shop_steps"])
    assert [type(step).__name__ for step in pipeline.steps] == ["Difference", "ToHighest"]
    with pytest.raises(PipelineError) as caught:
        load_pipeline(str(folder / "pipeline.yaml"))
    assert "'shop_steps:Difference' is in a module that may not be imported" in str(caught.value)
