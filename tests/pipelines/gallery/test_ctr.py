"""The Criteo recipe: what is published of made-up rows is what DuckDB works out of them, however they are cut."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import polars as pl
import pytest
import xxhash
from tests.pipelines.conftest import published, rows_of, sums

from headrace.catalog.manifest import Manifest
from headrace.engines import translation
from headrace.engines.cpu import CpuEngine
from headrace.pipelines.checking import split
from headrace.pipelines.gallery.ctr.generator import CATEGORIES, INTEGERS
from headrace.pipelines.gallery.ctr.pipeline import LARGE, SMALL, pipeline
from headrace.pipelines.gallery.ctr.sample import cached_sample, write_sample
from headrace.pipelines.model import Pipeline
from headrace.pipelines.translate import translation_report
from headrace.schemas.errors import UsageError
from headrace.schemas.footers import read_footer
from headrace.schemas.rules import compile_rules
from headrace.transforms.shape import Derive

ROWS = 12_000
BAD = {
    "label:allowed": {"label": 2},
    "label:required": {"label": None},
    "I3:range": {"I3": -(10**9)},
    "C7:pattern": {"C7": "XYZ"},
    "C26:pattern": {"C26": "0123456"},
}


def variant(root: Path) -> Pipeline:
    """The pipeline on a folder; the raw columns and the row's name are published beside the features."""
    raw = {f"raw_{name}": pl.col(name) for name in (*INTEGERS, *CATEGORIES)}
    return pipeline.model_copy(
        update={
            "source": pipeline.source.model_copy(update={"root": str(root)}),
            "steps": (Derive(columns=raw), *pipeline.steps),
            "output": pipeline.output.model_copy(update={"keep": ("row", *raw)}),
        }
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12,000 good rows in two files of several row groups, and one bad row of each kind in a third."""
    folder = tmp_path_factory.mktemp("ctr")
    rows = pl.read_parquet(write_sample(folder / "sample", rows=ROWS) / "*.parquet")
    (folder / "rows").mkdir()
    for number in (0, 1):
        part = rows[number * ROWS // 2 : (number + 1) * ROWS // 2]
        part.write_parquet(folder / "rows" / f"part-{number}.parquet", row_group_size=3000)
    bad = [
        rows[:1].with_columns(pl.lit(value, rows.schema[name]).alias(name))
        for wrong in BAD.values()
        for name, value in wrong.items()
    ]
    pl.concat(bad).write_parquet(folder / "rows" / "part-2.parquet")
    return folder / "rows"


@pytest.fixture(scope="module")
def version(source: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("headrace.pipelines.report.write_report", lambda path, *_: path.write_text(""))
        patch.setattr("headrace.pipelines.plan.UNIT_ROWS", 1000)
        return published(variant(source), tmp_path_factory.mktemp("catalog"))


@pytest.mark.slow
def test_every_query_runs_on_the_gpu_but_for_the_named_kernels() -> None:
    findings = translation_report(pipeline, {})
    assert [(f.part, f.lacking) for f in findings if f.lacking] == []
    assert {kernel for f in findings for kernel in f.kernels} <= set(translation.KERNELS)
    assert {f.number for f in findings} == set(range(len(pipeline.steps) + 1))


def test_the_contract_has_the_columns_of_the_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.pipelines.gallery.ctr.generator.ROW_GROUP", 10)
    [file] = write_sample(tmp_path / "sample", rows=10).glob("*.parquet")
    assert pipeline.contract.dtypes == read_footer(file).schema
    assert set(SMALL) | set(LARGE) < set(CATEGORIES)
    assert not set(SMALL) & set(LARGE)


@pytest.mark.slow
def test_rows_that_break_the_contract_are_quarantined_and_the_counts_add_up(version: tuple[Manifest, Path]) -> None:
    manifest, folder = version
    assert manifest.quality.rows_in == ROWS + len(BAD)
    assert manifest.quality.quarantined == len(BAD)
    assert manifest.quality.rows_published == ROWS
    bad = pl.concat([pl.read_parquet(path) for path in (folder / "quarantine").rglob("*.parquet")])
    [reasons] = [name for name, dtype in bad.schema.items() if dtype == pl.List(pl.String)]
    assert sorted(r for row in bad[reasons] for r in row) == sorted(BAD)
    shares = {name: part.rows / ROWS for name, part in manifest.splits.items()}
    assert shares == pytest.approx({"train": 0.8, "validation": 0.1, "test": 0.1}, abs=0.02)


@pytest.mark.slow
def test_features_are_those_that_duckdb_works_out_of_the_raw_rows(version: tuple[Manifest, Path]) -> None:
    rows = pl.concat([rows_of(*version, name).with_columns(split=pl.lit(name)) for name in version[0].splits])
    assert rows.height == ROWS
    for name in ("I1", "I2", "I13"):
        differences = duckdb.sql(f"""
            WITH logs AS (SELECT *, ln(1 + greatest(coalesce(raw_{name}, 0), 0)) AS x FROM rows),
            train AS (SELECT avg(x) AS mean, stddev_pop(x) AS deviation FROM logs WHERE split = 'train')
            SELECT max(abs({name} - (x - mean) / deviation)) FROM logs, train""").fetchall()
        assert differences[0] == pytest.approx((0,), abs=1e-5), name
    for name in ("C1", "C3", "C9", "C26"):
        wrong = duckdb.sql(f"""
            WITH counted AS (
                SELECT raw_{name} AS value, count(*) AS times FROM rows
                WHERE split = 'train' AND raw_{name} IS NOT NULL GROUP BY 1),
            ids AS (SELECT value, 2 + row_number() OVER (ORDER BY times DESC, value) AS id FROM counted WHERE times > 1)
            SELECT count(*) FROM rows LEFT JOIN ids ON raw_{name} = value
            WHERE {name} <> CASE WHEN raw_{name} IS NULL THEN 1 ELSE coalesce(id, 2) END""").fetchall()
        assert wrong == [(0,)], name


@pytest.mark.slow
def test_click_rates_are_those_of_the_other_folds(version: tuple[Manifest, Path]) -> None:
    """Training rows: of the other four folds. All others: of all training rows. A row's fold comes from `xxhash`."""
    rows = pl.concat([rows_of(*version, name).with_columns(split=pl.lit(name)) for name in version[0].splits])
    folds = [xxhash.xxh64(row.to_bytes(8, "little")).intdigest() % 5 for row in rows["row"]]
    rows = rows.with_columns(fold=pl.when(pl.col("split") == "train").then(pl.Series(folds)).otherwise(-1))
    for name in ("C1", "C7", "C9"):
        differences = duckdb.sql(f"""
            WITH train AS (SELECT fold, raw_{name} AS value, label FROM rows WHERE split = 'train'),
            folds AS (SELECT DISTINCT fold FROM rows),
            priors AS (SELECT f.fold, avg(label) AS prior FROM folds f JOIN train t ON t.fold <> f.fold GROUP BY 1),
            own AS (SELECT f.fold, value, sum(label) AS clicks, count(*) AS times
                    FROM folds f JOIN train t ON t.fold <> f.fold GROUP BY 1, 2)
            SELECT max(abs({name}_target - (coalesce(clicks, 0) + 20 * prior) / (coalesce(times, 0) + 20)))
            FROM rows JOIN priors USING (fold) LEFT JOIN own ON own.fold = rows.fold AND raw_{name} = value
            """).fetchall()
        assert differences[0] == pytest.approx((0,), abs=1e-6), name


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_the_shards_are_the_same_however_it_is_run(
    source: Path, version: tuple[Manifest, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.pipelines.plan.UNIT_ROWS", 1000)
    monkeypatch.setattr("headrace.pipelines.plan.BUCKET_ROWS", 1500)
    again, _ = published(variant(source), tmp_path, partition_bytes=1)
    assert sums(again) == sums(version[0])


@pytest.mark.slow
def test_click_rates_are_worth_something_to_the_baseline(version: tuple[Manifest, Path]) -> None:
    dummy, counts, rates = (result.metrics["test"]["auc"] for result in version[0].baselines)
    assert dummy == 0.5
    assert 0.52 < counts < rates


@pytest.mark.slow
def test_criteos_own_files_become_parquet_as_the_guide_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines in docs/gallery.md, run on a file as Criteo writes them; the contract takes what they write."""
    first = [
        "0",
        "1",
        "1",
        "5",
        "0",
        "1382",
        "4",
        "15",
        "2",
        "181",
        "1",
        "2",
        "",
        "2",
        "68fd1e64",
        *[""] * 24,
        "0b153874",
    ]
    second = ["1", "", "-1", *["3"] * 11, *["5a9ed9b0"] * 26]
    (tmp_path / "train.txt").write_text("".join("\t".join(fields) + "\n" for fields in (first, second)))
    guide = Path(__file__).parents[3] / "docs" / "gallery.md"
    [lines] = re.findall(r"```python\n(.*?)```", guide.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(lines, {})
    rows = pl.read_parquet("criteo/train.parquet")
    assert dict(rows.schema) == pipeline.contract.dtypes
    assert rows["I2"].to_list() == [1, -1]
    assert rows["I12"].to_list() == [None, 3]
    assert rows.row(0)[14:17] == ("68fd1e64", None, None)
    good, bad = split(rows.lazy(), compile_rules(pipeline.contract), CpuEngine())
    assert (good.height, bad.height) == (2, 0)


def test_a_sample_of_no_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected 1 or more, got 0"):
        write_sample(tmp_path / "sample", rows=0)


def test_the_sample_is_kept_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("headrace.pipelines.gallery.ctr.sample.write_ctr", _few)
    folder = cached_sample()
    assert folder == tmp_path / "headrace" / "ctr-1"
    written = (folder / "few.parquet").stat().st_mtime_ns
    assert cached_sample() == folder
    assert (folder / "few.parquet").stat().st_mtime_ns == written


def _few(folder: Path, rows: int, *, seed: int) -> None:
    pl.DataFrame({"rows": [rows], "seed": [seed]}).write_parquet(folder / "few.parquet")
