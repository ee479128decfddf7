"""Will an order line be returned? From what is known on the day of its order, over five tables of TPC-H.

What there is to find: nothing. TPC-H's specification (clause 4.2.3) makes a line that has arrived by the present day,
1995-06-17, returned (R) or accepted (A) by the toss of a fair coin, so the best that an honest feature can be worth is
an AUC of 0.5. What it shows are joins and windows over entities; and it is a test of itself, since a baseline that
scores more has seen the outcome of the very line.

What is not known on that day is left out: the days of shipping and receipt, both flags, the status of the order (it
says which lines have shipped), the balance of the customer's account (that of today). And the label is not R against
all else: that the calendar alone would tell, since lines still under way count as not returned.

Lines ordered up to 1995-01-17 are taken: delivery takes at most 151 days, so all of those have arrived and none is
chosen by its outcome. A return counts for features of other lines from the day after receipt on. Training ends 151 days
before validation begins, when the last of its outcomes is known.

Without a source it runs on scale factor 0.05, made by tpchgen-cli. `tpchgen-cli parquet -s 1 --output-dir FOLDER` makes
more; `--set source=FOLDER` reads it. Every worker holds the tables whole, up to a gigabyte each: about scale factor 8.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Final

import polars as pl

from headrace.pipelines.model import Baseline, Output, Pipeline, Source
from headrace.pipelines.splits import TimeSplit
from headrace.schemas.odcs import load_contract
from headrace.transforms.categorify import Categorify
from headrace.transforms.dates import Cyclic, DateParts
from headrace.transforms.expanding import Expanding
from headrace.transforms.joins import AsOfJoin, LookupJoin
from headrace.transforms.missing import DropNull, FillNull
from headrace.transforms.numeric import Log1p
from headrace.transforms.rows import Filter
from headrace.transforms.scale import Standardize
from headrace.transforms.shape import Cast, Derive, Rename
from headrace.transforms.windows import RollingStats

LONGEST: Final = timedelta(days=121 + 30)
"""From an order to the receipt of its lines: at most 121 days to shipping and 30 on the way."""

LAST_ORDER: Final = date(1995, 6, 17) - LONGEST
VALIDATION: Final = date(1994, 7, 1)
TEST: Final = date(1994, 10, 1)

MONEY: Final = ["l_quantity", "l_extendedprice", "l_discount", "l_tax", "o_totalprice", "p_retailprice"]
LINE: Final = [*MONEY, "p_size", "days_promised"]
CUSTOMER: Final = [
    *("customer_lines", "customer_line_price", "customer_spent_180d", "customer_days_since", "customer_previous_price"),
    *("customer_received_365d", "customer_returned_365d"),
]
OTHERS: Final = ["supplier_received_365d", "supplier_returned_365d", "type_returned_365d"]
SKEWED: Final = ["l_extendedprice", "o_totalprice", "p_retailprice", *CUSTOMER[:6], "supplier_received_365d"]
CATEGORIES: Final = [
    *("l_shipmode", "l_shipinstruct", "o_orderpriority", "c_mktsegment", "c_nationkey", "s_nationkey"),
    *("p_brand", "p_type", "p_container"),
]


def _returned(of: str, name: str) -> RollingStats:
    """How many lines arrived in the year before the day of the order, and the share of them that came back."""
    return RollingStats(
        columns="returned",
        by=of,
        order="o_orderdate",
        known_at="l_receiptdate",
        window="365d",
        statistics=["mean", "count"],
        output=f"{name}_{{statistic}}_365d",
    )


def _day(column: str) -> pl.Expr:
    """A date as days since 1970."""
    return pl.col(column).cast(pl.Int32)


pipeline = Pipeline(
    name="tpch",
    description="Order lines of TPC-H: returned, or not? A fair coin, so that 0.5 is the honest AUC.",
    source=Source(
        path="lineitem*.parquet",
        tables={name: f"{name}.parquet" for name in ("orders", "customer", "part", "supplier")},
    ),
    contract=load_contract(Path(__file__).parent / "contract.odcs.yaml"),
    steps=(
        # The order of a line, and who ordered what from whom.
        LookupJoin(
            table="orders",
            on={"l_orderkey": "o_orderkey"},
            columns=["o_custkey", "o_orderdate", "o_totalprice", "o_orderpriority"],
        ),
        Filter(where=pl.col("o_orderdate") <= pl.lit(LAST_ORDER)),
        LookupJoin(table="customer", on={"o_custkey": "c_custkey"}, columns=["c_nationkey", "c_mktsegment"]),
        LookupJoin(
            table="part",
            on={"l_partkey": "p_partkey"},
            columns=["p_brand", "p_type", "p_size", "p_container", "p_retailprice"],
        ),
        LookupJoin(table="supplier", on={"l_suppkey": "s_suppkey"}, columns=["s_nationkey"]),
        # The customer's order before: of an earlier day, since two orders of one day have no order.
        AsOfJoin(
            table="orders",
            on="o_orderdate",
            by="o_custkey",
            columns=["o_totalprice"],
            lag="1d",
            prefix="previous_",
        ),
        Cast(columns=[*MONEY, "previous_o_totalprice"], dtype="Float64"),
        Derive(
            returned="CAST(CASE l_returnflag WHEN 'R' THEN 1 WHEN 'A' THEN 0 END AS TINYINT)",
            days_promised=_day("l_commitdate") - _day("o_orderdate"),
            order_day=_day("o_orderdate"),
        ),
        # What the customer ordered before this day, and what came back by then. Lines of one order see none of another.
        Expanding(
            columns="l_extendedprice",
            by="o_custkey",
            order="o_orderdate",
            statistics=["count", "mean"],
            output="customer_{column}_{statistic}",
        ),
        RollingStats(
            columns="l_extendedprice",
            by="o_custkey",
            order="o_orderdate",
            window="180d",
            statistics="sum",
            output="customer_spent_180d",
        ),
        RollingStats(
            columns="order_day",
            by="o_custkey",
            order="o_orderdate",
            window="3650d",
            statistics="max",
            output="customer_last_day",
        ),
        _returned("o_custkey", "customer"),
        # The same of the supplier and the type of part. TargetEncode would take the outcomes of all lines ordered in
        # earlier months; on the day of the order many of those were still under way.
        _returned("l_suppkey", "supplier"),
        _returned("p_type", "type"),
        Derive(customer_days_since=pl.col("order_day") - pl.col("customer_last_day")),
        Rename(
            names={
                "customer_l_extendedprice_count": "customer_lines",
                "customer_l_extendedprice_mean": "customer_line_price",
                "previous_o_totalprice": "customer_previous_price",
                **{f"{name}_mean_365d": f"{name}_returned_365d" for name in ("customer", "supplier", "type")},
                **{f"{name}_count_365d": f"{name}_received_365d" for name in ("customer", "supplier")},
            }
        ),
        # After the windows, which need these lines. No outcome of a training line is known only after validation began.
        Filter(where=(pl.col("o_orderdate") < VALIDATION - LONGEST) | (pl.col("o_orderdate") >= VALIDATION)),
        DropNull(columns="returned"),
        DateParts(columns="o_orderdate", parts=["month", "weekday"]),
        Cyclic(columns="o_orderdate_month", period=12),
        Cyclic(columns="o_orderdate_weekday", period=7),
        Categorify(columns=CATEGORIES),
        # A customer's first order has nothing before it, and a year without receipts no share of returns.
        FillNull(columns=["customer_returned_365d", "supplier_returned_365d", "type_returned_365d"], value=0.5),
        FillNull(columns=["customer_line_price", "customer_days_since"], statistic="median"),
        FillNull(columns="customer_previous_price", statistic="median", mask=True),
        Log1p(columns=SKEWED),
        Standardize(columns=[*LINE, *CUSTOMER, *OTHERS]),
    ),
    target="returned",
    split=TimeSplit(column="o_orderdate", starts={"validation": VALIDATION.isoformat(), "test": TEST.isoformat()}),
    output=Output(
        features=[
            *LINE,
            *CUSTOMER,
            "customer_previous_price_isnull",
            *OTHERS,
            *(f"o_orderdate_{part}_{side}" for part in ("month", "weekday") for side in ("sin", "cos")),
            *CATEGORIES,
        ],
        keep=("l_orderkey", "l_linenumber", "o_orderdate"),
    ),
    baselines=(
        Baseline(estimator="dummy"),
        Baseline(estimator="logistic_regression", name="logistic regression"),
        Baseline(estimator="random_forest", name="random forest"),
    ),
)
