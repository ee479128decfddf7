from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.flows.conftest import Server, running, until

from headrace.catalog.reader import open_dataset
from headrace.flows.request import BuildRequest
from headrace.flows.serve import make_deployment, serve_pipeline
from headrace.pipelines.model import Pipeline, Source
from headrace.schemas.contract import Column, Contract
from headrace.schemas.errors import CapabilityError, PipelineError, UsageError

# What `headrace flows serve` does, with a schedule whose first run is due soon, but not before the server knows of it:
# a time that is over by then is not made up for, and the next one is an hour later. To tell it takes about as long as
# the imports.
SERVE = """
import sys
import time
from datetime import UTC, datetime, timedelta
began = time.monotonic()
from prefect.schedules import Interval
from headrace.flows.request import BuildRequest
from headrace.flows.serve import make_deployment, serve_deployment

soon = timedelta(seconds=10 + 8 * (time.monotonic() - began))
due = (datetime.now(UTC) + soon).replace(microsecond=0)
request = BuildRequest.model_validate_json(sys.argv[1])
serve_deployment(make_deployment(request, "shop", Interval(timedelta(hours=1), anchor_date=due)))
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A pipeline of three columns over 400 rows, as YAML. Two rows are bad."""
    rows = 400
    frame = pl.DataFrame(
        {
            "id": range(rows),
            "price": [-1.0 if i in (3, 77) else i % 13 / 2 for i in range(rows)],
            "sold": [i % 3 == 0 for i in range(rows)],
        }
    )
    (tmp_path / "raw").mkdir()
    frame.write_parquet(tmp_path / "raw" / "shop.parquet")
    contract = Contract(
        name="shop",
        columns=(
            Column(name="id", dtype=pl.Int64(), required=True),
            Column(name="price", dtype=pl.Float64(), minimum=0.0),
            Column(name="sold", dtype=pl.Boolean(), required=True),
        ),
    )
    pipeline = Pipeline(
        name="shop",
        source=Source(path="*.parquet", root=str(tmp_path / "raw")),
        contract=contract,
        target="sold",
        split={"by": "hash", "columns": ["id"], "fractions": {"train": 0.8, "test": 0.2}},
    )
    path = tmp_path / "shop.yaml"
    path.write_text(pipeline.model_dump_json())  # JSON is YAML
    return path


@pytest.mark.slow
def test_a_served_pipeline_publishes_when_it_is_due_and_once_for_an_interval(
    shop: Path, tmp_path: Path, server: Server
) -> None:
    catalog, log = tmp_path / "published", tmp_path / "serve.log"
    request = BuildRequest(pipeline=str(shop), catalog=str(catalog))
    words = [sys.executable, "-c", SERVE, request.model_dump_json()]
    with running(words, server.environment, log) as process:
        scheduled = until(_ended(server, auto_scheduled=True), 300, process, log)
        assert scheduled["state_type"] == "COMPLETED", scheduled["state"]["message"]
        due = datetime.fromisoformat(scheduled["expected_start_time"])
        assert scheduled["name"] == f"shop {due:%Y-%m-%dT%H:%M:%SZ}"

        first = open_dataset(catalog / "shop")
        assert first.version == 1
        assert first.manifest.producer.flow_run == scheduled["id"]
        assert first.manifest.quality.rows_in == 400
        assert first.manifest.quality.reasons == {"price:range": 2}

        deployment = f"/deployments/{scheduled['deployment_id']}"
        for_it = {"parameters": {"request": {**_plain(request), "interval": due.isoformat()}}}
        again = server.ask(f"{deployment}/create_flow_run", for_it)["id"]
        repeated = until(_ended(server, id=again), 300, process, log)
        assert repeated["state_type"] == "COMPLETED", repeated["state"]["message"]
        assert repeated["auto_scheduled"] is False
        assert open_dataset(catalog / "shop").version == 1
        assert "Published before" in _artifact(server, again)

        by_hand = server.ask(f"{deployment}/create_flow_run", {"parameters": {"request": _plain(request)}})["id"]
        fresh = until(_ended(server, id=by_hand), 300, process, log)
        assert fresh["state_type"] == "COMPLETED", fresh["state"]["message"]
        assert open_dataset(catalog / "shop").version == 2

        assert server.refusal(f"{deployment}/create_flow_run", _asking(request, engine="abacus")) in (409, 422)
        assert server.refusal(f"{deployment}/create_flow_run", _asking(request, cluster="cloud nine")) in (409, 422)
        assert server.ask(deployment)["global_concurrency_limit"]["limit"] == 1
    assert process.returncode == 0
    assert "Warning" not in log.read_text()
    assert server.ask(deployment)["paused"] is True

    tasks = server.ask("/task_runs/filter", {"flow_runs": {"id": {"any_": [scheduled["id"]]}}})
    assert {(task["name"], task["state_type"]) for task in tasks} == {
        (name, "COMPLETED") for name in ("prepare", "fit", "apply", "write", "baseline", "report", "publish", "summary")
    }
    assert "| price:range | 2 |" in _artifact(server, scheduled["id"])
    logged = server.ask("/logs/filter", {"logs": {"flow_run_id": {"any_": [scheduled["id"]]}}})
    assert any(line["name"] == "headrace" and line["message"].startswith("apply: ") for line in logged)
    made = server.ask("/events/filter", {"filter": {"event": {"prefix": ["prefect.asset.materialization.succeeded"]}}})
    assert {event["resource"]["prefect.resource.id"] for event in made["events"]} == {(catalog / "shop").as_uri()}
    automations = server.ask("/automations/filter", {})
    assert [found["name"] for found in automations] == ["headrace: a run without heartbeat has crashed"]
    home = Path(server.environment["PREFECT_HOME"])
    assert not [path for path in home.glob("storage/*") if path.is_file()]


