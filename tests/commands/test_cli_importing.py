"""`headrace import`: what it says, as text and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner
from tests.pipelines.nvtabular.saved import node, workflow

from headrace.cli import cli


def saved(tmp_path: Path) -> str:
    function = {"f": {"module": "shop", "qualname": "double"}}
    nodes = [
        node(0, "SelectionOp", {"n": "int64"}),
        node(1, "LambdaOp", {"n": "int64"}, parents=[0], params=function),
        node(2, "LogOp", {"x": "float64"}, {"x": "float32"}),
        node(3, "ConcatColumns", {"x": "float32", "n": "int64"}, parents=[1, 2]),
    ]
    return str(workflow(tmp_path / "saved", nodes))


def test_what_is_not_carried_over_is_listed(tmp_path: Path) -> None:
    ran = CliRunner().invoke(cli, ["import", "nvtabular", saved(tmp_path), "--out", str(tmp_path / "out")])
    assert ran.exit_code == 0, ran.output
    assert "NVTabular 26.3.0: 2 steps, 1 columns" in ran.output
    assert "the function shop.double is code" in ran.output
    assert "LambdaOp: write it as a Derive" in ran.output


def test_json_has_every_fact(tmp_path: Path) -> None:
    ran = CliRunner().invoke(cli, ["import", "nvtabular", saved(tmp_path), "--out", str(tmp_path / "out"), "--json"])
    found = json.loads(ran.stdout)
    found = found.get("data", found)
    assert found["left"] == [
        {
            "node": "1",
            "operator": "LambdaOp",
            "columns": ["n"],
            "why": "the function shop.double is code, which is not imported",
            "instead": "write it as a Derive",
        }
    ]


def test_a_folder_that_is_no_workflow_is_one_error(tmp_path: Path) -> None:
    ran = CliRunner().invoke(cli, ["import", "nvtabular", str(tmp_path), "--out", str(tmp_path / "out")])
    assert ran.exit_code == 2
    assert "holds no workflow of NVTabular" in ran.output
    assert "Traceback" not in ran.output
