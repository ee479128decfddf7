from __future__ import annotations

from typing import Any

import pytest
from tests.catalog.conftest import fill

from headrace.catalog.build import new_build
from headrace.catalog.commit import publish
from headrace.catalog.diff import diff
from headrace.catalog.reader import open_dataset
from headrace.catalog.settings import load_settings, save_settings, setting_changes
from headrace.schemas.errors import DataError

BEFORE: dict[str, Any] = {
    "name": "shop",
    "steps": [
        {"Clip": {"columns": ["delay"], "lower": None, "upper": 60}},
        {"Standardize": {"columns": ["delay"]}},
        {"Derive": {"columns": {"late": {"polars": {"Column": "a"}}}}},
    ],
    "split": {"by": "time", "starts": {"test": "2013-10-01T00:00:00"}},
    "output": {"seed": 0, "keep": []},
    "contract": {"columns": [{"name": "delay", "required": True}, {"name": "carrier", "required": True}]},
    "baselines": [{"estimator": "dummy", "name": "", "seed": 0}],
}


def changed(**changes: Any) -> list[tuple[str, str, str]]:
    found = setting_changes(BEFORE, BEFORE | changes)
    return [(change.setting, change.first, change.second) for change in found]


def test_nothing_has_changed() -> None:
    assert changed() == []


def test_a_setting_of_a_step() -> None:
    clip = {"Clip": {"columns": ["delay"], "lower": -30, "upper": 240}}
    assert changed(steps=[clip, *BEFORE["steps"][1:]]) == [
        ("step 1 Clip lower", "-", "-30"),
        ("step 1 Clip upper", "60", "240"),
    ]


def test_a_step_that_came_between_and_one_that_went() -> None:
    log = {"Log1p": {"columns": ["delay"]}}
    assert changed(steps=[log, *BEFORE["steps"][:2]]) == [
        ("step 1 Log1p", "-", '{"columns": ["delay"]}'),
        ("step 3 Derive", '{"columns": {"late": {"polars": {"Column": "a"}}}}', "-"),
    ]


def test_an_expression_is_not_spelled_out() -> None:
    other = {"Derive": {"columns": {"late": {"polars": {"Column": "b"}}}}}
    assert changed(steps=[*BEFORE["steps"][:2], other]) == [
        ("step 3 Derive columns.late", "a Polars expression", "a Polars expression")
    ]


def test_the_rest_by_where_it_stands() -> None:
    columns = [{"name": "delay", "required": False}, {"name": "carrier", "required": True}]
    found = changed(
        output={"seed": 7, "keep": []},
        split={"by": "time", "starts": {"test": "2013-11-01T00:00:00"}},
        contract={"columns": columns},
        baselines=[{"estimator": "dummy", "name": "", "seed": 1}],
    )
    assert found == [
        ("split.starts.test", "2013-10-01T00:00:00", "2013-11-01T00:00:00"),
        ("output.seed", "0", "7"),
        ("contract.columns.delay.required", "true", "false"),
        ("baselines.dummy.seed", "0", "1"),
    ]


def test_a_long_value_is_cut() -> None:
    (change,) = setting_changes({"description": "x"}, {"description": "y" * 200})
    assert (change.first, len(change.second), change.second[-1]) == ("x", 60, "…")


def test_two_versions(catalog: Any) -> None:
    for upper in (60, 240):
        build = new_build(catalog, "demo")
        ref = save_settings(build, {"steps": [{"Clip": {"upper": upper}}]})
        manifest = fill(build)
        publish(catalog, "demo", build, manifest)
        assert ref in manifest.files
    one, two = (open_dataset(catalog / "demo", version) for version in (1, 2))
    (change,) = diff(one, two).settings
    assert (change.setting, change.first, change.second) == ("step 1 Clip upper", "60", "240")
    two.local(ref).write_text("{")
    with pytest.raises(DataError, match="the settings of the pipeline cannot be read"):
        diff(one, two)


def test_a_version_from_before_they_were_kept(catalog: Any, make: Any) -> None:
    make()
    make()
    one, two = (open_dataset(catalog / "demo", version) for version in (1, 2))
    assert load_settings(one) is None
    assert diff(one, two).settings == ()