@pytest.mark.slow
def test_a_flow_that_fails_ends_with_its_error_and_one_line(tmp_path: Path, server: Server) -> None:
    words = [sys.executable, "-m", "headrace.cli", "flows", "run", "flights", "--catalog", "here"]
    words += ["--set", f"source={tmp_path / 'nowhere'}", "--json"]
    done = subprocess.run(words, env=server.environment, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["code"] == "data"
    assert "Traceback" not in done.stderr
    failed = server.ask("/flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["FAILED"]}}}})
    assert "no such file or folder" in failed[0]["state"]["message"]


def test_the_deployment_names_the_flow_by_its_module_and_allows_one_run() -> None:
    deployment = make_deployment(BuildRequest(pipeline="flights", catalog="/data/published"), "flights")
    assert deployment.entrypoint == "headrace.flows.build.build_dataset"
    assert deployment.concurrency_limit == 1
    assert deployment.parameters == {"request": {"pipeline": "flights", "catalog": "/data/published"}}
    assert deployment.tags == ["headrace", "headrace-served"]
    assert deployment.schedules == []


def test_mistakes_are_said_before_any_server_is_asked(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked() -> str:
        raise CapabilityError("asked")

    monkeypatch.setattr("headrace.flows.server.require_api", asked)
    with pytest.raises(UsageError, match="five fields"):
        serve_pipeline(str(shop), cron="0 5 * *")
    with pytest.raises(PipelineError, match="no pipeline"):
        serve_pipeline("flihgts", cron="0 5 * * *")
    with pytest.raises(CapabilityError, match="asked"):
        serve_pipeline(str(shop), cron="0 5 * * *")


def _plain(request: BuildRequest) -> dict[str, Any]:
    plain: dict[str, Any] = request.model_dump(mode="json", exclude_defaults=True)
    return plain


def _asking(request: BuildRequest, **changes: str) -> dict[str, Any]:
    return {"parameters": {"request": {**_plain(request), **changes}}}


def _ended(server: Server, **facts: object) -> Callable[[], Any]:
    def ended() -> Any:
        runs = server.ask("/flow_runs/filter", {})
        over = [run for run in runs if run["state_type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")]
        return next((run for run in over if facts.items() <= run.items()), None)

    return ended


def _artifact(server: Server, flow_run: str) -> str:
    found = server.ask("/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [flow_run]}}})
    return "\n".join(str(artifact["data"]) for artifact in found if artifact["type"] == "markdown")
