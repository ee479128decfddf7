"""The page: what it says, that it stands alone, that nothing from the data is markup, and that its size is bounded."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from headrace.catalog.manifest import (
    BadFile,
    BaselineResult,
    Column,
    Histogram,
    Manifest,
    Producer,
    Quality,
    Split,
    Statistics,
    TopValue,
)
from headrace.catalog.pages import formats
from headrace.catalog.pages.distributions import draw
from headrace.catalog.records import File
from headrace.pipelines.metrics import classify, regress
from headrace.pipelines.report import Facts, write_report
from headrace.pipelines.runs import RunRecord
from headrace.schemas.errors import DataError

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

EVIL = "<script>alert('x')</script>\"&$a_b$"
RUN = RunRecord(
    run_id="run-1",
    pipeline="flights",
    status="running",
    started_at=datetime(2026, 3, 1, tzinfo=UTC),
    engine="cpu",
    engine_reason="no GPU found",
    cluster="inline",
    seconds={"prepare": 0.25, "fit": 3.0},
)
NUMBERS = Statistics(
    count=100,
    min=0.0,
    max=4.0,
    mean=2.0,
    std=1.0,
    distinct=90,
    quantiles={"0.05": 0.2, "0.25": 1.0, "0.5": 2.0, "0.75": 3.0, "0.95": 3.8},
    histogram=Histogram(edges=(0, 1, 2, 3, 4), counts=(10, 40, 40, 10)),
)


class _Page(HTMLParser):
    """Checks that tags nest, and collects them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br", "link", "img", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag in ("td", "th", "dt", "dd"):
            self.text += " "

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text += data


def _split(name: str, rows: int) -> Split:
    file = File(path=f"{name}/part-00000.parquet", bytes=rows * 10, sha256="0" * 64, rows=rows, row_groups=(rows,))
    return Split(rule="time: test from 2013-12-01", rows=rows, files=(file,))


def _manifest(**changes: Any) -> Manifest:
    label = Column(name="late", role="label", kind="numeric", dtype="Int8", statistics={"train": NUMBERS})
    feature = Column(name="delay", role="feature", kind="numeric", dtype="Float32", statistics={"train": NUMBERS})
    values: dict[str, Any] = {
        "dataset": "flights",
        "build": "0192f3a4",
        "created_at": "2026-03-01T12:30:11+00:00",
        "producer": Producer(headrace="0.1.0", python="3.11.9", polars="1.44.2"),
        "arrow_schema": (),
        "schema_fingerprint": "0" * 64,
        "columns": (feature, label),
        "splits": {"train": _split("train", 800), "test": _split("test", 100)},
        "quality": Quality(
            rows_in=1000,
            rows_published=900,
            filtered=60,
            quarantined=40,
            reasons={"distance: below 0": 30, "tailnum: pattern": 15},
            bad_files=(BadFile(path="13.parquet", problem="is truncated"),),
        ),
    }
    return Manifest(**{**values, **changes})


def _baselines(folder: Path, task: str = "classification", names: tuple[str, ...] = ("dummy", "forest")) -> Any:
    results = []
    label = pl.Series([0.0, 1, 0, 1, 1, 0]).to_numpy()
    for place, name in enumerate(names):
        guess = pl.Series([0.5] * 6 if place == 0 else [0.1, 0.9, 0.2, 0.7, 0.4, 0.5]).to_numpy()
        found = (classify if task == "classification" else regress)(label, guess)
        path = folder / f"baselines/{place}/curves.json"
        path.parent.mkdir(parents=True)
        curves = found.model_dump(exclude={"metrics"}, exclude_none=True)
        path.write_text(json.dumps({"format": 1, "splits": {"train": curves, "test": curves}}))
        results.append(
            BaselineResult(
                name=name,
                estimator="dummy" if place == 0 else "random_forest",
                task=task,  # type: ignore[arg-type]
                target="late",
                metrics={"train": found.metrics, "test": found.metrics},
                rows_trained=500,
                rows_available=800,
                features=5 * place,
                seconds=1.5,
                note="a seeded sample of 500 of 800 rows of train",
                curves=f"baselines/{place}/curves.json",
            )
        )
    return tuple(results)


def _write(folder: Path, manifest: Manifest, label: pl.DataFrame | None = None) -> tuple[_Page, str, Facts]:
    path = folder / "report.html"
    write_report(path, manifest, RUN, label)
    text = path.read_text()
    return _Page(text), text, Facts.model_validate_json((folder / "report.json").read_text())


def test_the_page_says_what_ran_and_where_the_rows_went(tmp_path: Path) -> None:
    page, _, facts = _write(tmp_path, _manifest())
    words = " ".join(page.text.split())
    assert "Report of build 0192f3a4, made 2026-03-01 12:30:11 UTC by the pipeline flights" in words
    for expected in (
        "read 1,000 100.0 %",
        "quarantined 40 4.0 %",
        "filtered 60 6.0 %",
        "train 800 80.0 %",
        "test 100 10.0 %",
        "distance: below 0 30",
        "13.parquet is truncated",
        "cpu: no GPU found",
        "headrace 0.1.0, Python 3.11.9, Polars 1.44.2",
        "fit 3.0 s",
        "The pipeline names no baselines.",
    ):
        assert expected in words
    assert facts.quality is not None
    assert facts.quality.reasons == {"distance: below 0": 30, "tailnum: pattern": 15}
    assert facts.seconds == {"prepare": 0.25, "fit": 3.0}


