"""What came of a run, as Markdown for Prefect's pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from headrace.pipelines.runs import RunRecord

_METRICS: Final = {
    "classification": ("auc", "average_precision", "log_loss", "brier"),
    "regression": ("rmse", "mae", "r2"),
}


def summary_markdown(record: RunRecord) -> str:
    """A run that published, as Markdown: rows, quarantine, splits, baselines, where the version is."""
    lines = [f"# {record.dataset} version {record.version}", "", f"`{record.path}`", ""]
    if not record.seconds:
        return "\n".join([*lines, "Published before, by a run with the same key; nothing was done again.", ""])
    took = sum(record.seconds.values())
    lines += [f"{took:.1f} s on {record.engine}, {record.cluster}; run `{record.run_id}`", ""]
    rows: list[tuple[str, int]] = [
        ("in", record.rows_in),
        ("filtered", record.rows_filtered),
        ("quarantined", record.rows_quarantined),
        ("published", record.rows_published),
    ]
    lines += _table(("rows", ""), [(name, f"{n:,}") for name, n in rows])
    if record.quarantined:
        lines += _table(("quarantined for", "rows"), [(name, f"{n:,}") for name, n in record.quarantined.items()])
    lines += [f"- file left out: `{bad.path}`: {bad.reason}" for bad in record.bad_files]
    lines += [""] if record.bad_files else []
    lines += _table(("split", "rows"), [(name, f"{n:,}") for name, n in record.splits.items()])
    lines += _baselines(record)
    return "\n".join([*lines, f"{record.features} features. Report: `{record.report}`", ""])


def _baselines(record: RunRecord) -> list[str]:
    if not record.baselines:
        return []
    split = list(record.baselines[0].metrics)[-1]
    scored = [(result.name, result.metrics.get(split, {})) for result in record.baselines]
    known = list(dict.fromkeys(name for _, metrics in scored for name, value in metrics.items() if value is not None))
    main = [name for name in _METRICS[record.baselines[0].task] if name in known] or known
    rows = [(name, *(_number(metrics.get(m)) for m in main)) for name, metrics in scored]
    return _table((f"baseline on {split}", *(name.replace("_", " ") for name in main)), rows)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rules = ["---", *["---:"] * (len(head) - 1)]
    return [f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |" for row in (head, rules, *rows)] + [""]
