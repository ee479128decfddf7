"""`headrace datasets tag | retire | gc`, and what `list` and `show` say of names and retired versions."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from obstore.store import ObjectStore
from tests.catalog.conftest import fill
from tests.catalog.worlds import build_id

from headrace.catalog import collect
from headrace.catalog.build import new_build
from headrace.catalog.commit import publish
from headrace.catalog.leases import take
from headrace.catalog.store import open_store
from headrace.schemas.errors import CapabilityError, HeadraceError, RunError

Invoke = Callable[..., Result]
Document = Callable[..., dict[str, Any]]

pytestmark = pytest.mark.usefixtures("catalog")


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """A catalog with three versions of `demo`."""
    catalog = tmp_path / "published"
    for _ in range(3):
        build = new_build(catalog, "demo")
        publish(catalog, "demo", build, fill(build))
    return catalog


def orphan(catalog: Path, dataset: str = "demo") -> Path:
    """A build of 30 days ago that was never committed."""
    path = catalog / dataset / "builds" / build_id(timedelta(days=30))
    (path / "train").mkdir(parents=True)
    shard = path / "train" / "part-00000.parquet"
    shard.write_bytes(b"x" * 2048)
    then = time.time() - timedelta(days=30).total_seconds()
    os.utime(shard, (then, then))
    return path


def test_a_name_is_given_moved_and_removed(invoke: Invoke) -> None:
    assert invoke("datasets", "tag", "demo").stdout == "demo has no names yet\n"
    assert invoke("datasets", "tag", "demo", "prod", "1").stdout == "prod is demo@1\n"
    assert invoke("datasets", "tag", "demo", "prod", "latest").stdout == "prod is demo@3, was demo@1\n"
    assert invoke("datasets", "tag", "demo", "next", "prod").stdout == "next is demo@3\n"
    shown = invoke("datasets", "tag", "demo", "prod").stdout.splitlines()
    assert [line.split()[:3] for line in shown] == [["name", "version", "before"], ["prod", "3", "1"]]
    lines = invoke("datasets", "tag", "demo").stdout.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["name", "version", "before"],
        ["next", "3", "-"],
        ["prod", "3", "1"],
    ]
    assert invoke("datasets", "show", "demo@prod").stdout.startswith("demo@3 ")
    assert invoke("datasets", "tag", "demo", "prod", "--delete").stdout == "prod is removed, was demo@3\n"
    assert invoke("datasets", "show", "demo@prod").exit_code == 2


def test_a_name_as_json(document: Document) -> None:
    moved = document("datasets", "tag", "demo", "prod", "2")
    assert moved["command"] == "datasets tag"
    assert moved["data"]["ref"].items() >= {"name": "prod", "version": 2, "before": None, "number": 1}.items()
    assert document("datasets", "tag", "demo")["data"]["refs"] == [moved["data"]["ref"]]


def test_a_name_is_moved_only_from_what_is_expected(invoke: Invoke, document: Document) -> None:
    assert invoke("datasets", "tag", "demo", "prod", "1", "--expect", "none").exit_code == 0
    assert invoke("datasets", "tag", "demo", "prod", "2", "--expect", "1").exit_code == 0
    lost = invoke("datasets", "tag", "demo", "prod", "3", "--expect", "1")
    assert lost.exit_code == 4
    assert "prod is version 2, expected version 1; it was not moved" in lost.stderr
    assert document("datasets", "tag", "demo", "prod", "3", "--expect", "none")["error"]["code"] == "conflict"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["demo", "prod", "9"], "demo has no version 9; it has 1 to 3"),
        (["demo", "prod", "nxet"], "'nxet' is not a version"),
        (["demo", "latest", "1"], "'latest' cannot be the name of a version"),
        (["demo", "7", "1"], "'7' cannot be the name of a version"),
        (["demo", "prod"], "demo has no name 'prod'"),
        (["demo", "prod", "--expect", "1"], "--expect is for a name that moves"),
        (["dmeo", "prod"], "no dataset 'dmeo'"),
        (["demo@2", "prod"], "demo@2 names a version"),
        (["demo", "prod", "--delete"], "there is no name 'prod'"),
        (["demo", "prod", "1", "--delete"], "version 1 is given as well"),
        (["demo", "--delete"], "--delete and --expect are for one name"),
        (["demo", "prod", "1", "--expect", "x"], "--expect takes a version or none, got 'x'"),
    ],
)
def test_names_that_are_wrong(invoke: Invoke, words: list[str], message: str) -> None:
    result = invoke("datasets", "tag", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_a_version_is_retired(invoke: Invoke, document: Document) -> None:
    done = invoke("datasets", "retire", "demo@3", "--reason", "wrong labels")
    assert done.stdout == "demo@3 is retired: wrong labels; latest is demo@2\n"
    assert invoke("datasets", "show", "demo").stdout.startswith("demo@2 ")
    opened = invoke("datasets", "show", "demo@3")
    assert opened.exit_code == 1
    assert "was retired on" in opened.stderr
    assert "open demo@2" in opened.stderr
    again = document("datasets", "retire", "demo@3", "--reason", "other")["data"]
    assert (again["retired"]["reason"], again["latest"]) == ("wrong labels", 2)


def test_a_version_in_use_is_not_retired(invoke: Invoke, catalog: Path) -> None:
    invoke("datasets", "tag", "demo", "prod", "2")
    take(open_store(catalog / "demo"), 2, "train-7")
    refused = invoke("datasets", "retire", "demo@prod", "--reason", "x")
    assert refused.exit_code == 4
    assert "demo@2 is used by the name prod, the job train-7" in refused.stderr
    assert invoke("datasets", "retire", "demo@2", "--reason", "x", "--force").exit_code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["demo", "--reason", "x"], "name the version to retire"),
        (["demo@1"], "--reason"),
        (["demo@1", "--reason", " "], "retired with a reason"),
        (["demo@9", "--reason", "x"], "demo has no version 9"),
    ],
)
def test_retiring_that_is_wrong(invoke: Invoke, words: list[str], message: str) -> None:
    result = invoke("datasets", "retire", *words)
    assert result.exit_code == 2
    assert message in result.stderr


def test_the_history_shows_names_and_what_is_retired(invoke: Invoke, document: Document) -> None:
    invoke("datasets", "tag", "demo", "prod", "1")
    invoke("datasets", "tag", "demo", "old", "1")
    invoke("datasets", "retire", "demo@2", "--reason", "wrong labels")
    lines = invoke("datasets", "show", "demo").stdout.splitlines()[-4:]
    assert lines[0].split() == ["version", "published", "rows", "names", "retired"]
    assert lines[2].endswith("wrong labels")
    assert lines[3].split()[-2:] == ["old,", "prod"]
    versions = document("datasets", "show", "demo")["data"]["versions"]
    assert [version["refs"] for version in versions] == [[], [], ["old", "prod"]]
    assert [version["retired"] for version in versions] == [None, "wrong labels", None]


def test_garbage_is_shown_and_only_then_deleted(invoke: Invoke, document: Document, catalog: Path) -> None:
    assert invoke("datasets", "gc").stdout == "no garbage\n"
    invoke("datasets", "retire", "demo@1", "--reason", "wrong labels")
    left = orphan(catalog)
    shown = invoke("datasets", "gc", "demo")
    assert shown.exit_code == 0
    assert f"demo/builds/{left.name} 1 2.0 KiB never committed, untouched since 20" in " ".join(shown.stdout.split())
    assert "version 1, retired on" in shown.stdout
    assert shown.stdout.endswith("; nothing was deleted: --delete does\n")
    assert left.exists()
    data = document("datasets", "gc")["data"]
    assert (data["deleted"], len(data["datasets"][0]["garbage"])) == (False, 2)
    gone = invoke("datasets", "gc", "--delete")
    assert gone.stdout.endswith(" deleted\n")
    assert not left.exists()
    assert len(list((catalog / "demo" / "builds").iterdir())) == 2
    assert invoke("datasets", "verify", "demo@2").exit_code == 0
    assert invoke("datasets", "gc").stdout == "no garbage\n"


def test_a_dataset_that_cannot_be_read_is_left_alone(invoke: Invoke, document: Document, catalog: Path) -> None:
    build = new_build(catalog, "other")
    publish(catalog, "other", build, fill(build))
    damaged, fine = orphan(catalog), orphan(catalog, "other")
    (catalog / "demo" / "_log" / f"{2:020d}.json").unlink()
    result = invoke("datasets", "gc", "--delete")
    assert result.exit_code == 1
    assert "no garbage was collected in demo: there are versions up to 3, and no commit record of" in result.stderr
    assert (damaged.exists(), fine.exists()) == (True, False)
    refused = document("datasets", "gc")
    assert refused["ok"] is False
    assert [one["dataset"] for one in refused["data"]["refused"]] == ["demo"]


@pytest.mark.parametrize(
    ("error", "code"),
    [(CapabilityError("the clock is ahead", hint="set it right", where="there"), 3), (RunError("no answer"), 1)],
)
def test_what_was_deleted_is_shown_when_a_later_dataset_ends_it(
    invoke: Invoke, document: Document, catalog: Path, monkeypatch: pytest.MonkeyPatch, error: HeadraceError, code: int
) -> None:
    for name in ("other", "third"):
        build = new_build(catalog, name)
        publish(catalog, name, build, fill(build))
    first, left = orphan(catalog), [orphan(catalog, "other") for _ in range(2)]
    third, deleted = orphan(catalog, "third"), []
    real = collect._delete

    def breaks(store: ObjectStore, build: str, gone: Any, *, whole: bool) -> None:
        if len(deleted) == 2:
            raise error
        deleted.append(build)
        real(store, build, gone, whole=whole)

    monkeypatch.setattr(collect, "_delete", breaks)
    result = invoke("datasets", "gc", "--delete")
    assert result.exit_code == code
    assert deleted == [first.name, min(build.name for build in left)]
    shown = re.findall(r"\S+/builds/\S+", result.stdout)
    assert shown == [f"demo/builds/{deleted[0]}", f"other/builds/{deleted[1]}"]
    assert result.stdout.endswith("4.0 KiB deleted\n")
    assert f"the collection ended at other: {error.message}" in result.stderr
    assert third.exists()
    deleted.clear()
    failed = document("datasets", "gc", "--delete")
    assert failed["ok"] is True, "two pieces are left, and both are deleted"
    assert failed["data"]["refused"] == []


def test_an_error_before_anything_was_found_is_shown_alone(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def ahead(*_: object) -> None:
        raise CapabilityError("the clock is ahead")

    monkeypatch.setattr(collect, "_refuse_early", ahead)
    result = invoke("datasets", "gc", "--delete")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "the clock is ahead" in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dmeo"], "no dataset 'dmeo'"),
        (["demo@2"], "demo@2 names a version"),
        (["--older-than", "week"], "--older-than 'week' is not an age"),
        (["--older-than", "0d"], "a day is the least"),
        (["--older-than", "1h"], "a day is the least"),
        (["--catalog", "nowhere"], "no catalog at"),
    ],
)
def test_garbage_that_is_asked_for_wrongly(invoke: Invoke, words: list[str], message: str) -> None:
    result = invoke("datasets", "gc", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


@pytest.mark.parametrize("command", ["show", "verify", "diff"])
def test_a_collected_version_is_none_any_more(invoke: Invoke, command: str) -> None:
    invoke("datasets", "retire", "demo@2", "--reason", "wrong labels")
    assert invoke("datasets", "gc", "--delete").exit_code == 0
    result = invoke("datasets", command, "demo@2")
    assert (result.exit_code, result.stdout) == (2, "")
    assert re.search(
        r"demo@2 was retired on [-0-9]{10} \(wrong labels\) and collected\nhint: open demo@3", result.stderr
    )
    assert "2  " in invoke("datasets", "show", "demo").stdout


def test_a_damaged_version_that_is_retired_is_not_collected(invoke: Invoke, catalog: Path) -> None:
    invoke("datasets", "retire", "demo@2", "--reason", "wrong labels")
    for manifest in (catalog / "demo" / "builds").glob("*/manifest.json"):
        manifest.write_bytes(b"{}")
    result = invoke("datasets", "diff", "demo@2", "demo@3")
    assert result.exit_code == 1
    assert "collected" not in result.stderr


def test_garbage_collection_says_who_keeps_a_retired_version(invoke: Invoke, document: Document, catalog: Path) -> None:
    invoke("datasets", "tag", "demo", "prod", "2")
    take(open_store(catalog / "demo"), 2, "train-7")
    invoke("datasets", "retire", "demo@2", "--reason", "wrong labels", "--force")
    first, line = invoke("datasets", "gc").stdout.splitlines()
    assert first == "no garbage"
    assert re.fullmatch(
        r"demo@2 stays, retired on [-0-9]{10}: wrong labels; kept by the name prod, the job train-7", line
    )
    (kept,) = document("datasets", "gc")["data"]["datasets"][0]["kept"]
    assert (kept["version"], kept["by"]) == (2, ["the name prod", "the job train-7"])
    tagged = invoke("datasets", "tag", "demo").stdout.splitlines()
    assert tagged[0].split() == ["name", "version", "before", "since", "retired"]
    assert tagged[1].endswith("  wrong labels")


def test_a_dataset_is_no_catalog(invoke: Invoke, catalog: Path) -> None:
    place = catalog / "demo"
    named = f"{place} is a dataset: headrace datasets show demo --catalog {catalog}"
    assert invoke("datasets", "show", "--catalog", place).stderr.endswith(f"hint: {named}\n")
    wrong = invoke("datasets", "show", "demo", "--catalog", place)
    assert wrong.exit_code == 2
    assert f"{place}, which is a dataset, not a catalog" in wrong.stderr
    assert f"hint: headrace datasets show demo --catalog {catalog}" in wrong.stderr
    collected = invoke("datasets", "gc", "--catalog", place)
    assert (collected.exit_code, collected.stdout) == (2, "")
    assert f"hint: headrace datasets gc demo --catalog {catalog}" in collected.stderr


def test_where_no_dataset_is_named_those_that_there_are(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("datasets", "verify")
    assert result.exit_code == 2
    assert f"hint: {tmp_path / 'published'} holds demo: headrace datasets verify demo\n" in result.stderr
    assert "hint: see headrace datasets verify --help" in invoke("datasets", "verify", "--catalog", "none").stderr
