"""The tpch pipeline at scale factor 0.01: its features are what DuckDB works out, and nothing tells a coin's side."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.pipelines.conftest import published, rows_of, sums

from headrace.catalog.manifest import Manifest
from headrace.engines import translation
from headrace.pipelines.gallery.tpch.pipeline import CATEGORIES, CUSTOMER, LINE, OTHERS, pipeline
from headrace.pipelines.gallery.tpch.sample import TABLES, write_sample
from headrace.pipelines.model import Output, Pipeline
from headrace.pipelines.sources import read_tables
from headrace.pipelines.translate import translation_report
from headrace.transforms.missing import FillNull
from headrace.transforms.numeric import Log1p
from headrace.transforms.scale import Standardize

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_report")]

KEY = ["l_orderkey", "l_linenumber"]
BAD = {
    "l_returnflag:allowed": {"l_returnflag": "X"},
    "received_after_shipping": {"l_receiptdate": date(1992, 1, 1)},
    "shipped_before_judged": {"l_linestatus": "O"},
    "l_quantity:range": {"l_quantity": 51},
    "l_partkey:required": {"l_partkey": None},
}
Rows = Callable[[pl.DataFrame], pl.DataFrame]


def plain(root: Path) -> Pipeline:
    """The pipeline without baselines and without what learns or changes numbers: features as they were computed."""
    steps = [step for step in pipeline.steps if not isinstance(step, FillNull | Log1p | Standardize)]
    features = [*LINE, *CUSTOMER, *OTHERS, *CATEGORIES]
    return pipeline.model_copy(
        update={
            "source": pipeline.source.model_copy(update={"root": str(root)}),
            "steps": tuple(steps),
            "output": Output(features=features, keep=(*KEY, "o_orderdate"), order="source"),
            "baselines": (),
        }
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The five tables, order lines in row groups of 10,000, and a file with a line sent again and bad ones."""
    folder = write_sample(tmp_path_factory.mktemp("tpch") / "sample", scale_factor=0.01)
    lines = pl.read_parquet(folder / "lineitem.parquet")
    lines.write_parquet(folder / "lineitem.parquet", row_group_size=10_000)
    old = lines.filter(pl.col("l_returnflag") == "R")[:1]
    bad = [
        old.with_columns(pl.lit(value).cast(lines.schema[name]).alias(name))
        for wrong in BAD.values()
        for name, value in wrong.items()
    ]
    pl.concat([lines[:1], *bad]).write_parquet(folder / "lineitem-bad.parquet")
    return folder


