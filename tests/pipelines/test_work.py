from __future__ import annotations

import gc
import json
import weakref
from pathlib import Path

import pytest
from tests.pipelines.conftest import Make, published
from tests.pipelines.families import every_family
from tests.pipelines.own_operators import Double, OfMaximum, ToMaximum

from headrace.pipelines.options import RunOptions
from headrace.pipelines.stages import prepare
from headrace.pipelines.work import open_work, save_step, saved_record, whole_folder, write_atomically
from headrace.schemas.errors import PipelineError


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def breaks() -> None:
        with whole_folder(tmp_path / "a" / "one") as made:
            (made / "half").write_text("")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        breaks()
    assert list((tmp_path / "a").iterdir()) == []
    with whole_folder(tmp_path / "a" / "one") as made:
        (made / "file").write_text("1")
        assert not (tmp_path / "a" / "one").exists()
    assert (tmp_path / "a" / "one" / "file").read_text() == "1"


def test_the_first_of_two_folders_of_one_name_stays(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "one") as late:
        (late / "file").write_text("late")
        with whole_folder(tmp_path / "one.first") as first:
            (first / "file").write_text("first")
        (tmp_path / "one.first").rename(tmp_path / "one")
    assert (tmp_path / "one" / "file").read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["one"]


def test_a_small_file_is_replaced_whole(tmp_path: Path) -> None:
    for text in ("first", "second"):
        write_atomically(tmp_path / "file", text)
    assert (tmp_path / "file").read_text() == "second"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert saved_record(tmp_path) is None


@pytest.mark.slow
def test_a_task_finds_pipeline_plan_and_tables(tmp_path: Path) -> None:
    pipeline = every_family(tmp_path / "source", 100)
    plan, lock = prepare(pipeline, RunOptions(catalog=str(tmp_path / "c"), engine="cpu"))
    with lock:
        work = open_work(str(lock.path))
        assert work.pipeline == pipeline
        assert work.plan == plan
        assert work.tables["shops"].frame.height == 6
        assert open_work(str(lock.path)) is work


def test_a_work_folder_allows_the_modules_of_its_pipeline_and_no_others(make: Make, tmp_path: Path) -> None:
    pipeline = make([Double(column="x"), ToMaximum(column="x")])
    _, lock = prepare(pipeline, RunOptions(catalog=str(tmp_path / "c"), engine="cpu"))
    with lock:
        work = open_work(str(lock.path))
        assert json.loads((lock.path / "modules.json").read_text()) == ["tests.pipelines.own_operators"]
        assert work.pipeline == pipeline
        save_step(lock.path / "learned" / "1", OfMaximum(column="x", maximum=2.0))
        assert work.form(1) == OfMaximum(column="x", maximum=2.0)
        (lock.path / "modules.json").write_text("[]")
        with pytest.raises(PipelineError, match="may not be imported"):
            _ = type(work)(lock.path).pipeline


def test_other_code_of_ones_own_operators_is_other_work(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = make([Double(column="x")])
    names = []
    for source in (None, "x = 1"):
        if source:
            other = tmp_path / "other.py"
            other.write_text(source)
            monkeypatch.setattr("tests.pipelines.own_operators.__file__", str(other))
        _, lock = prepare(pipeline, RunOptions(catalog=str(tmp_path / "c"), engine="cpu"))
        names.append(lock.path.name)
        lock.release()
    assert names[0] != names[1]


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_a_process_keeps_what_the_last_two_runs_have_learned_and_none_after_a_run(make: Make, tmp_path: Path) -> None:
    works = [weakref.ref(open_work(str(tmp_path / name))) for name in ("one", "two", "three")]
    gc.collect()
    assert [work() is None for work in works] == [True, False, False]
    published(make([{"Categorify": {"columns": ["c"]}}]), tmp_path / "catalog")
    gc.collect()
    assert all(work() is None for work in works)
