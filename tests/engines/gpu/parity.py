"""One case on the GPU body, on the CPU body, and what is expected: with the real library or the imitation."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
from tests.engines.kernels.cases import asof as asof_cases
from tests.engines.kernels.cases import lookup as lookup_cases
from tests.engines.kernels.cases import rolling as rolling_cases
from tests.engines.kernels.cases import xxhash64 as xxhash64_cases

from headrace.engines.cpu import CpuEngine
from headrace.engines.gpu import asof, lookup, query, rolling, xxhash64
from headrace.engines.kernels.asof import JoinAsof
from headrace.engines.kernels.lookup import Lookup
from headrace.engines.kernels.rolling import Rolling
from headrace.engines.kernels.xxhash64 import Hash64, hash64

CPU = CpuEngine()


def check_lookup(case: lookup_cases.Case) -> None:
    kernel = Lookup("x", case.table, "id", **case.how)
    vocabulary = lookup.in_order(query.from_polars(case.table))
    gpu = query.to_polars(lookup.gpu(query.from_polars(case.rows), kernel, vocabulary))
    _check_rows(gpu, case.rows, {"id": pl.Int32()})
    cpu = CPU.kernel(case.rows.lazy(), kernel).collect()
    assert cpu.equals(gpu)
    assert gpu["id"].to_list() == case.expected


def check_xxhash64(case: xxhash64_cases.Case) -> None:
    gpu = query.to_polars(xxhash64.gpu(query.from_polars(case.rows), Hash64("x", "h", case.seed)))
    _check_rows(gpu, case.rows, {"h": pl.UInt64()})
    cpu = hash64(CPU, case.rows.lazy(), "x", pl.String(), "h", case.seed).collect()
    assert cpu.equals(gpu)
    assert gpu["h"].to_list() == case.expected


def check_asof(case: asof_cases.Case) -> None:
    kernel = JoinAsof(table=case.table.lazy(), **case.options)
    gpu = query.to_polars(asof.gpu(query.from_polars(case.rows), kernel, query.from_polars(case.table)))
    _check_rows(gpu, case.rows, {"v": pl.Int64()})
    cpu = CPU.kernel(case.rows.lazy(), kernel).collect()
    assert cpu.equals(gpu)
    assert gpu["v"].to_list() == case.expected


def check_rolling(case: rolling_cases.Case) -> None:
    kernel, outputs = Rolling(**case.options), rolling_cases.OUTPUTS
    gpu = query.to_polars(rolling.gpu(query.from_polars(case.rows), kernel))
    _check_rows(gpu, case.rows, {o.name: o.dtype for o in outputs})
    cpu = CPU.kernel(case.rows.lazy(), kernel).collect()
    for output in outputs:
        wanted = [row[output.statistic] for row in case.expected]
        for got, other, expected in zip(gpu[output.name], cpu[output.name], wanted, strict=True):
            assert _near(got, other), f"{output.name}: {got} on the GPU, {other} on the CPU"
            assert _near(got, expected), f"{output.name}: {got}, expected {expected}"


def check_many(height: int) -> None:
    """All four on rows that no case has as many of, against the CPU."""
    random = np.random.default_rng(height)
    words = [f"{'w' * (n % 40)}{n}" for n in range(height // 4)]
    rows = pl.DataFrame(
        {
            "k": random.integers(0, height // 20, height),
            "t": pl.Series(random.integers(0, 86_400 * 30, height) * 1_000_000).cast(pl.Datetime("us")),
            "word": [words[n] if n < len(words) else None for n in random.integers(0, len(words) + 9, height)],
            "x": random.normal(size=height),
        }
    )
    table = rows.select("k", pl.col("t").alias("tt"), pl.int_range(pl.len()).alias("v")).sample(height // 3, seed=1)
    vocabulary = pl.DataFrame({"value": random.permutation(words)[: height // 8].tolist()})
    found = Lookup("word", vocabulary, "id", missing=1)
    joined = JoinAsof(table=table.lazy(), by=("k",), left_on="t", right_on="tt", tolerance=timedelta(days=2))
    outputs = rolling_cases.OUTPUTS
    rolled = Rolling(by=("k",), on="t", known_at=None, length=timedelta(days=7), outputs=outputs)
    gpu = lookup.gpu(query.from_polars(rows), found, lookup.in_order(query.from_polars(vocabulary)))
    gpu = asof.gpu(xxhash64.gpu(gpu, Hash64("word", "h", 5)), joined, query.from_polars(table))
    got = query.to_polars(rolling.gpu(gpu, rolled))
    lazy = rows.lazy()
    for kernel in (found, Hash64("word", "h", 5), joined, rolled):
        lazy = CPU.kernel(lazy, kernel)
    cpu = lazy.collect()
    exact = [*rows.columns, "id", "h", "v", "count"]
    assert cpu.select(exact).equals(got.select(exact))
    for name in ("sum", "mean", "min", "max", "std"):
        assert got[name].is_null().equals(cpu[name].is_null())
        ours, theirs = got[name].drop_nulls().to_numpy(), cpu[name].drop_nulls().to_numpy()
        largest = np.maximum(
            np.maximum(np.abs(ours), np.abs(theirs)), 1e-3
        )  # a sum near 0 has lost what it was made of
        assert (np.abs(ours - theirs) <= np.spacing(largest.astype("f4"))).all(), name


def _check_rows(got: pl.DataFrame, rows: pl.DataFrame, added: dict[str, pl.DataType]) -> None:
    assert got.schema == pl.Schema({**rows.schema, **added})
    assert got.select(rows.columns).equals(rows)


def _near(a: Any, b: Any) -> bool:
    """Within one unit in the last place of a Float32; NaN is NaN, null is null."""
    if a is None or b is None:
        return a is b
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    if math.isinf(a) or math.isinf(b):
        return bool(a == b)
    return bool(abs(a - b) <= np.spacing(np.float32(max(abs(a), abs(b)))))
