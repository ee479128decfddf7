from __future__ import annotations

from datetime import UTC, datetime

from headrace.catalog.manifest import BaselineResult
from headrace.flows.summary import summary_markdown
from headrace.pipelines.runs import BadFile, RunRecord


def result(name: str, auc: float | None) -> BaselineResult:
    metrics = {"train": {"auc": 0.9}, "test": {"auc": auc, "log_loss": 0.5, "base_rate": 0.25}}
    return BaselineResult(name=name, estimator="any", task="classification", target="late", metrics=metrics)


RECORD = RunRecord(
    run_id="01a2",
    pipeline="shop",
    status="done",
    started_at=datetime(2026, 1, 5, 5, 0, tzinfo=UTC),
    engine="cpu",
    cluster="inline",
    seconds={"prepare": 0.25, "fit": 1.5},
    rows_in=12_040,
    rows_filtered=352,
    rows_quarantined=2,
    rows_published=11_686,
    quarantined={"price:range": 2, "a|b": 1},
    bad_files=(BadFile(path="/raw/13.parquet", reason="truncated"),),
    splits={"train": 10_000, "test": 1_686},
    features=42,
    dataset="shop",
    version=7,
    path="/data/shop/builds/01a3",
    report="/data/shop/builds/01a3/report.html",
    baselines=(result("dummy", 0.5), result("random forest", 0.754_21)),
)

EXPECTED = """\
# shop version 7

`/data/shop/builds/01a3`

1.8 s on cpu, inline; run `01a2`

| rows |  |
| --- | ---: |
| in | 12,040 |
| filtered | 352 |
| quarantined | 2 |
| published | 11,686 |

| quarantined for | rows |
| --- | ---: |
| price:range | 2 |
| a&#124;b | 1 |

- file left out: `/raw/13.parquet`: truncated

| split | rows |
| --- | ---: |
| train | 10,000 |
| test | 1,686 |

| baseline on test | auc | log loss |
| --- | ---: | ---: |
| dummy | 0.5000 | 0.5000 |
| random forest | 0.7542 | 0.5000 |

42 features. Report: `/data/shop/builds/01a3/report.html`
"""


def test_a_run_that_published() -> None:
    assert summary_markdown(RECORD) == EXPECTED


def test_a_metric_that_is_not_defined_is_left_empty() -> None:
    record = RECORD.model_copy(update={"baselines": (result("dummy", None), result("ridge", 0.5))})
    assert "| dummy |  | 0.5000 |\n| ridge | 0.5000 | 0.5000 |" in summary_markdown(record)


def test_no_baselines_and_nothing_in_quarantine() -> None:
    text = summary_markdown(RECORD.model_copy(update={"baselines": (), "quarantined": {}, "bad_files": ()}))
    assert "baseline" not in text
    assert "quarantined for" not in text
    assert "file left out" not in text


def test_a_version_that_was_there_before() -> None:
    record = RECORD.model_copy(update={"seconds": {}})
    assert summary_markdown(record) == (
        "# shop version 7\n\n`/data/shop/builds/01a3`\n\n"
        "Published before, by a run with the same key; nothing was done again.\n"
    )
