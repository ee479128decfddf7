"""Windows and as-of joins in one graph with encoders, over many partitions: order lines of TPC-H against DuckDB."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import duckdb
import polars as pl
import pytest
from tests.pipelines.conftest import Make, contract_of, published, rows_of, sums

from headrace.pipelines.model import Pipeline, Source

pytestmark = [pytest.mark.usefixtures("no_report"), pytest.mark.slow]
PROGRAM: Final = shutil.which("tpchgen-cli", path=str(Path(sys.executable).parent)) or shutil.which("tpchgen-cli")

BY: Final[dict[str, Any]] = {"by": ["o_custkey"], "order": "o_orderdate"}
STEPS: Final[list[dict[str, Any]]] = [
    {"Derive": {"y": "l_returnflag = 'R'"}},
    {"LookupJoin": {"table": "orders", "on": {"l_orderkey": "o_orderkey"}, "columns": ["o_custkey", "o_orderdate"]}},
    {
        "AsOfJoin": {
            "table": "orders",
            "on": "o_orderdate",
            "by": "o_custkey",
            "columns": ["o_totalprice"],
            "lag": "1d",
            "tolerance": "400d",
            "prefix": "last_",
        }
    },
    {"Lag": {"columns": ["l_quantity", "y"], "known_at": "l_receiptdate", **BY}},
    {"Diff": {"columns": ["l_linenumber"], **BY}},
    {"TimeSinceLast": BY},
    {"Expanding": {"columns": ["l_quantity"], "statistics": ["count", "mean"], **BY}},
    {"RollingStats": {"columns": ["l_quantity"], "window": "180d", "statistics": ["count", "max"], **BY}},
    {"Categorify": {"columns": ["l_shipmode"]}},
    {"TargetEncode": {"columns": ["o_custkey"], "target": "y", "fold_on": ["l_orderkey"], "output": "customer_y"}},
    {"FillNull": {"columns": ["last_o_totalprice"], "statistic": "mean", "mask": True}},
    {"Standardize": {"columns": ["l_quantity_lag1"], "output": "{column}_scaled"}},
]
COMPARED: Final = [
    "last_o_totalprice",
    "l_quantity_lag1",
    "y_lag1",
    "l_linenumber_diff1",
    "o_orderdate_since_last",
    "l_quantity_count",
    "l_quantity_mean",
    "l_quantity_count_180d",
    "l_quantity_max_180d",
]
QUERY: Final = """
with j as (select l.*, o.o_custkey, o.o_orderdate from lines l join orders o on l.l_orderkey = o.o_orderkey),
t as (select o_custkey as c, o_orderdate as d, last(o_totalprice order by n) as price from orders group by all)
select id,
  case when t.d >= j.o_orderdate - interval 400 days then t.price end,
  case when lag(l_receiptdate) over w < o_orderdate then lag(l_quantity) over w end,
  case when lag(l_receiptdate) over w < o_orderdate then lag(l_returnflag = 'R') over w end,
  l_linenumber - lag(l_linenumber) over w,
  86400.0 * (o_orderdate - lag(o_orderdate) over w),
  count(l_quantity) over e, avg(l_quantity) over e, count(l_quantity) over r, max(l_quantity) over r
from j asof left join t on j.o_custkey = t.c and j.o_orderdate - interval 1 day >= t.d
window w as (partition by o_custkey order by o_orderdate, id),
  e as (partition by o_custkey order by o_orderdate range between unbounded preceding and interval 1 day preceding),
  r as (partition by o_custkey order by o_orderdate
        range between interval 180 days preceding and interval 1 day preceding)
order by id
"""


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Order lines in no order of time, and orders, of scale factor 0.01."""
    if PROGRAM is None:
        pytest.skip("the extra dev has tpchgen-cli")
    folder = tmp_path_factory.mktemp("tpch")
    call = [PROGRAM, "parquet", "-s", "0.01", "--tables", "lineitem,orders", "--output-dir", str(folder)]
    subprocess.run(call, check=True, capture_output=True)
    numbers = pl.col("l_orderkey", "l_linenumber").cast(pl.Int64)
    lines = pl.read_parquet(folder / "lineitem.parquet").select(
        numbers, pl.col("l_quantity").cast(pl.Float64), "l_returnflag", "l_shipmode", "l_receiptdate"
    )
    orders = pl.read_parquet(folder / "orders.parquet").select(
        pl.col("o_orderkey", "o_custkey").cast(pl.Int64), "o_orderdate", pl.col("o_totalprice").cast(pl.Float64)
    )
    lines = lines.cast({"l_returnflag": pl.String, "l_shipmode": pl.String})
    return lines.sample(fraction=1.0, shuffle=True, seed=4).with_row_index("id").cast({"id": pl.Int64}), orders


