from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.catalog.loader.worlds import groups, orders, read, worlds_of

from headrace.catalog.loader import plan as plans
from headrace.catalog.loader.order import Order, Shuffle
from headrace.catalog.loader.plan import Plan
from headrace.schemas.errors import UsageError


@pytest.fixture(autouse=True, scope="module")
def _small_windows() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plans, "WINDOW_ROWS", 16)
        yield


@given(groups, orders, st.integers(0, 2))
def test_every_row_comes_once_over_all_ranks_in_the_same_number_of_steps(
    sizes: list[int], order: Order, epoch: int
) -> None:
    plan = Plan(tuple(sizes), order, epoch)
    for world in worlds_of(order.lanes):
        ranks = [read(plan.share(rank, world), plan) for rank in range(world)]
        assert {len(steps) for steps in ranks} == {plan.steps}
        rows = np.concatenate([np.empty(0, int), *(part for steps in ranks for step in steps for part in step)])
        assert len(np.unique(rows)) == len(rows)
        kept = plan.steps * order.batch_size if order.drop_last is True else plan.rows
        assert len(rows) == kept


@given(groups, orders, st.integers(0, 2))
def test_a_step_has_the_same_rows_in_every_world(sizes: list[int], order: Order, epoch: int) -> None:
    plan = Plan(tuple(sizes), order, epoch)
    alone = [np.concatenate(step) for step in read(plan.share(0, 1), plan)]
    for world in worlds_of(order.lanes):
        ranks = [read(plan.share(rank, world), plan) for rank in range(world)]
        for number, rows in enumerate(alone):
            parts = np.concatenate([part for rank in ranks for part in rank[number]])
            assert sorted(parts) == sorted(rows)


@given(groups, orders, st.data())
def test_a_step_is_found_without_those_before_it(sizes: list[int], order: Order, data: st.DataObject) -> None:
    plan = Plan(tuple(sizes), order)
    world = data.draw(st.sampled_from(worlds_of(order.lanes)))
    share = plan.share(data.draw(st.integers(0, world - 1)), world)
    whole = read(share, plan)
    step = data.draw(st.integers(0, plan.steps))
    tail = read(share, plan, step)
    assert [[part.tolist() for part in one] for one in tail] == [
        [part.tolist() for part in one] for one in whole[step:]
    ]


@given(groups, orders)
def test_unshuffled_a_step_is_the_next_rows_in_published_order(sizes: list[int], order: Order) -> None:
    order = Order(order.batch_size, order.lanes, False, order.seed, order.drop_last)
    plan = Plan(tuple(sizes), order)
    rows = [np.concatenate(step).tolist() for step in read(plan.share(0, 1), plan)]
    size = order.batch_size
    assert rows == [list(range(n * size, min((n + 1) * size, plan.rows))) for n in range(plan.steps)]


@given(groups, orders)
def test_lanes_are_equally_long_but_for_one_row(sizes: list[int], order: Order) -> None:
    plan = Plan(tuple(sizes), order)
    rows = {stop - start for start, stop in map(plan.lane, range(order.lanes))}
    assert max(rows) - min(rows) <= (0 if order.drop_last is True else 1)


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    def first(seed: int, epoch: int, shuffle: Shuffle) -> tuple[int, ...]:
        plan = Plan((50,) * 20, Order(40, 4, shuffle, seed), epoch)
        return tuple(np.concatenate(read(plan.share(0, 1), plan)[0]).tolist())

    shuffled: tuple[Shuffle, ...] = ("rows", "blocks")
    for shuffle in shuffled:
        assert len({first(seed, epoch, shuffle) for seed in range(3) for epoch in range(3)}) == 9
    assert len({first(seed, epoch, False) for seed in range(3) for epoch in range(3)}) == 1


def test_blocks_keep_rows_in_order_and_rows_do_not() -> None:
    sizes = (48,) * 16

    def neighbours(shuffle: Shuffle) -> float:
        plan = Plan(sizes, Order(32, 4, shuffle))
        parts = [part for step in read(plan.share(0, 1), plan) for part in step]
        return float(np.mean([(np.diff(part) == 1).mean() for part in parts]))

    assert neighbours("blocks") > 0.9
    assert neighbours("rows") < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("shuffle", ["rows", "blocks"])
def test_labels_that_are_sorted_mix(shuffle: Shuffle) -> None:
    """A batch's share of a label is a mean over as many row groups as there are lanes (Hoeffding)."""
    lanes, sizes = 32, (64,) * 512
    labels = np.arange(sum(sizes)) >= sum(sizes) // 2
    plan = Plan(sizes, Order(lanes * 4, lanes, shuffle))
    shares = np.array([labels[np.concatenate(step)].mean() for step in read(plan.share(0, 1), plan)])
    # Of 256 batches, one beyond 0.45 is to be expected with probability 256 * 2 exp(-2 * 32 * 0.45^2) = 0.001.
    assert np.abs(shares - 0.5).max() < 0.45
    assert shares.std() < 1.5 * np.sqrt(0.25 / lanes)


def test_without_shuffle_sorted_labels_stay_sorted() -> None:
    plan = Plan((64,) * 8, Order(64, 4, False))
    shares = [(np.concatenate(step) >= 256).mean() for step in read(plan.share(0, 1), plan)]
    assert shares == [0, 0, 0, 0, 1, 1, 1, 1]


def test_a_world_that_does_not_divide_the_lanes_is_refused_with_those_that_do() -> None:
    plan = Plan((100,), Order(24, 12))
    with pytest.raises(UsageError, match=r"12 lanes cannot be shared by 5 ranks; world_size can be 1, 2, 3, 4, 6, 12"):
        plan.share(0, 5)
    for rank in (-1, 4, "0"):
        with pytest.raises(UsageError, match="there are 4 ranks, from 0"):
            plan.share(rank, 4)  # type: ignore[arg-type]


def test_the_plan_of_a_thousand_shards_needs_no_file() -> None:
    plan = Plan((131_072,) * 8_000, Order(65_536, 8))
    share = plan.share(1, 4)
    assert (share.slots, share.width, plan.steps) == (2, 8192, 16_000)
    assert len(share.tasks(0)) == 2_000
