"""What came out of trying the laws on an operator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import polars as pl

from headrace.schemas.errors import HeadraceError


@dataclass(frozen=True)
class Broken:
    """One way in which a law does not hold.

    Parameters
    ----------
    what
        What was got and what was expected.
    mend
        What to do about it.
    rows
        The fewest rows on which it shows, of those that were tried; None where rows do not matter.
    """

    what: str
    mend: str
    rows: pl.DataFrame | None = None

    def __str__(self) -> str:
        lines = [self.what, f"mend: {self.mend}"]
        if self.rows is not None:
            with pl.Config(tbl_rows=12, tbl_cols=12, tbl_hide_dataframe_shape=True, fmt_str_lengths=40):
                lines.append(f"on {self.rows.height} row(s):\n{self.rows}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Checked:
    """A law with what became of it: kept, skipped (and why), or broken (and how)."""

    law: str
    words: str
    outcome: Literal["kept", "skipped", "broken"]
    reason: str = ""
    broken: Broken | None = None


@dataclass(frozen=True)
class Report:
    """The laws that were tried on one operator, in their order."""

    operator: str
    laws: tuple[Checked, ...]

    def __str__(self) -> str:
        width = max(len(c.law) for c in self.laws)
        lines = (f"  {c.outcome:8}{c.law:{width}}  {c.reason or c.words}" for c in self.laws)
        return "\n".join((self.operator, *lines))

    def outcome(self, law: str) -> str:
        """`kept`, `skipped` or `broken`."""
        return next(c.outcome for c in self.laws if c.law == law)


class ConformanceError(HeadraceError, AssertionError):
    """An operator breaks laws; the message has each with an example. The same facts are in `report`."""

    code: ClassVar[str] = "conformance"
    exit_code: ClassVar[int] = 1

    report: Report

    @classmethod
    def of(cls, report: Report) -> ConformanceError:
        """The error of a report in which laws are broken."""
        broken = [c for c in report.laws if c.broken is not None]
        parts = [f"{report.operator} breaks {len(broken)} of {len(report.laws)} laws", *map(_told, broken)]
        error = cls("\n\n".join(parts), hint="each law says how to mend it; docs/own-operators.md has an example")
        error.report = report
        return error


def _told(checked: Checked) -> str:
    lines: Sequence[str] = str(checked.broken).splitlines()
    return "\n".join((f"{checked.law}: {checked.words}", *(f"    {line}" for line in lines)))
