"""Laws that every operator in the registry keeps, each tried on the same awkward columns.

An operator without an example here fails the first test. Laws: the schema never depends on the data, JSON gives the
operator back, only the columns it names change, merging is associative and commutative, what is learned does not
depend on how the rows were cut, and every query runs on the GPU engine but for the named kernels.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from tests.transforms.examples import CASES, EXAMPLES, FRAMES, LEARNERS, SCHEMA, TABLES, frame_of

from headrace.engines.cpu import CpuEngine
from headrace.engines.engine import Engine
from headrace.engines.translation import KERNELS, TranslationEngine, available, untranslatable
from headrace.transforms.base import UNIT, Join, Learner, Operator, Transform, to_plain
from headrace.transforms.registry import FITTED, OPERATORS, operator_from_plain
from headrace.transforms.table import TableFolder


def resolved(plain: dict[str, Any]) -> Operator:
    """The example against the schema above, with its table where it needs one; its first part where it has several."""
    step = operator_from_plain(plain)
    bound: Operator = step.bind(TABLES) if isinstance(step, Join) else step
    return bound.resolve(SCHEMA).separate()[0]


def measure(step: Learner, units: Sequence[pl.DataFrame], first: int, engine: Engine) -> pl.DataFrame:
    """What a task measures on its partition, a run of units that begins with unit `first`."""
    if not step.by_unit:
        return engine.collect([step.measure(pl.concat(units).lazy(), engine)])[0]
    tables = [
        step.measure(unit.lazy(), engine).with_columns(pl.lit(number, pl.Int64).alias(UNIT))
        for number, unit in enumerate(units, first)
    ]
    return engine.collect([step.merge(tables)])[0]


def fit(step: Operator, units: Sequence[pl.DataFrame], cuts: Sequence[int] = ()) -> Transform:
    """The step as it works on rows, learned from units that partitions begin at `cuts`."""
    if isinstance(step, Transform):
        return step
    assert isinstance(step, Learner)
    engine = CpuEngine()
    ends = [0, *cuts, len(units)]
    partials = [measure(step, units[a:b], a, engine) for a, b in pairwise(ends) if b > a or len(ends) == 2]
    return step.learn(step.merge([p.lazy() for p in partials]).collect())


def saved(step: Operator, folder: Path) -> str:
    """The step as JSON text, its tables' sums included."""
    return json.dumps(to_plain(step, TableFolder(folder)), allow_nan=False)


def test_every_registered_operator_has_an_example() -> None:
    assert set(EXAMPLES) == set(OPERATORS)


def test_every_fitted_form_in_the_registry_comes_out_of_an_example() -> None:
    learned = {type(fit(resolved(case.values[0]), [FRAMES["many rows"]])).__name__ for case in CASES}
    assert learned >= set(FITTED)
    assert learned <= set(FITTED) | set(OPERATORS)


@pytest.mark.parametrize("plain", CASES)
def test_json_gives_the_operator_back(plain: dict[str, Any], tmp_path: Path) -> None:
    step = resolved(plain)
    for value in (operator_from_plain(plain), step, fit(step, [FRAMES["many rows"]]), fit(step, [FRAMES["no rows"]])):
        if isinstance(value, Join):
            continue
        text = saved(value, tmp_path)
        assert operator_from_plain(json.loads(text), TableFolder(tmp_path)) == value


@pytest.mark.parametrize("rows", FRAMES)
@pytest.mark.parametrize("plain", CASES)
def test_the_schema_is_known_without_data(plain: dict[str, Any], rows: str) -> None:
    step = resolved(plain)
    expected = fit(step, [FRAMES["no rows"]]).apply(pl.LazyFrame(schema=SCHEMA), CpuEngine()).collect_schema()
    query = fit(step, [FRAMES[rows]]).apply(FRAMES[rows].lazy(), CpuEngine())
    assert query.collect_schema() == expected
    assert query.collect().schema == expected


