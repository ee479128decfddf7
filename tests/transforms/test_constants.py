"""A constant column: every operator that scales by what it measured gives 0 for it, never NaN."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from tests.transforms.fitting import in_units

from headrace.engines.cpu import CpuEngine
from headrace.transforms.registry import operator_from_plain

SCALES: list[dict[str, Any]] = [
    {"Standardize": {}},
    {"MinMax": {}},
    {"RobustScale": {}},
    {"QuantileTransform": {}},
    {"QuantileTransform": {"distribution": "normal"}},
    {"PowerTransform": {}},
    {"PowerTransform": {"method": "box-cox"}},
]


@pytest.mark.slow
@pytest.mark.parametrize("constant", [0.0, 1.0, 0.1, 123456.789, 1.6e9, 1e-300])
@pytest.mark.parametrize("plain", SCALES, ids=str)
def test_a_constant_becomes_zero(plain: dict[str, Any], constant: float) -> None:
    [(name, fields)] = plain.items()
    step = operator_from_plain({name: {"columns": ["x"], **fields}})
    frame = pl.DataFrame({"x": [constant] * 1000 + [None]})
    fitted = in_units(step, [frame["x"]] * 2, frame.schema)
    got = fitted.apply(frame.lazy(), CpuEngine()).collect()["x"]
    if plain.get("PowerTransform") == {"method": "box-cox"} and constant == 0:
        assert got.drop_nulls().is_nan().all()  # which it is for every 0
    else:
        assert set(got) == {0.0, None}