def pipeline(tables: tuple[pl.DataFrame, pl.DataFrame], folder: Path) -> Pipeline:
    lines, orders = tables
    folder.mkdir()
    for i in range(5):
        lines[i * 13_000 : (i + 1) * 13_000].write_parquet(folder / f"lines-{i}.parquet", row_group_size=1000)
    orders.write_parquet(folder / "orders.parquet")
    return Pipeline(
        name="lines",
        source=Source(path="lines-*.parquet", root=str(folder), tables={"orders": "orders.parquet"}),
        contract=contract_of(lines),
        steps=tuple(STEPS),  # type: ignore[arg-type]
        target="y",
        split={"by": "hash", "columns": ["l_orderkey"], "fractions": {"train": 0.7, "test": 0.3}},
        output={
            "features": [*COMPARED, "last_o_totalprice_isnull", "customer_y", "l_shipmode", "l_quantity_lag1_scaled"],
            "keep": ["id"],
        },
    )


def test_order_lines_of_a_customer_are_what_duckdb_says_however_they_are_cut(
    tables: tuple[pl.DataFrame, pl.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = pipeline(tables, tmp_path / "source")
    whole, folder = published(made, tmp_path / "c")
    monkeypatch.setattr("headrace.pipelines.plan.BUCKET_ROWS", 9_000)
    cut, _ = published(made, tmp_path / "c", partition_bytes=1)
    assert sums(cut) == sums(whole)
    lines, orders = tables
    connection = duckdb.connect()
    connection.register("lines", lines.to_arrow())
    connection.register("orders", orders.with_row_index("n").to_arrow())
    got = rows_of(whole, folder).sort("id")
    expected = pl.DataFrame(connection.sql(QUERY).fetchall(), schema=["id", *COMPARED], orient="row")
    assert got["id"].equals(expected["id"])
    there = got["last_o_totalprice_isnull"] == 0
    assert there.equals(expected["last_o_totalprice"].is_not_null().rename(there.name))
    assert 0.5 < there.mean() < 0.99  # type: ignore[operator]
    assert got["last_o_totalprice"].filter(there).to_list() == expected["last_o_totalprice"].drop_nulls().to_list()
    for column in COMPARED[1:]:
        values, wanted = got[column].cast(pl.Float64), expected[column].cast(pl.Float64)
        assert values.is_null().equals(wanted.is_null()), column
        assert (values - wanted).abs().max() < 1e-9, column  # type: ignore[operator]


def test_nvtabular_partition_local_groupby_and_windows_ours_see_the_whole_entity(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NVTabular's Groupby, DifferenceLag and rolling operators look no further than the partition they are in."""
    monkeypatch.setattr("headrace.pipelines.plan.UNIT_ROWS", 2)
    monkeypatch.setattr("headrace.pipelines.plan.BUCKET_ROWS", 4)
    frame = pl.DataFrame(  # one user's visits, each in a partition of its own but for those of another user
        {
            "id": range(16),
            "user": ["a", "b"] * 8,
            "hour": [10 * i for i in (7, 0, 5, 1, 3, 2, 1, 3, 0, 4, 2, 5, 4, 6, 6, 7)],
            "item": range(16),
            "y": [0, 1] * 8,
        }
    )
    by: dict[str, Any] = {"by": ["user"], "order": "hour"}
    windows = [
        {"Lag": {"columns": ["item"], **by}},
        {"Diff": {"columns": ["item"], **by}},
        {"Expanding": {"columns": ["item"], "statistics": ["count"], **by}},
    ]
    split = {"by": "hash", "columns": ["id"], "fractions": {"train": 0.5, "test": 0.5}}
    kept = {"features": ["item_lag1", "item_diff1", "item_count"], "keep": ["id"]}
    manifest, folder = published(
        make(windows, frame, group=2, output=kept, split=split), tmp_path / "windows", partition_bytes=1
    )
    rows = (
        rows_of(manifest, folder).sort("id").filter(pl.col("id") % 2 == 0)
    )  # user a: items by hour 8 6 10 4 12 2 14 0
    assert rows["item_lag1"].to_list() == [14, 12, 10, 8, None, 6, 4, 2]
    assert rows["item_diff1"].to_list() == [-14, -10, -6, -2, None, 4, 8, 12]
    assert rows["item_count"].to_list() == [7, 5, 3, 1, 0, 2, 4, 6]

    lists = [{"Sequence": {"columns": ["item"], "max_length": 8, **by}}]
    split = {"by": "hash", "columns": ["user"], "fractions": {"train": 0.5, "test": 0.5}, "seed": 1}
    manifest, folder = published(
        make(lists, frame, group=2, output={"features": ["item_list"], "keep": ["id"]}, split=split),
        tmp_path / "lists",
        partition_bytes=1,
    )
    assert dict(rows_of(manifest, folder).select("id", "item_list").sort("id").iter_rows()) == {
        0: [8, 6, 10, 4, 12, 2, 14, 0],
        15: [1, 3, 5, 7, 9, 11, 13, 15],
    }
