"""Where a loader is: what its state says, where it goes on, and which states it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.catalog.loader.rows import OPTIONS, ids, plain, rows
from tests.catalog.loader.worlds import published

from headrace.catalog.reader import Dataset
from headrace.schemas.errors import UsageError


@pytest.mark.slow
@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("shuffle", ["rows", "blocks", False])
@pytest.mark.parametrize("drop_last", [True, False, "pad"])
def test_it_goes_on_at_every_step_in_a_world_of_any_size(demo: Dataset, shuffle: Any, drop_last: Any) -> None:
    options = OPTIONS | {"shuffle": shuffle, "drop_last": drop_last}
    loader = demo.numpy_loader("train", **options)
    loader.set_epoch(3)
    states, whole = [loader.state_dict()], []
    for batch in loader:
        whole.append(plain(batch) | {"rows": sorted(ids([batch]))})
        states.append(json.loads(json.dumps(loader.state_dict())))
    assert len(whole) == len(loader) == (20 if drop_last is True else 21)
    for step, state in enumerate(states):
        assert len(json.dumps(state)) < 1024
        again = demo.numpy_loader("train", **options)
        again.load_state_dict(state)
        assert (again.epoch, again.state_dict()) == (3, state)
        tail = [plain(batch) | {"rows": sorted(ids([batch]))} for batch in again]
        assert tail == whole[step:]
    for world in (2, 4):
        ranks = [demo.numpy_loader("train", rank=rank, world_size=world, **options) for rank in range(world)]
        for rank in ranks:
            rank.load_state_dict(states[7])
        for number, parts in enumerate(zip(*ranks, strict=True)):
            assert sorted(ids(parts)) == whole[7 + number]["rows"]
            assert {json.dumps(rank.state_dict()) for rank in ranks} == {json.dumps(states[8 + number])}


def test_an_iteration_is_an_epoch_from_its_first_step(demo: Dataset) -> None:
    loader = demo.numpy_loader("train", **OPTIONS)
    first, second = ids(loader), ids(loader)
    assert first == second
    loader.set_epoch(1)
    assert ids(loader) != first
    for _ in loader:
        break
    assert loader.state_dict()["step"] == 1
    assert len(ids(loader)) == 960
    loader.set_epoch(0)
    assert (loader.state_dict()["step"], ids(loader)) == (0, first)


def test_an_iteration_that_is_thrown_away_takes_no_place(demo: Dataset) -> None:
    loader = demo.numpy_loader("train", **OPTIONS)
    whole = ids(loader)
    loader.load_state_dict({**loader.state_dict(), "step": 5})
    iter(loader)
    assert loader.state_dict()["step"] == 5
    assert ids(loader) == whole[-len(whole) // len(loader) * (len(loader) - 5) :]


def test_of_two_iterations_the_state_is_that_of_the_later(demo: Dataset) -> None:
    loader = demo.numpy_loader("train", **OPTIONS)
    first, second = iter(loader), iter(loader)
    next(first), next(first), next(first), next(second)
    assert loader.state_dict()["step"] == 1
    next(first)
    assert loader.state_dict()["step"] == 1
    next(second)
    assert loader.state_dict()["step"] == 2


def test_what_has_begun_does_not_say_where_a_loader_is_that_was_told_otherwise(demo: Dataset) -> None:
    loader = demo.numpy_loader("train", **OPTIONS)
    whole, old = ids(loader), iter(loader)
    begun = [next(old), next(old)]
    loader.set_epoch(1)
    begun.append(next(old))
    assert (loader.epoch, loader.step) == (1, 0)
    loader.load_state_dict({**loader.state_dict(), "epoch": 0, "step": 5})
    begun.append(next(old))
    assert loader.step == 5
    assert ids(begun) == whole[: 4 * 48]
    assert ids(loader) == whole[5 * 48 :]


def test_the_epoch_that_is_gone_on_with_may_be_set_again(demo: Dataset) -> None:
    loader = demo.numpy_loader("train", **OPTIONS)
    loader.set_epoch(2)
    tail = ids(list(loader)[5:])
    again = demo.numpy_loader("train", **OPTIONS)
    again.load_state_dict({**loader.state_dict(), "step": 5})
    again.set_epoch(2)
    assert ids(again) == tail


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 96}, "other options: batch_size was 96, is 48"),
        ({"seed": 2, "shuffle": "blocks"}, "other options: shuffle was 'blocks', is 'rows'; seed was 2, is 1"),
        ({"lanes": 8}, "other options: lanes was 8, is 4"),
        ({"split": "test"}, "other options: split was 'test', is 'train'"),
        ({"drop_last": "pad"}, "other options: drop_last was 'pad', is True"),
        ({"shards": "0"}, "the shards of 'train' differ"),
        ({"format": 2, "more": 1}, "the state is of format 2; this headrace knows 1"),
        ({"format": True}, "the state is of format True; this headrace knows 1"),
        ({"step": 21}, "the state is of step 21, and an epoch has 20"),
        ({"step": -1}, "step is -1; expected a whole number from 0"),
        ({"epoch": None}, "epoch is None; expected a whole number from 0"),
        ({"lanes": 2**70}, "lanes was 1180591620717411303424, is 4"),
        ({"more": 1}, "is no state of a loader: it has also more"),
    ],
)
def test_a_state_of_another_loader_is_refused_by_name(demo: Dataset, change: dict[str, Any], message: str) -> None:
    loader = demo.numpy_loader("train", **OPTIONS)
    before = loader.state_dict()
    with pytest.raises(UsageError, match=message):
        loader.load_state_dict(before | change)
    assert loader.state_dict() == before


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (None, "is no state of a loader"),
        ("{}", "is no state of a loader"),
        ({}, "is no state of a loader"),
        ({"format": 1, "epoch": 3}, "is no state of a loader: it has no batch_size, dataset, drop_last, "),
    ],
)
def test_what_is_no_state_is_refused(demo: Dataset, state: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        demo.numpy_loader("train", **OPTIONS).load_state_dict(state)


def test_a_state_of_another_version_names_both(demo: Dataset, tmp_path: Path) -> None:
    other = published(tmp_path, (rows(1_000), [1_000]))
    with pytest.raises(UsageError, match=r"the state is of .*demo@1, and this loader reads .*demo@2") as caught:
        other.numpy_loader("train", **OPTIONS).load_state_dict(demo.numpy_loader("train", **OPTIONS).state_dict())
    assert "demo@1, or begin anew" in caught.value.hint


def test_a_state_goes_on_in_a_version_with_the_same_shards(tmp_path: Path) -> None:
    first, second = (published(tmp_path, (rows(400), [100] * 4)) for _ in range(2))
    assert (first.version, second.version) == (1, 2)
    assert first.record.build != second.record.build
    loader, other = (dataset.numpy_loader("train", **OPTIONS) for dataset in (first, second))
    whole = list(loader)
    other.load_state_dict({**loader.state_dict(), "step": 5})
    assert ids(other) == ids(whole[5:])


def test_a_state_of_other_shards_is_refused_however_alike(demo: Dataset, tmp_path: Path) -> None:
    def state(count: int, cuts: list[int]) -> dict[str, Any]:
        return published(tmp_path / "others", (rows(count), cuts)).numpy_loader("train", **OPTIONS).state_dict()

    known = {state(400, [100] * 4)["shards"], state(400, [200, 200])["shards"], state(401, [100] * 4 + [1])["shards"]}
    assert len(known | {demo.numpy_loader("train", **OPTIONS).state_dict()["shards"]}) == 4


def test_the_format_of_a_state_is_read_before_its_lanes(demo: Dataset) -> None:
    loader = demo.numpy_loader("train", batch_size=48)
    with pytest.raises(UsageError, match="the state is of format 2; this headrace knows 1"):
        loader.load_state_dict(loader.state_dict() | {"format": 2, "lanes": 0})


def test_without_lanes_those_of_the_state_are_taken(demo: Dataset) -> None:
    options = {"batch_size": 48, "seed": 1}
    state = demo.numpy_loader("train", **options, lanes=12).state_dict()
    loader = demo.numpy_loader("train", **options, world_size=3)
    assert loader.lanes == 12
    loader.load_state_dict(state | {"lanes": 6})
    assert loader.lanes == 6
    with pytest.raises(UsageError, match="8 lanes cannot be shared by 3 ranks; world_size can be 1, 2, 4, 8"):
        loader.load_state_dict(state | {"lanes": 8})