@pytest.mark.slow
def test_the_page_stands_alone_and_can_be_read_by_machines_that_read_aloud(tmp_path: Path) -> None:
    weeks = [date(2013, 1, 7) + timedelta(days=7 * n) for n in range(9)]
    label = pl.DataFrame({"week": weeks, "split": ["train"] * 7 + ["test"] * 2, "rows": [9] * 9, "rate": [0.2] * 9})
    page, text, facts = _write(tmp_path, _manifest(baselines=_baselines(tmp_path)), label)
    assert not re.search(r"https?://|url\((?!#)|@import|\bsrc=", text)
    assert all((attrs.get("href") or "#").startswith("#") for _, attrs in page.tags)
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "img", "iframe"})
    drawn = [attrs for tag, attrs in page.tags if tag == "svg"]
    assert len(drawn) == 1 + 3 + 2
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in drawn)
    assert [tag for tag, _ in page.tags if tag == "h1"] == ["h1"]
    ids = [attrs["id"] for tag, attrs in page.tags if tag in ("section", "h2")]
    assert len(ids) == len(set(ids))
    assert len(facts.label_over_time) == 9
    assert facts.label_over_time[0].period == "2013-01-07"


@pytest.mark.slow
def test_baselines_stand_beside_the_dummy_with_the_best_in_bold(tmp_path: Path) -> None:
    page, text, facts = _write(tmp_path, _manifest(baselines=_baselines(tmp_path)))
    words = " ".join(page.text.split())
    assert "dummy train 0.5000" in words
    assert "forest train 0.8889" in words
    assert '<td class="n best">0.8889</td>' in text
    assert "AUC on test 0.8889 forest; dummy 0.5000" in words
    assert "trained on 500 of 800 rows, 5 features" in words
    assert facts.baselines[1].curves["test"].roc is not None


@pytest.mark.slow
def test_a_regression_shows_its_metrics_and_calibration_alone(tmp_path: Path) -> None:
    page, _, _ = _write(tmp_path, _manifest(baselines=_baselines(tmp_path, task="regression")))
    assert "RMSE on test 0.3" in " ".join(page.text.split())
    assert "Split RMSE MAE R² Target mean Rows scored Fit" in " ".join(page.text.split())
    assert "Precision and recall" not in page.text
    assert "Calibration" in page.text


@pytest.mark.slow
def test_nothing_from_the_data_is_markup(tmp_path: Path) -> None:
    shown = Statistics(count=9, distinct=1, top=(TopValue(value=EVIL, count=9),))
    columns = (
        Column(name=EVIL, role="feature", kind="numeric", dtype="Float32", statistics={"train": NUMBERS}),
        Column(name="text", role="feature", kind="text", dtype="String", statistics={"train": shown}),
        Column(name=EVIL + "2", role="label", kind="numeric", dtype="Int8", statistics={}),
    )
    manifest = _manifest(
        columns=columns,
        quality=Quality(rows_in=1, rows_published=1, reasons={EVIL: 1}, bad_files=(BadFile(path=EVIL, problem=EVIL),)),
        splits={EVIL.replace("/", ""): _split("train", 800)},
        baselines=_baselines(tmp_path, names=("dummy", EVIL)),
    )
    label = pl.DataFrame(
        {"period": ["a", "b"], "split": [EVIL.replace("/", "")] * 2, "rows": [1, 1], "rate": [0.1, 0.2]}
    )
    page, text, _ = _write(tmp_path, manifest, label)
    assert "<script" not in text
    assert EVIL in page.text
    assert "script" not in {tag for tag, _ in page.tags}


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    bare = Column(name="delay", role="feature", kind="numeric", dtype="Float32")
    page, _, _ = _write(tmp_path, _manifest(columns=(bare,), quality=Quality(rows_in=900, rows_published=900)))
    assert "No row was quarantined." in page.text
    assert "No statistics." in page.text
    page, _, _ = _write(tmp_path, _manifest(columns=(), quality=None, splits={}))
    assert "No row was quarantined." in page.text


def test_one_is_singular_and_what_has_no_spread_no_deviation(tmp_path: Path) -> None:
    codes = NUMBERS.model_copy(update={"mean": 7.5})
    column = Column(name="shop", role="feature", kind="categorical", dtype="Int32", statistics={"train": codes})
    splits = {"train": _split("train", 1)}
    quality = Quality(rows_in=2, rows_published=1, quarantined=1, reasons={"price:range": 1})
    page, _, _ = _write(tmp_path, _manifest(columns=(column,), splits=splits, quality=quality))
    words = " ".join(page.text.split())
    assert "row published 1 in 1 split feature 1 of 1 column row quarantined 1 50.0 % of the rows read" in words
    assert "shopfeature Int32categorical \N{EN DASH} 0 90 0 \N{EN DASH} 4 \N{EN DASH}" in words


