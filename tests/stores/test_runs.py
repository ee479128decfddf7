"""Whole runs into a store, by the command line, and what is left when they are interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner
from tests.catalog.late import lost_answer
from tests.failures.shop import Shop, checksums, rows
from tests.stores.servers import Moto

from headrace import open_dataset
from headrace.catalog.place import Place
from headrace.catalog.reader import Dataset
from headrace.catalog.staging import work_folder
from headrace.catalog.store import names, open_store
from headrace.catalog.verify import verify
from headrace.cli import cli
from headrace.pipelines import stages
from headrace.pipelines.build import build
from headrace.pipelines.options import RunOptions
from headrace.pipelines.runs import list_runs, read_run, save_run, sweep
from headrace.schemas.errors import CapabilityError, RunError


def headrace(*words: str) -> Any:
    """A command in this process, its JSON."""
    result = CliRunner().invoke(cli, [*words, "--json"])
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)["data"]


def everything(catalog: str) -> list[str]:
    return names(open_store(catalog), "")


def test_a_run_into_a_store_and_all_that_reads_it(shop: Shop, catalog: str, tmp_path: Path) -> None:
    ran = headrace("run", str(shop.yaml), "--catalog", catalog)
    assert (ran["status"], ran["version"], ran["dataset"]) == ("done", 1, "shop")
    assert ran["path"].startswith(f"{catalog}/shop/builds/")
    assert ran["report"] == f"{ran['path']}/report.html"
    uri = f"{catalog}/shop"
    (listed,) = headrace("datasets", "list", "--catalog", catalog)
    assert (listed["name"], listed["version"], sum(listed["rows"].values()), listed["path"]) == ("shop", 1, 160, uri)
    shown = headrace("datasets", "show", "shop", "--catalog", catalog)
    assert (shown["version"], shown["path"]) == (1, ran["path"])
    for level in ("size", "sha256", "pages"):
        assert headrace("datasets", "verify", uri, "--level", level)["damage"] == []
    assert headrace("vocabulary", "show", uri, "--catalog", catalog)
    drift = headrace("datasets", "drift", f"{uri}/train", f"{uri}/train")
    assert {column["psi"] for column in drift["columns"] if column["psi"] is not None} == {0.0}
    assert headrace("quarantine", "show", uri)["quarantined"] == 0
    output = tmp_path / "features.parquet"
    headrace("transform", uri, str(shop.source / "part-0.parquet"), str(output))
    assert pl.read_parquet(output).height == 80
    (run,) = headrace("runs", "list", "--catalog", catalog)
    assert headrace("runs", "show", run["run_id"], "--catalog", catalog)["version"] == 1
    here = shop.build()
    assert here.status == "done"
    assert checksums(open_dataset(uri)) == shop.checksums()
    assert open_dataset(uri).to_polars("train").equals(shop.dataset().to_polars("train"))


def test_nothing_is_left_on_this_machine_and_the_next_version_continues(shop: Shop, catalog: str) -> None:
    options = RunOptions(catalog=catalog)
    assert build(shop.pipeline(), options).version == 1
    assert not [path for path in work_folder(catalog).rglob("*") if path.is_file()]
    assert not shop.catalog.exists()
    shop.write(rows(2), "part-2.parquet")
    second = build(shop.pipeline(), options)
    assert second.version == 2
    assert second.vocabularies["city"].startswith("continues shop@1, ")
    assert [r.version for r in list_runs(catalog)] == [2, 1]
    assert read_run(catalog, "latest").version == 2


def test_the_work_is_done_where_it_is_told(
    shop: Shop, catalog: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_WORK", str(tmp_path / "scratch"))
    assert build(shop.pipeline(), RunOptions(catalog=catalog)).status == "done"
    assert work_folder(catalog).parent == tmp_path / "scratch"
    assert list((work_folder(catalog) / ".headrace" / "work").iterdir()) == []


def test_the_same_key_publishes_once(shop: Shop, catalog: str) -> None:
    options = RunOptions(catalog=catalog, idempotency_key="monday")
    first = build(shop.pipeline(), options)
    again = build(shop.pipeline(), options)
    assert (first.version, again.version, again.path) == (1, 1, first.path)


@pytest.mark.parametrize("number", range(4))
def test_a_run_that_fails_while_it_uploads_leaves_nothing(
    shop: Shop, catalog: str, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    upload, done = stages.upload, []

    def breaks(task: Any) -> int:
        if len(done) == number:
            raise RunError("the worker is lost")
        done.append(task)
        return upload(task)

    monkeypatch.setattr(stages, "upload", breaks)
    with pytest.raises(RunError, match="the worker is lost"):
        build(shop.pipeline(), RunOptions(catalog=catalog))
    left = [name for name in everything(catalog) if not name.startswith(".headrace/runs/")]
    assert left == []
    assert [record.status for record in list_runs(catalog)] == ["failed"]
    monkeypatch.undo()


def test_a_run_that_fails_after_the_commit_is_published(
    shop: Shop, catalog: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = stages.publish

    def late(*words: Any, **more: Any) -> Any:
        publish(*words, **more)
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "publish", late)
    with pytest.raises(KeyboardInterrupt):
        build(shop.pipeline(), RunOptions(catalog=catalog))
    dataset = open_dataset(f"{catalog}/shop")
    assert (dataset.version, sum(dataset.rows.values())) == (1, 160)


def test_a_run_whose_commit_is_not_answered_keeps_what_it_uploaded(
    shop: Shop, catalog: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lost_answer(monkeypatch) as late, pytest.raises(CapabilityError, match="version 1 may have been published"):
        build(shop.pipeline(), RunOptions(catalog=catalog))
    (record,) = list_runs(catalog)
    assert record.status == "failed"
    assert not Path(record.build).exists(), "nothing is left on this machine"
    killed = record.model_copy(update={"status": "running", "pid": 2**22 + 1})  # as if by SIGKILL at that moment
    save_run(catalog, killed)
    sweep(catalog, "shop")
    assert [record.error.code for record in list_runs(catalog) if record.error] == ["killed"]
    late.arrive()
    dataset = open_dataset(f"{catalog}/shop")
    assert (dataset.version, sum(dataset.rows.values())) == (1, 160)
    assert verify(dataset) == []


@pytest.mark.slow
def test_a_run_that_is_killed_is_swept_by_the_next(shop: Shop, catalog: str, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text((Path(__file__).parents[1] / "failures" / "stops.py").read_text())
    stop = tmp_path / "stop"
    stop.mkdir()
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(site), *sys.path]),
        "HEADRACE_STOP": "headrace.catalog.log:commit:0",
        "HEADRACE_STOP_FOLDER": str(stop),
    }
    command = [sys.executable, "-m", "headrace.cli", "run", str(shop.yaml), "--catalog", catalog, "-q"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 240
        while not any(stop.glob("reached-*")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.communicate()
    begun = [name for name in everything(f"{catalog}/shop") if name.startswith("builds/")]
    assert begun
    assert names(open_store(Place.of(catalog) / "shop"), "_log") == []
    record = build(shop.pipeline(), RunOptions(catalog=catalog))
    assert (record.status, record.version) == ("done", 1)
    assert not set(begun) & set(everything(f"{catalog}/shop"))
    assert [r.status for r in list_runs(catalog)] == ["done", "failed"]


@pytest.mark.slow
def test_workers_in_processes_of_their_own_upload(shop: Shop, catalog: str) -> None:
    record = build(shop.pipeline(), RunOptions(catalog=catalog, cluster="local:2"))
    assert (record.status, record.version) == ("done", 1)
    dataset: Dataset = open_dataset(f"{catalog}/shop")
    assert dataset.to_polars().height == 160


def test_the_doctor_looks_at_the_store(catalog: str, moto: Moto) -> None:
    found = {finding["name"]: finding for finding in headrace("doctor", "--catalog", catalog)["findings"]}
    assert (found["catalog"]["state"], found["catalog"]["found"]) == (
        "ok",
        f"{catalog} (not there yet): can be written, and a name can be created once only",
    )
    assert everything(catalog) == []
    moto.ignores_conditions = True
    refused = CliRunner().invoke(cli, ["doctor", "--catalog", catalog, "--json"])
    assert refused.exit_code == 3
    assert "lets an existing object be created again" in refused.stderr
