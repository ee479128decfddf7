"""`check_transform`: all laws on one operator."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, NamedTuple

import polars as pl

from headrace.schemas.errors import PipelineError
from headrace.testing import device, laws, learning
from headrace.testing.compare import first_line
from headrace.testing.edges import frames_of
from headrace.testing.frames import FRAMES, TABLES
from headrace.testing.report import Broken, Checked, ConformanceError, Report
from headrace.testing.subject import Subject, subjects
from headrace.transforms.base import Learner, Operator, describe
from headrace.transforms.registry import operator_from_plain
from headrace.transforms.table import Table


class Law(NamedTuple):
    """A law: what it says, how it is tried on a part of an operator, and why it may not apply (empty: it does)."""

    words: str
    check: Callable[[Subject], Broken | None]
    skipped: Callable[[Subject], str] = lambda _: ""


def _learns_nothing(subject: Subject) -> str:
    return "" if isinstance(subject.step, Learner) else "it learns nothing"


def _has_no_groups(subject: Subject) -> str:
    return "" if isinstance(subject.step, Learner) and subject.step.groups else "its statistics have no groups"


def _has_no_ids(subject: Subject) -> str:
    return "" if subject.form.ids else "it has no columns of ids"


LAWS: Final[Mapping[str, Law]] = {
    "edges": Law("null, NaN, infinities, extremes and no rows at all have an answer", laws.edges),
    "schema": Law("the result's columns and types are known without data", laws.schema),
    "json": Law("what is saved as JSON is read back equal", laws.json_round_trip),
    "columns": Law("only the columns it names change", laws.columns),
    "reads": Law("it needs no columns but those it says it reads", laws.reads),
    "order": Law("rows keep their number and order", laws.order),
    "alone": Law("what a row gets does not depend on how the rows were cut", laws.alone),
    "ids": Law("ids are below their cardinality", laws.ids, _has_no_ids),
    "merging": Law("merging is associative and commutative", learning.merging, _learns_nothing),
    "identity": Law("what was measured on no rows changes nothing", learning.identity, _learns_nothing),
    "partitions": Law("what is learned does not depend on how the rows were cut", learning.partitions, _learns_nothing),
    "settling": Law("groups may be settled apart, and again", learning.settling, _has_no_groups),
    "translation": Law("every query translates for the GPU", device.translation, device.no_translator),
    "gpu": Law("a GPU gives what the CPU gives", device.values, device.no_gpu),
}
"""The laws by their names in reports, in the order in which they are tried."""


def check_transform(
    op: Operator | Mapping[str, Any],
    frame: pl.DataFrame | None = None,
    tables: Mapping[str, pl.DataFrame | Table] | None = None,
    *,
    skip: Collection[str] = (),
) -> Report:
    """Try all laws of operators on one: a Transform, Learner, Window or Join with its fields.

    Parameters
    ----------
    op
        The operator as it would stand in a pipeline, or `{"Name": {fields}}`.
    frame
        Some ordinary rows with the columns it takes, 24 or more if there are. Awkward rows are made from them: one,
        none, all null, all equal, and the edges of each column's type. Without it the rows are those of
        `headrace.testing.FRAMES`, whose columns are described by `SCHEMA`.
    tables
        The tables of the source, by name, for an operator that joins one.
    skip
        Names of laws (see `LAWS`) that it is not meant to keep, such as `translation` for one that runs on CPUs only.

    Returns
    -------
    Report
        Each law with what became of it; `print` it. Laws that do not apply, or cannot be tried here, are `skipped`
        with the reason, such as `translation` where cudf-polars is not installed and `gpu` where there is no GPU.

    Raises
    ------
    ConformanceError
        An AssertionError: laws are broken. The message has each with an example of few rows and what to mend.
    PipelineError
        It does not fit the columns of the rows, or `skip` names no law.

    Examples
    --------
    >>> from headrace.transforms.numeric import Clip
    >>> report = check_transform(Clip(columns="price", lower=0), pl.DataFrame({"price": [1.5, -2.0, None]}))
    >>> report.outcome("order"), report.outcome("merging")
    ('kept', 'skipped')
    """
    declared = op if isinstance(op, Operator) else operator_from_plain(op)
    unknown = sorted(set(skip) - set(LAWS))
    if unknown:
        raise PipelineError(f"no law {', '.join(map(repr, unknown))}", hint=f"the laws are {', '.join(LAWS)}")
    found = {name: table if isinstance(table, Table) else Table(table) for name, table in (tables or {}).items()}
    try:
        parts = subjects(declared, FRAMES if frame is None else frames_of(frame), found or TABLES)
    except PipelineError as problem:
        if frame is None:
            problem.hint += "; give rows with the columns it takes: check_transform(op, frame=...)"
        raise
    outcomes: dict[str, Checked] = {}
    for name, law in LAWS.items():
        outcomes[name] = (
            Checked(name, law.words, "skipped", "asked for")
            if name in skip
            else _checked(name, parts, "edges" in outcomes and outcomes["edges"].outcome == "broken")
        )
    report = Report(describe(parts[0].step if len(parts) == 1 else declared), tuple(outcomes.values()))
    if any(c.outcome == "broken" for c in report.laws):
        raise ConformanceError.of(report)
    return report


def _checked(name: str, parts: tuple[Subject, ...], raises: bool) -> Checked:
    """One law on all parts. Where the operator `raises` on some rows, what it raises says nothing about this law."""
    law = LAWS[name]
    reason, tried = "", False
    for part in parts:
        try:
            reason = law.skipped(part)
            if reason:
                continue
            tried, broken = True, law.check(part)
        except Exception as problem:  # as in laws.edges: an operator may raise anything
            if raises:
                return Checked(name, law.words, "skipped", "it raises on some rows: see edges")
            broken = Broken(f"raised {type(problem).__name__}: {first_line(problem)}", "see the error that caused this")
        if broken:
            return Checked(name, law.words, "broken", broken=broken)
    return Checked(name, law.words, "kept") if tried else Checked(name, law.words, "skipped", reason)