def test_a_split_without_statistics_leaves_the_others_drawn(tmp_path: Path) -> None:
    column = Column(
        name="delay",
        role="feature",
        kind="numeric",
        dtype="Float32",
        statistics={"train": Statistics(count=0), "test": NUMBERS},
    )
    svg = draw(column, ("train", "test"))
    assert svg is not None
    assert "var(--split-1)" in svg
    assert "var(--split-0)" not in svg
    _write(tmp_path, _manifest(columns=(column,)))


@pytest.mark.slow
def test_many_columns_make_a_bounded_page_that_says_what_it_leaves_out(tmp_path: Path) -> None:
    columns = tuple(
        Column(
            name=f"f{number}",
            role="feature",
            kind="numeric",
            dtype="Float32",
            statistics=dict.fromkeys(("train", "test"), NUMBERS),
        )
        for number in range(1500)
    )
    page, text, facts = _write(tmp_path, _manifest(columns=columns))
    assert len([tag for tag, _ in page.tags if tag == "svg"]) == 200
    assert "1,300 more distributions in report.json." in page.text
    assert "500 more columns in report.json." in page.text
    assert len(text) < 5_000_000
    assert len(facts.columns) == 1500


@pytest.mark.slow
def test_writing_it_again_replaces_it_and_gives_the_same_bytes(tmp_path: Path) -> None:
    manifest = _manifest(baselines=_baselines(tmp_path))
    _, first, _ = _write(tmp_path, manifest)
    _, second, _ = _write(tmp_path, manifest)
    assert first == second


def test_curves_that_are_damaged_are_an_error(tmp_path: Path) -> None:
    manifest = _manifest(baselines=_baselines(tmp_path))
    (tmp_path / "baselines/1/curves.json").write_text("{")
    with pytest.raises(DataError, match="holds no curves of a baseline"):
        _write(tmp_path, manifest)


def _column(statistics: Statistics, kind: str = "numeric") -> Column:
    return Column.model_validate(
        {"name": "c", "role": "feature", "kind": kind, "dtype": "x", "statistics": {"train": statistics}}
    )


def test_shares_are_drawn_on_the_scale_of_the_largest() -> None:
    svg = draw(_column(NUMBERS), ("train",))
    assert svg is not None
    assert 'd="M0 68V52.0H60.0V4.0H120.0V4.0H180.0V52.0H240.0V68"' in svg
    assert 'aria-label="Distribution of c: train mean 2, standard deviation 1"' in svg


def test_tails_are_drawn_as_boxes_few_values_as_bars_and_one_value_as_words() -> None:
    tails = NUMBERS.model_copy(update={"histogram": Histogram(edges=(0, 500, 1000), counts=(99, 1))})
    assert "95 %: 3.8" in (draw(_column(tails), ("train",)) or "")
    few = NUMBERS.model_copy(update={"distinct": 2, "top": (TopValue(value=1, count=75), TopValue(value=0, count=25))})
    bars = re.findall(r'height="([\d.]+)"', draw(_column(few), ("train",)) or "")
    assert bars == ["21.3", "64.0"]  # by value: 0 with a third of what 1 has
    one = NUMBERS.model_copy(update={"histogram": Histogram(edges=(7, 7), counts=(100,))})
    assert "always 7" in (draw(_column(one), ("train",)) or "")
    assert draw(_column(Statistics(count=5)), ("train",)) is None


def test_numbers_are_written_for_people() -> None:
    assert formats.count(336776) == "336,776"
    assert formats.number(-0.000123456) == "\N{MINUS SIGN}0.0001235"
    assert formats.number(123456.7) == "123,457"
    assert formats.percent(48, 336824) == "0.014 %"
    assert formats.percent(0, 10) == "0.0 %"
    assert formats.seconds(125.4) == "2 min 05 s"
    assert formats.metric("auc", None) == formats.ABSENT


def test_histograms_of_different_ranges_are_drawn_in_common_bins() -> None:
    plain = NUMBERS.model_copy(update={"quantiles": {}})
    wide = plain.model_copy(update={"histogram": Histogram(edges=(0, 48), counts=(4,))})
    narrow = plain.model_copy(update={"histogram": Histogram(edges=(0, 0.5, 1), counts=(1, 3))})
    column = Column(
        name="c",
        role="feature",
        kind="numeric",
        dtype="x",
        statistics={"train": wide, "test": narrow},
    )
    train, test = re.findall(r'd="(M0 68V[^"]+V68)"', draw(column, ("train", "test")) or "")
    assert test.startswith("M0 68V4.0H5.0V68.0H10.0")  # all of its rows are in the first of 48 bins
    assert set(re.findall(r"V([\d.]+)H", train)) == {"66.7"}  # a 48th of 64 below the line, everywhere
