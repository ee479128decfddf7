"""What follows from the runs, and that a written result reads back."""

from __future__ import annotations

import json

import pytest
from benchmarks.gpu.model import FLOOR, Result
from pydantic import ValidationError
from tests.benchmarks.gpu_result import made_up


def test_rates_are_medians_over_the_rounds_and_shares_are_of_the_floor() -> None:
    case = made_up().cases[0]
    run = case.summary("headrace run, GPU")
    assert (run.wall_s, run.work_s) == (16, 4)
    assert (run.mrows_per_s, run.mrows_per_s_whole) == (1.0, 0.25)
    assert run.input_gb_per_s == pytest.approx(0.29 / 4, abs=1e-3)
    assert run.of_floor == pytest.approx(0.75 / 4, abs=1e-3)
    assert run.of_two_pass_floor == 0.25
    assert case.summary(FLOOR).of_floor == 1.0


def test_without_a_floor_there_are_no_shares() -> None:
    case = made_up().cases[0]
    alone = case.model_copy(update={"runs": {"cuDF script": case.runs["cuDF script"]}})
    assert alone.summary("cuDF script").of_floor is None
    assert alone.summary("cuDF script").of_two_pass_floor is None


def test_a_written_result_reads_back_and_names_its_units() -> None:
    result = made_up().complete()
    text = result.model_dump_json()
    assert Result.model_validate_json(text) == result
    document = json.loads(text)
    assert document["schema_version"] == 1
    assert document["summaries"]["4000000"]["cuDF script"]["mrows_per_s"] == 2.0
    assert document["summaries"]["40000000"] == {}


def test_an_unknown_field_is_refused() -> None:
    document = json.loads(made_up().model_dump_json())
    document["cases"][0]["speed"] = 9
    with pytest.raises(ValidationError, match="speed"):
        Result.model_validate(document)
