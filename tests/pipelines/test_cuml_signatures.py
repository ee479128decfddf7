"""What we call of cuML, cuDF, CuPy and Treelite is there in the installed ones, with the arguments that we pass."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from tests.pipelines.imitated_cuml import KEYWORDS

from headrace.pipelines.cuml_forest import trees_of
from headrace.pipelines.cuml_libraries import find
from headrace.pipelines.cuml_parameters import translate
from headrace.pipelines.cuml_workers import _joined, dask_path
from headrace.pipelines.estimators import TABLE, Estimator

pytestmark = pytest.mark.slow
pytest.importorskip("sklearn")

TWINS = [row for row in TABLE if row.cuml]


@pytest.fixture(scope="module")
def cuml() -> Any:
    return pytest.importorskip("cuml", reason="cuML is not installed")


def _binds(function: Any, *arguments: Any, **keywords: Any) -> None:
    inspect.signature(function).bind(*arguments, **keywords)


@pytest.mark.usefixtures("cuml")
@pytest.mark.parametrize("row", TWINS, ids=lambda row: row.cuml)
def test_the_imitation_takes_the_keywords_that_cuml_takes(row: Estimator) -> None:
    assert KEYWORDS[row.cuml] == set(inspect.signature(find(row.cuml)).parameters)


@pytest.mark.usefixtures("cuml")
@pytest.mark.parametrize("row", TWINS, ids=lambda row: row.cuml)
def test_estimators_fit_predict_and_tell_what_they_learned(row: Estimator) -> None:
    kind = find(row.cuml)
    _binds(kind.fit, kind, "columns", "target")
    if row.family == "forest":
        _binds(kind.predict_proba if row.task == "classification" else kind.predict, kind, "columns")
        _binds(kind.as_treelite, kind)
    else:
        assert {"coef_", "intercept_"} <= set(vars(kind))


@pytest.mark.usefixtures("cuml")
@pytest.mark.parametrize("row", TWINS, ids=lambda row: row.cuml)
def test_a_class_for_several_gpus_takes_a_client_and_the_same_keywords(row: Estimator) -> None:
    kind = find(dask_path(row))
    _binds(kind, client=None, **dict.fromkeys(KEYWORDS[row.cuml]))
    _binds(kind.fit, kind, "columns", "target")
    _binds(kind.get_combined_model, kind)


@pytest.mark.usefixtures("cuml")
def test_cudf_reads_row_groups_and_its_columns_come_as_cupys() -> None:
    import cudf
    import cupy

    _binds(cudf.read_parquet, "path", columns=["a"], row_groups=[[0]])
    _binds(cudf.DataFrame.take, "frame", "indices")
    _binds(cudf.Series.astype, "series", "float64")
    assert isinstance(cudf.Series.null_count, property)
    assert isinstance(cudf.Series.values, property)
    _binds(cupy.empty, (1, 2), dtype="float32", order="F")
    _binds(cupy.full_like, "columns", 0.0, dtype="float64", shape=3)
    _binds(cupy.empty_like, "columns")
    _binds(cupy.asarray, "values")
    _binds(cupy.asnumpy, "values")


def test_a_forest_of_the_installed_cuml_is_read_through_treelite(cuml: Any) -> None:
    """The class is cuML's, its trees scikit-learn's: that much runs without a GPU."""
    import numpy as np
    import treelite.sklearn
    from sklearn.ensemble import RandomForestRegressor

    columns = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
    forest = RandomForestRegressor(n_estimators=3, max_depth=4, random_state=0).fit(columns, columns[:, 0])
    twin = cuml.ensemble.RandomForestRegressor(n_estimators=3)
    twin.n_features_in_ = 3
    twin._treelite_model_bytes = treelite.sklearn.import_model(forest).serialize_bytes()
    trees = trees_of(twin.as_treelite(), 3)
    assert trees.threshold.tolist() == pytest.approx(
        np.concatenate([np.where(one.tree_.feature < 0, 0, one.tree_.threshold) for one in forest.estimators_])
    )


def _in_a_task(_: None) -> dict[str, Any]:
    """What cuML does with a task's client before it needs a device."""
    import numpy as np
    from cuml.dask.common.input_utils import DistributedDataHandler
    from distributed import worker_client
    from raft_dask.common.comms import Comms

    with worker_client() as client:
        workers = sorted(client.scheduler_info(n_workers=-1)["workers"])
        sizes = [10 + number for number in range(len(workers))]
        joined = []
        for shape, dtype in (((3,), "float32"), ((), "int32")):
            parts = {
                worker: client.submit(np.ones, (rows, *shape), dtype, workers=[worker], pure=False)
                for worker, rows in zip(workers, sizes, strict=True)
            }
            joined.append(_joined(parts, sizes, shape, dtype, np))
        for row in TWINS:
            estimator = find(dask_path(row))(
                client=client,
                **translate(
                    row, {**row.parameters, "max_samples": 0.5} if row.family == "forest" else row.parameters, ""
                ),
            )
            assert estimator.client is client
        handler = DistributedDataHandler.create(tuple(joined), client=client)
        return {
            "client": Comms(comms_p2p=False).client is client,
            "rows": [handler._worker_sizes[worker] for worker in workers],
        }


@pytest.mark.usefixtures("cuml")
def test_inside_a_task_cuml_finds_the_client_and_every_block_on_the_worker_that_read_it() -> None:
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        found = client.submit(_in_a_task, None).result(timeout=120)
    assert found == {"client": True, "rows": [([10], 10), ([11], 11)]}
