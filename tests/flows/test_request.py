from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from pydantic import ValidationError

from headrace.engines.gpu.options import GpuOptions
from headrace.flows.request import BuildRequest, idempotency_key, moment
from headrace.schemas.errors import UsageError

FIVE = datetime(2026, 1, 5, 5, 0, tzinfo=UTC)


def test_a_request_needs_a_pipeline_and_nothing_else() -> None:
    request = BuildRequest(pipeline="flights")
    assert request.model_dump() == {
        "pipeline": "flights",
        "overrides": {},
        "catalog": "published",
        "engine": "auto",
        "cluster": "auto",
        "strict_gpu": False,
        "gpu": GpuOptions().model_dump(),
        "partition_bytes": None,
        "force": False,
        "append": False,
        "interval": None,
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"pipeline": ""},
        {"engine": "abacus"},
        {"cluster": "cloud nine"},
        {"cluster": "local:0"},
        {"cluster": "cuda:0"},
        {"cluster": "http://10.0.0.7:80"},
        {"gpu": {"pool": 2}},
        {"gpu": {"pol": 0.5}},
        {"partition_bytes": 0},
        {"catalog": ""},
        {"interval": "2026-01-05T05:00:00"},
        {"interval": "soon"},
        {"overrides": {"source": 7}},
        {"speed": "fast"},
    ],
    ids=str,
)
def test_bad_values_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        BuildRequest.model_validate({"pipeline": "flights", **wrong})


@pytest.mark.parametrize("cluster", ["auto", "inline", "local", "local:4", "cuda", "cuda:2", "tcp://10.0.0.7:8786"])
def test_clusters_that_can_be_asked_for(cluster: str) -> None:
    assert BuildRequest(pipeline="flights", cluster=cluster).cluster == cluster


def test_the_schema_that_prefect_checks_by_says_the_same() -> None:
    schema = BuildRequest.model_json_schema()
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["pipeline"]
    assert schema["properties"]["engine"]["enum"] == ["auto", "cpu", "gpu"]
    assert schema["properties"]["partition_bytes"]["anyOf"] == [
        {"type": "integer", "minimum": 65536},
        {"type": "null"},
    ]
    assert schema["properties"]["cluster"]["pattern"].startswith("^(auto|inline|(local")
    assert schema["$defs"]["GpuOptions"]["properties"]["pool"]["maximum"] == 0.95


@pytest.mark.parametrize(
    ("reference", "label"),
    [
        ("flights", "flights"),
        ("/data/shop.yaml", "shop"),
        ("jobs/shop.py:daily", "shop"),
        ("jobs.shop:daily", "jobs.shop:daily"),
    ],
)
def test_the_label_is_short(reference: str, label: str) -> None:
    assert BuildRequest(pipeline=reference).label == label


def test_options_take_over_how_it_is_run() -> None:
    request = BuildRequest(pipeline="flights", catalog="/data", engine="cpu", cluster="local:2", force=True)
    options = request.options("key", "run-7")
    assert (options.catalog, options.engine, options.cluster, options.force) == ("/data", "cpu", "local:2", True)
    assert (options.strict_gpu, options.gpu, options.partition_bytes) == (False, GpuOptions(), None)
    assert options.idempotency_key == "key"
    assert options.producer == {"flow_run": "run-7"}


def test_options_take_over_how_gpu_workers_are_set_up() -> None:
    request = BuildRequest(pipeline="flights", engine="gpu", strict_gpu=True, gpu=GpuOptions(pool=0.5))
    options = request.options("key", "run-7")
    assert (options.engine, options.cluster, options.strict_gpu) == ("gpu", "auto", True)
    assert options.gpu.pool == 0.5


def test_anchored_paths_do_not_depend_on_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    request = BuildRequest(
        pipeline="jobs/shop.yaml", catalog="published", overrides={"source": "raw", "output.seed": "7"}
    ).anchored()
    assert request.pipeline == f"{tmp_path}/jobs/shop.yaml"
    assert request.catalog == f"{tmp_path}/published"
    assert request.overrides == {"source": f"{tmp_path}/raw", "output.seed": "7"}
    assert BuildRequest(pipeline="shop.py:daily").anchored().pipeline == f"{tmp_path}/shop.py:daily"
    for kept in ("flights", "jobs.shop:daily"):
        assert BuildRequest(pipeline=kept).anchored().pipeline == kept
    assert BuildRequest(pipeline="flights", catalog="file:///data").anchored().catalog == "file:///data"


def test_runs_for_one_interval_share_a_key_wherever_they_run() -> None:
    request = BuildRequest(pipeline="flights", overrides={"source": "/raw", "output.seed": "7"})
    elsewhere = request.model_copy(update={"engine": "gpu", "cluster": "local:2", "force": True, "interval": FIVE})
    reordered = request.model_copy(update={"overrides": {"output.seed": "7", "source": "/raw"}})
    in_new_york = FIVE.astimezone(timezone(timedelta(hours=-5)))
    key = idempotency_key(request, "flights", FIVE, "run-1")
    assert key == "flights/2026-01-05T05:00:00Z/9172134a2260cce8"
    assert idempotency_key(elsewhere, "flights", FIVE, "run-2") == key
    assert idempotency_key(reordered, "flights", in_new_york, "run-3") == key


def test_another_interval_or_other_data_is_another_key() -> None:
    request = BuildRequest(pipeline="flights")
    key = idempotency_key(request, "flights", FIVE, "run-1")
    other = request.model_copy(update={"overrides": {"source": "/elsewhere"}})
    assert idempotency_key(request, "flights", FIVE + timedelta(days=1), "run-1") != key
    assert idempotency_key(other, "flights", FIVE, "run-1") != key


def test_a_run_by_hand_has_a_key_of_its_own() -> None:
    request = BuildRequest(pipeline="flights")
    assert idempotency_key(request, "flights", None, "run-1") == "flights/flow-run/run-1"
    assert idempotency_key(request, "flights", None, "run-2") == "flights/flow-run/run-2"


def test_moments_are_utc() -> None:
    assert moment(FIVE.astimezone(timezone(timedelta(hours=9)))) == "2026-01-05T05:00:00Z"
    assert moment(FIVE.replace(microsecond=250000)) == "2026-01-05T05:00:00.250000Z"


def test_credentials_in_the_catalogs_uri_are_refused_and_not_repeated() -> None:
    with pytest.raises(UsageError, match="has credentials in it") as caught:
        BuildRequest(pipeline="flights", catalog="s3://key:topsecret@bucket/datasets")
    assert "topsecret" not in repr(caught.value) + str(caught.value) + caught.value.hint
    assert BuildRequest(pipeline="flights", catalog="s3://bucket/datasets").anchored().catalog == "s3://bucket/datasets"