@pytest.fixture(scope="module")
def version(source: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("headrace.pipelines.report.write_report", lambda path, *_: path.write_text(""))
        return published(plain(source), tmp_path_factory.mktemp("catalog"))


@pytest.fixture(scope="module")
def database(source: Path) -> duckdb.DuckDBPyConnection:
    """The tables, and `lines`: order lines up to 1995-01-17 with their orders."""
    made = duckdb.connect()
    for table in TABLES:
        made.execute(f"CREATE TABLE {table} AS SELECT * FROM '{source / table}.parquet'")
    made.execute("""
        CREATE TABLE lines AS
        SELECT *, (l_returnflag = 'R')::INT AS returned FROM lineitem
        JOIN orders ON l_orderkey = o_orderkey JOIN part ON l_partkey = p_partkey
        WHERE o_orderdate <= DATE '1995-01-17'""")
    return made


def test_counts_are_those_of_duckdb_and_bad_lines_are_quarantined(
    version: tuple[Manifest, Path], database: duckdb.DuckDBPyConnection
) -> None:
    manifest, folder = version
    expected = database.execute("""
        SELECT CASE WHEN o_orderdate < DATE '1994-07-01' THEN 'train' WHEN o_orderdate < DATE '1994-10-01'
               THEN 'validation' ELSE 'test' END, count(*) FROM lines
        WHERE NOT (o_orderdate BETWEEN DATE '1994-01-31' AND DATE '1994-06-30') GROUP BY 1""").fetchall()
    assert {name: split.rows for name, split in manifest.splits.items()} == dict(expected)
    assert manifest.quality.quarantined == len(BAD) + 1
    bad = pl.concat([pl.read_parquet(path) for path in (folder / "quarantine").rglob("*.parquet")])
    [reasons] = [name for name, dtype in bad.schema.items() if dtype == pl.List(pl.String)]
    found = {reason for row in bad[reasons] for reason in row}
    assert found >= set(BAD)
    assert len(found - set(BAD)) == 1  # the key of the line that was sent again


def test_no_line_has_an_unknown_outcome(database: duckdb.DuckDBPyConnection) -> None:
    """What the cut at 1995-01-17 stands on, and that of training: the longest delivery takes 151 days."""
    flags = database.execute("SELECT l_returnflag, max(l_receiptdate - o_orderdate) <= 151 FROM lines GROUP BY 1")
    assert sorted(flags.fetchall()) == [("A", True), ("R", True)]
    last = "SELECT max(l_receiptdate) FROM lines WHERE o_orderdate < DATE '1994-01-31'"
    [(known,)] = database.execute(last).fetchall()
    assert known < date(1994, 7, 1)


@pytest.mark.parametrize(
    ("columns", "query"),
    [
        (
            ["customer_lines", "customer_line_price", "customer_spent_180d", "customer_days_since"],
            """SELECT a.l_orderkey, a.l_linenumber, count(b.l_orderkey), avg(b.l_extendedprice::DOUBLE),
                      coalesce(sum(b.l_extendedprice) FILTER (b.o_orderdate >= a.o_orderdate - 180), 0)::DOUBLE,
                      (a.o_orderdate - max(b.o_orderdate))::DOUBLE
               FROM lines a LEFT JOIN lines b ON a.o_custkey = b.o_custkey AND b.o_orderdate < a.o_orderdate
               GROUP BY a.l_orderkey, a.l_linenumber, a.o_orderdate""",
        ),
        (
            ["customer_previous_price"],
            """SELECT l_orderkey, l_linenumber,
                      (SELECT o.o_totalprice::DOUBLE FROM orders o WHERE o.o_custkey = lines.o_custkey
                       AND o.o_orderdate < lines.o_orderdate ORDER BY o.o_orderdate DESC, o.o_orderkey DESC LIMIT 1)
               FROM lines""",
        ),
        *(
            (
                columns,
                f"""SELECT a.l_orderkey, a.l_linenumber, avg(b.returned)::DOUBLE, count(b.returned)
                    FROM lines a LEFT JOIN lines b ON a.{entity} = b.{entity}
                    AND b.l_receiptdate >= a.o_orderdate - 365 AND b.l_receiptdate < a.o_orderdate
                    GROUP BY a.l_orderkey, a.l_linenumber""",
            )
            for entity, columns in {
                "o_custkey": ["customer_returned_365d", "customer_received_365d"],
                "l_suppkey": ["supplier_returned_365d", "supplier_received_365d"],
                "p_type": ["type_returned_365d"],
            }.items()
        ),
        (
            ["l_quantity", "l_discount", "o_totalprice", "p_retailprice", "p_size", "days_promised"],
            """SELECT l_orderkey, l_linenumber, l_quantity::DOUBLE, l_discount::DOUBLE, o_totalprice::DOUBLE,
                      p_retailprice::DOUBLE, p_size, l_commitdate - o_orderdate FROM lines""",
        ),
    ],
)
def test_features_are_those_of_duckdb(
    columns: list[str], query: str, version: tuple[Manifest, Path], database: duckdb.DuckDBPyConnection
) -> None:
    found = rows_of(*version).select(*KEY, *columns)
    expected = pl.DataFrame(
        [row[: found.width] for row in database.execute(query).fetchall()],
        schema=found.columns,
        orient="row",
        infer_schema_length=None,
    )
    matched = found.select(KEY).join(expected, on=KEY, how="left", maintain_order="left")
    assert_frame_equal(found, matched, check_dtypes=False, rel_tol=1e-9, abs_tol=1e-9)
    assert all(found[column].n_unique() > 5 for column in columns)


def test_a_day_sees_no_outcome_and_no_order_of_its_own_or_later(
    source: Path, version: tuple[Manifest, Path], tmp_path: Path
) -> None:
    """Other outcomes of what arrived from June 1993 on, other prices of what was ordered since: no feature changes."""
    june = date(1993, 6, 1)
    orders = pl.read_parquet(source / "orders.parquet")
    later = orders.filter(pl.col("o_orderdate") >= june)["o_orderkey"]
    for table in TABLES[1:]:
        (tmp_path / f"{table}.parquet").write_bytes((source / f"{table}.parquet").read_bytes())
    arrived, ordered = pl.col("l_receiptdate") >= june, pl.col("l_orderkey").is_in(later.implode())
    other_side = pl.col("l_returnflag").replace({"A": "R", "R": "A"})
    twice = (pl.col("l_extendedprice") * 2).cast(pl.Decimal(15, 2))
    lines = pl.read_parquet(source / "lineitem.parquet").with_columns(
        pl.when(arrived).then(other_side).otherwise("l_returnflag").alias("l_returnflag"),
        pl.when(ordered).then(twice).otherwise("l_extendedprice").alias("l_extendedprice"),
    )
    lines.write_parquet(tmp_path / "lineitem.parquet", row_group_size=10_000)
    names = [*CUSTOMER, *OTHERS]
    other = rows_of(*published(plain(tmp_path), tmp_path / "c")).sort(KEY)
    before = rows_of(*version).sort(KEY)
    past, outcome = pl.col("o_orderdate") <= june, pl.col("returned")
    assert_frame_equal(other.filter(past).select(names), before.filter(past).select(names), check_exact=True)
    assert before.filter(past).height > 8000
    assert other.filter(past & (outcome != before["returned"])).height > 500
    assert not other.select(names).equals(before.select(names))


def test_nothing_tells_which_side_a_coin_fell(source: Path, tmp_path: Path) -> None:
    """The whole pipeline, with a smaller forest: AUC within four standard errors of 0.5 on lines it has not seen."""
    small = [b.model_copy(update={"parameters": {"n_estimators": 20}}) for b in pipeline.baselines[2:]]
    whole = plain(source).model_copy(
        update={
            "steps": pipeline.steps,
            "output": pipeline.output,
            "baselines": (*pipeline.baselines[:2], *small),
        }
    )
    manifest, _ = published(whole, tmp_path)
    rows = manifest.splits["test"].rows
    error = (1 / (3 * rows)) ** 0.5  # of Mann and Whitney's U over as many of one kind as of the other
    assert rows > 2000
    assert len(manifest.baselines) == 3
    for result in manifest.baselines:
        assert abs(result.metrics["test"]["auc"] - 0.5) < 4 * error, result.name


def test_the_shards_are_the_same_however_it_is_run(
    source: Path, version: tuple[Manifest, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.pipelines.plan.BUCKET_ROWS", 3000)
    again, _ = published(plain(source), tmp_path, partition_bytes=1)
    assert sums(again) == sums(version[0])


def test_every_query_runs_on_the_gpu_but_for_the_named_kernels(source: Path) -> None:
    here = pipeline.model_copy(update={"source": pipeline.source.model_copy(update={"root": str(source)})})
    findings = translation_report(here, read_tables(here, rows=False))
    assert [(f.part, f.lacking) for f in findings if f.lacking] == []
    assert {kernel for f in findings for kernel in f.kernels} <= set(translation.KERNELS)
    assert {f.number for f in findings} == set(range(len(pipeline.steps) + 1))
