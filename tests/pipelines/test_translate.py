from __future__ import annotations

from pathlib import Path

import pytest
from tests.pipelines.conftest import Make
from tests.pipelines.families import every_family

from headrace.engines import translation
from headrace.pipelines.sources import read_tables
from headrace.pipelines.translate import Finding, translation_report
from headrace.schemas.errors import CapabilityError


@pytest.mark.slow
def test_operators_of_every_family_run_on_the_gpu_but_for_the_named_kernels(tmp_path: Path) -> None:
    pipeline = every_family(tmp_path / "source", 300)
    findings = translation_report(pipeline, read_tables(pipeline, rows=False))
    assert [(f.part, f.lacking) for f in findings if f.lacking] == []
    others = {"elements", "lists", "ngrams"}
    assert {kernel for f in findings for kernel in f.kernels} == set(translation.KERNELS) - others
    assert [f.part for f in findings][:1] == ["contract"]
    assert [f.part for f in findings if f.number == 0] == ["contract", "split"]
    assert {f.number for f in findings} == set(range(len(pipeline.steps) + 1))


def test_what_does_not_translate_is_named(make: Make) -> None:
    findings = translation_report(make([{"Derive": {"parts": "STRING_TO_ARRAY(c, 'x')", "z": "x * 2"}}]), {})
    assert [f.part for f in findings if f.lacking] == ["Derive(parts, z)"]


def test_without_cudf_polars_it_says_so(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(CapabilityError, match="cudf-polars is not installed"):
        translation_report(make([]), {})


def test_a_finding_is_a_plain_value() -> None:
    finding = Finding(number=1, part="Clip(x)", kernels=("lookup",), lacking=())
    assert Finding.model_validate_json(finding.model_dump_json()) == finding