@pytest.mark.parametrize("plain", CASES)
def test_only_the_columns_it_names_change(plain: dict[str, Any]) -> None:
    step = fit(resolved(plain), [FRAMES["many rows"]])
    before = FRAMES["many rows"]
    after = step.apply(before.lazy(), CpuEngine()).collect()
    assert set(after.columns) == (set(before.columns) | set(step.writes)) - set(step.drops)
    if not step.filters:
        assert after.height == before.height
        kept = [c for c in before.columns if c not in step.writes and c not in step.drops]
        assert_frame_equal(after.select(kept), before.select(kept))
        needed = before.select(list(dict.fromkeys([*step.reads, *step.drops])))
        alone = step.apply(needed.lazy(), CpuEngine()).collect()
        assert_frame_equal(alone.select(step.writes), after.select(step.writes))


@pytest.mark.parametrize("plain", CASES)
def test_ids_are_below_their_cardinality(plain: dict[str, Any]) -> None:
    step = fit(resolved(plain), [FRAMES["many rows"]])
    after = step.apply(FRAMES["many rows"].lazy(), CpuEngine()).collect()
    for column, ids in step.ids.items():
        assert column in step.writes
        ids_there = after[column].explode(empty_as_null=False) if after[column].dtype == pl.List else after[column]
        assert ids_there.dtype == pl.Int32
        assert ids_there.drop_nulls().is_between(0, ids.cardinality - 1).all()


@pytest.mark.parametrize("plain", LEARNERS)
def test_merging_is_associative_and_commutative(plain: dict[str, Any], tmp_path: Path) -> None:
    step = resolved(plain)
    assert isinstance(step, Learner)
    units = [frame_of(range(5)), frame_of([]), frame_of(range(5, 6)), frame_of(range(6, 17))]
    a, b, c, d = (measure(step, [unit], n, CpuEngine()).lazy() for n, unit in enumerate(units))
    wholes = [
        step.merge([a, b, c, d]),
        step.merge([step.merge([step.merge([a, b]), c]), d]),
        step.merge([a, step.merge([b, step.merge([c, d])])]),
        step.merge([step.merge([d, b]), step.merge([c, a])]),
    ]
    assert len({saved(step.learn(total.collect()), tmp_path / str(n)) for n, total in enumerate(wholes)}) == 1
    assert len({tuple(total.collect_schema().items()) for total in [a, *wholes]}) == 1


@pytest.mark.parametrize("plain", LEARNERS)
@settings(deadline=None, max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.slow
def test_what_is_learned_does_not_depend_on_the_partitions(
    plain: dict[str, Any], data: st.DataObject, tmp_path: Path
) -> None:
    step = resolved(plain)
    sizes = data.draw(st.lists(st.integers(0, 6), min_size=1, max_size=4))
    rows = data.draw(st.lists(st.integers(0, 63), min_size=sum(sizes), max_size=sum(sizes)))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(sizes)), max_size=4)))
    units, start = [], 0
    for size in sizes:
        units.append(frame_of(rows[start : start + size]))
        start += size
    assert saved(fit(step, units, cuts), tmp_path) == saved(fit(step, units), tmp_path)


@pytest.mark.skipif(not available(), reason="the cudf-polars that headrace knows is not installed")
@pytest.mark.parametrize("plain", CASES)
def test_every_query_runs_on_the_gpu_engine_but_for_the_kernels(plain: dict[str, Any]) -> None:
    step = resolved(plain)
    engine = TranslationEngine()
    frame = FRAMES["many rows"].lazy()
    if isinstance(step, Learner):
        query = step.measure(frame, engine)
        assert untranslatable(query) == []
        if step.by_unit:
            query = query.with_columns(pl.lit(0, pl.Int64).alias(UNIT))
        assert untranslatable(step.merge([query, query])) == []
    fitted = fit(step, [FRAMES["many rows"]])
    assert untranslatable(fitted.apply(frame, engine)) == []
    assert set(engine.kernels) <= set(KERNELS)
