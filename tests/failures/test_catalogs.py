"""Catalogs that cannot be written, disks that are full, damage by hand, and two runs at once."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner
from tests.failures.shop import Refusals, Shop, checksums, rows

from headrace.catalog.reader import open_dataset
from headrace.cli import cli
from headrace.engines.cpu import CpuEngine
from headrace.pipelines import apply, measuring, merging, write
from headrace.pipelines.build import build
from headrace.pipelines.options import RunOptions
from headrace.pipelines.runs import list_runs
from headrace.pipelines.work import open_work
from headrace.schemas.errors import RunError

pytestmark = pytest.mark.slow  # each test is a run or more


def test_catalog_that_is_a_file(shop: Shop, refused: Refusals) -> None:
    shop.plain["name"] = "other"
    place = shop.folder / "afile"
    place.write_text("")
    refused(
        "the catalog cannot be written", str(place), code="environment", exit_code=3, words=("--catalog", str(place))
    )


def test_dataset_that_is_a_file(shop: Shop) -> None:
    shop.catalog.mkdir()
    (shop.catalog / "shop").write_text("")
    outcome = shop.run()
    assert outcome.code in (1, 3)
    assert outcome.stderr.startswith("error[environment]: "), outcome.stderr
    assert list_runs(shop.catalog)[0].status == "failed"


def without_privileges() -> list[str]:
    """What a command begins with to have no more rights than the modes of files give; root has more."""
    if os.geteuid() != 0:
        return []
    drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    if shutil.which("setpriv") is None or subprocess.run([*drop, "true"], check=False).returncode:
        pytest.skip("root may write everywhere, and there is no setpriv to change that")
    return drop


@pytest.mark.slow
@pytest.mark.parametrize("locked", ["published", "published/shop", "published/.headrace"])
def test_catalog_that_may_not_be_written(shop: Shop, locked: str) -> None:
    folder = shop.folder / locked
    folder.mkdir(parents=True)
    folder.chmod(0o555)
    command = [sys.executable, "-m", "headrace.cli", "run", str(shop.yaml), "--catalog", str(shop.catalog), "-q"]
    variables = os.environ | {"PREFECT_API_URL": ""}
    ran = subprocess.run(
        [*without_privileges(), *command], capture_output=True, text=True, env=variables, check=False, timeout=60
    )
    folder.chmod(0o755)
    assert (ran.returncode, ran.stdout) == (3, ""), ran.stderr
    assert ran.stderr.startswith("error[environment]: "), ran.stderr
    assert "ermission denied" in ran.stderr
    assert str(shop.catalog) in ran.stderr
    assert "hint: " in ran.stderr
    assert "Traceback" not in ran.stderr
    assert shop.versions() == []
    assert shop.builds() == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte, where this user may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small disk to fill: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes_left", [0, 8, 40, 64, 100, 200, 300])
def test_disk_that_fills_up(shop: Shop, small_disk: Path, kilobytes_left: int) -> None:
    catalog = small_disk / "published"
    ballast = small_disk / "ballast"
    many = pl.concat([rows(part) for part in range(100)])
    shop.alone(many)
    shop.plain["output"] = {"keep": ["id", "city"]}
    with ballast.open("wb") as out:
        free = shutil.disk_usage(small_disk).free - kilobytes_left * 1024
        out.write(b"x" * max(0, free))
    with pytest.raises(RunError) as caught:
        shop.build(catalog=str(catalog))
    assert "space" in caught.value.message or "full" in caught.value.message
    assert caught.value.hint
    assert not list(catalog.glob("shop/_log/0*"))
    assert not list(catalog.glob("shop/builds/*"))
    ballast.unlink()
    assert shop.build(catalog=str(catalog)).version == 1


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (measuring, "save_record"),
        (merging, "save_step"),
        (CpuEngine, "write_pieces"),
        (write, "write_shard"),
        (apply, "save_record"),
    ],
)
def test_disk_full_at(
    shop: Shop, refused: Refusals, monkeypatch: pytest.MonkeyPatch, module: object, name: str
) -> None:
    def full(*_args: object, **_kwargs: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/some/file")

    monkeypatch.setattr(module, name, full)
    refused("the disk is full", "No space left on device", "hint: free space and run again", code="run")
    monkeypatch.undo()
    assert shop.build().version == 1


def test_two_runs_of_the_same_content_at_once(shop: Shop) -> None:
    pipeline = shop.pipeline()
    with ThreadPoolExecutor(2) as pool:
        records = list(pool.map(lambda _: build(pipeline, RunOptions(catalog=str(shop.catalog))), range(2)))
    assert sorted(r.version or 0 for r in records) == [1, 2]
    shop.assert_nothing_left(published=2)
    assert shop.checksums(1) == shop.checksums(2)


@pytest.mark.slow
def test_two_processes_at_once_with_equal_and_with_other_content(shop: Shop) -> None:
    def start(*words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "headrace.cli", "run", str(file), "--catalog", str(shop.catalog), "-q", *words]
        variables = os.environ | {"PREFECT_API_URL": ""}
        return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    file = shop.yaml
    runs = [start(), start(), start("--set", "output.seed=7")]
    ended = [(run.communicate(timeout=240), run.returncode) for run in runs]
    assert [code for _, code in ended] == [0, 0, 0], ended
    shop.assert_nothing_left(published=3)
    all_of_them = [shop.checksums(version) for version in (1, 2, 3)]
    assert sorted(all_of_them.count(one) for one in all_of_them) == [1, 2, 2]
    assert list((shop.catalog / ".headrace" / "work").iterdir()) == []


def test_other_schema_published_meanwhile_is_a_conflict(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    from headrace.pipelines import build as module

    shop.build()
    pipeline = shop.pipeline()
    without = pipeline.model_copy(update={"steps": pipeline.steps[:-1]})
    from headrace.catalog import log

    commit = log.commit

    def late(*args: object, **kwargs: object) -> object:
        monkeypatch.setattr(log, "commit", commit)
        module.build(without, RunOptions(catalog=str(shop.catalog)))
        return commit(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(log, "commit", late)
    shop.plain["steps"].append({"Clip": {"columns": ["price"], "lower": 0, "upper": 1}})
    shop.plain["steps"].append({"HashBucket": {"columns": ["city"], "n": 3}})
    outcome = shop.run()
    assert outcome.code == 4, outcome.stderr
    assert outcome.stderr.startswith("error[conflict]: ")
    shop.assert_nothing_left(published=2)


def test_run_twice_gives_two_versions_of_equal_data(shop: Shop) -> None:
    for version in (1, 2):
        outcome = shop.run()
        assert outcome.code == 0
        assert outcome.stdout.startswith(f"shop@{version}")
    assert shop.checksums(1) == shop.checksums(2)


def test_a_flipped_bit_is_found(shop: Shop) -> None:
    shop.build()
    file = next(shop.dataset().path.glob("train/*.parquet"))
    file.chmod(0o644)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    result = CliRunner().invoke(cli, ["datasets", "verify", "shop", "--catalog", str(shop.catalog)])
    assert result.exit_code == 1
    assert file.name in result.stdout
    assert "1 of" in result.stderr
    assert "files are not as published" in result.stderr


def test_a_flipped_bit_in_a_record_is_found(shop: Shop) -> None:
    shop.build()
    record = shop.catalog / "shop" / "_refs" / "prod" / "00000001.json"
    CliRunner().invoke(cli, ["datasets", "tag", "shop", "prod", "latest", "--catalog", str(shop.catalog)])
    record.chmod(0o644)
    record.write_bytes(record.read_bytes().replace(b'"moved_at": "2', b'"moved_at": "3'))
    result = CliRunner().invoke(cli, ["datasets", "verify", "shop", "--catalog", str(shop.catalog)])
    assert result.exit_code == 1
    assert "../../_refs/prod/00000001.json" in result.stdout
    assert " files and 1 records of the dataset are not as published" in result.stderr


def interrupted_after_fit(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Leave a work folder whose passes are done. Returns it."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(apply, "apply_partition", stop)
        with pytest.raises(KeyboardInterrupt):
            shop.build()
    (work,) = (shop.catalog / ".headrace" / "work").iterdir()
    return work


DAMAGE = [
    "pass-0/00001/record.json",
    "pass-0/00001/*.arrow",
    "pass-1/00001/*.arrow",
    "learned/0/step.json",
    "plan.json",
    "pipeline.json",
]


@pytest.mark.slow
@pytest.mark.parametrize("pattern", DAMAGE)
@pytest.mark.parametrize("how", ["truncated", "garbage", "deleted"])
def test_a_damaged_work_folder(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], pattern: str, how: str
) -> None:
    work = interrupted_after_fit(shop, monkeypatch)
    if "arrow" in pattern:
        shutil.rmtree(work / "learned")  # so that the partials are read again
    for path in sorted(work.glob(pattern)):
        if how == "deleted":
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if how == "truncated" else b"\0garbage")
    open_work.cache_clear()  # as in a process of its own
    outcome = shop.run()
    assert capfd.readouterr().err == ""
    if outcome.code:
        assert outcome.stderr.startswith("error[run]: "), outcome.stderr
        assert "--force" in outcome.stderr
        shop.assert_nothing_left()
        outcome = shop.run("--force")
    assert outcome.code == 0, outcome.stderr
    reference = RunOptions(catalog=str(shop.folder / "elsewhere"))
    build(shop.pipeline(), reference)
    assert shop.checksums() == checksums(open_dataset(shop.folder / "elsewhere" / "shop"))
