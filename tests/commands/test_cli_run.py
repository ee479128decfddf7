"""`run`, and the commands that read what it published: one project, run once, serves them all."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import Result

Invoke = Callable[..., Result]
Document = Callable[..., dict[str, Any]]

pytestmark = pytest.mark.slow


@pytest.fixture
def published(project: Path) -> str:
    return str(project / "published")


def test_run_gives_one_document_and_keeps_stderr_for_people(project: Path) -> None:
    found = json.loads((project / "run.json").read_text())
    assert (found["schema_version"], found["command"], found["ok"]) == (1, "run", True)
    record = found["data"]
    assert record["status"] == "done"
    assert list(record["splits"]) == ["train", "validation", "test"]
    assert sum(record["splits"].values()) == record["rows_published"] == 23_988
    assert record["quarantined"] == {"country:allowed": 6, "price:range": 6}
    assert record["engine"] == "cpu"


def test_run_says_engine_stages_and_summary(project: Path, invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("run", project / "pipeline.yaml", "--catalog", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    lines = result.stderr.splitlines()
    assert lines[0].startswith("engine: cpu (")
    assert "stages run by headrace itself (no Prefect API is configured)" in lines[0]
    assert [line.split()[0] for line in lines[1:]] == [
        "prepare",
        "fit",
        "apply",
        "write",
        "baseline",
        "report",
        "publish",
    ]
    assert result.stdout.startswith("shop@1  ")
    for words in ("rows in", "quarantined for", "validation", "logistic_regression", "report", "report.html"):
        assert words in result.stdout
    opening = [line.strip() for line in result.stdout.splitlines()[-3:]]
    assert opening[0] == "from headrace import open_dataset"
    code = "\n".join([*opening, "print(frame.height)"])
    opened = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert int(opened.stdout) > 0


def test_quiet_leaves_results_only(project: Path, invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("-q", "run", project / "pipeline.yaml", "--catalog", tmp_path / "out")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert result.stdout.startswith("shop@1  ")


def test_a_run_that_fails_is_one_line_and_a_record(project: Path, invoke: Invoke, tmp_path: Path) -> None:
    words = ["run", project / "pipeline.yaml", "--set", "max_bad_fraction=0", "--catalog", tmp_path / "out"]
    result = invoke(*words)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "error[data]: " in result.stderr
    assert "Traceback" not in result.stderr
    listed = invoke("runs", "list", "--catalog", tmp_path / "out")
    assert "failed" in listed.stdout
    assert invoke("datasets", "list", "--catalog", tmp_path / "out").stdout.startswith("no dataset in")


def test_gpu_where_there_is_none_exits_3_at_once(
    project: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    result = invoke("run", project / "pipeline.yaml", "--engine", "gpu")
    assert result.exit_code == 3
    assert result.stderr.startswith("error[environment]: the GPU engine cannot run here")


def test_datasets_list_and_show(published: str, invoke: Invoke, document: Document) -> None:
    listed = invoke("datasets", "list", "--catalog", published).stdout.splitlines()
    assert listed[0].split() == ["dataset", "version", "published", "rows", "columns", "size"]
    assert listed[1].split()[:2] == ["shop", "1"]
    shown = invoke("datasets", "show", "shop", "--catalog", published)
    assert shown.exit_code == 0
    for words in ("shop@1", "customer_target", "validation", "logistic_regression", "quarantined 12"):
        assert words in shown.stdout
    found = document("datasets", "show", "shop@1", "--catalog", published)["data"]
    assert found["version"] == 1
    assert found["manifest"]["pipeline"]["name"] == "shop"


def test_datasets_show_names_the_near_dataset(published: str, invoke: Invoke) -> None:
    result = invoke("datasets", "show", "shpo", "--catalog", published)
    assert result.exit_code == 2
    assert "did you mean 'shop'?" in result.stderr


def test_verify_passes_and_finds_a_flipped_bit(
    published: str, invoke: Invoke, document: Document, tmp_path: Path
) -> None:

    assert invoke("datasets", "verify", "shop", "--catalog", published).exit_code == 0
    shutil.copytree(Path(published) / "shop", tmp_path / "copy" / "shop")
    shard = sorted((tmp_path / "copy").rglob("test/*.parquet"))[0]
    shard.chmod(0o644)
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    result = invoke("datasets", "verify", "shop", "--catalog", tmp_path / "copy")
    assert result.exit_code == 1
    assert f"test/{shard.name}" in result.stdout
    assert "are not as published" in result.stderr
    found = document("datasets", "verify", "shop", "--catalog", tmp_path / "copy")
    assert found["ok"] is False
    assert found["error"]["code"] == "data"
    assert [damage["path"] for damage in found["data"]["damage"]] == [f"test/{shard.name}"]


def test_quarantine_shows_file_row_and_reason(published: str, invoke: Invoke, document: Document) -> None:
    result = invoke("quarantine", "show", "shop", "--reason", "country", "--catalog", published)
    assert result.exit_code == 0
    assert "12 of 24,000 rows quarantined" in result.stdout
    found = document("quarantine", "show", "shop", "--limit", "5", "--catalog", published)["data"]
    assert found["matching"] == 12
    assert len(found["rows"]) == 5
    assert found["rows"][0]["source_file"].startswith("orders-2025-")
    assert found["rows"][0]["reasons"][0] in ("price:range", "country:allowed")


def test_runs_list_and_show(published: str, invoke: Invoke, document: Document) -> None:
    listed = document("runs", "list", "--catalog", published)["data"]
    assert [record["status"] for record in listed] == ["done"]
    shown = invoke("runs", "show", listed[0]["run_id"], "--catalog", published)
    assert shown.stdout.startswith("shop@1  ")
    assert [line.split()[0] for line in shown.stdout.splitlines()[-8:]] == ["stage", *listed[0]["seconds"]]
    assert invoke("runs", "show", "latest", "--catalog", published).stdout == shown.stdout
    assert invoke("runs", "show", "nothing", "--catalog", published).exit_code == 2


def test_transform_gives_the_published_features_of_new_rows(
    project: Path, published: str, invoke: Invoke, tmp_path: Path
) -> None:
    source = project / "data" / "orders-2025-06.parquet"
    words = ["transform", "shop", source, tmp_path / "features.parquet", "--catalog", published]
    result = invoke(*words)
    assert result.exit_code == 0, result.stderr
    made = pl.read_parquet(tmp_path / "features.parquet").with_columns(pl.read_parquet(source)["order_id"])
    kept = pl.read_parquet(str(Path(published) / "shop/builds/*/test/*.parquet"))
    both = kept.join(made, on="order_id", suffix="_made")
    assert both.height == kept.height
    for name in ("price", "customer_target", "country", "product", "ordered_at_hour_sin"):
        assert both[name].equals(both[f"{name}_made"].alias(name), check_names=False), name
    assert invoke(*words).exit_code == 4


def test_transform_writes_parquet_and_never_over_the_rows_it_reads(
    project: Path, published: str, invoke: Invoke, tmp_path: Path
) -> None:
    source = tmp_path / "new.parquet"
    source.write_bytes((project / "data" / "orders-2025-06.parquet").read_bytes())
    before = source.read_bytes()
    for output, words in (("new.parquet", "would replace the rows"), ("new.csv", "hint: name it new.parquet")):
        result = invoke("transform", "shop", source, tmp_path / output, "--force", "--catalog", published)
        assert (result.exit_code, words in result.stderr) == (2, True), result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["new.parquet"]
    assert source.read_bytes() == before


def test_plan_reads_footers_only(project: Path, invoke: Invoke, document: Document) -> None:
    result = invoke("plan", project / "pipeline.yaml")
    assert result.exit_code == 0
    assert "6 files, 24,000 rows" in result.stdout
    assert "pass 1: " in result.stdout
    assert document("plan", project / "pipeline.yaml")["data"]["rows"] == 24_000


def test_append_without_a_version_exits_2_and_with_other_settings_1(
    project: Path, invoke: Invoke, tmp_path: Path
) -> None:
    first = invoke("run", project / "pipeline.yaml", "--append", "--catalog", tmp_path / "none")
    assert (first.exit_code, first.stdout) == (2, "")
    assert "shop has no version to append to\nhint: run without --append first" in first.stderr
    words = ["run", project / "pipeline.yaml", "--append", "--catalog", project / "published"]
    other = invoke(*words, "--set", "output.seed=4")
    assert other.exit_code == 1
    assert "the pipeline is set up otherwise than for shop@1:\n  output.seed: 0 -> 4" in other.stderr
    nothing = invoke(*words, "-q")
    assert nothing.exit_code == 0
    title, note, *_ = nothing.stdout.splitlines()
    assert title.startswith("shop@1  ")
    assert note == "note: nothing to append: shop@1 has the rows of all 6 files already"
