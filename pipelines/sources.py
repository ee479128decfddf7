"""Where the rows come from: the files of a source, checked by their footers, and the tables beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from pydantic import BaseModel, ConfigDict

from headrace.pipelines.model import Pipeline
from headrace.schemas.checks import FileProblem, check_file, loses_nothing
from headrace.schemas.errors import DataError, PipelineError
from headrace.schemas.footers import Footer, find_files, read_footer, reading_problem
from headrace.transforms.table import Table

TABLE_BYTES = 1 << 30
"""The largest table that is joined by being held whole by every worker."""


class CheckedFile(BaseModel):
    """A file of the source; `problem` is empty where it can be read and has the contract's columns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    bytes: int
    rows: int
    fingerprint: str
    problem: str = ""


@dataclass(frozen=True)
class SourceFiles:
    """The files of a source in name order; `footers` are those of the good ones. They are named as from `folder`."""

    checked: tuple[CheckedFile, ...]
    footers: tuple[Footer, ...]
    folder: Path

    def name(self, file: CheckedFile) -> str:
        """A file as readers of the dataset are told of it: its path in the folder."""
        return Path(file.path).relative_to(self.folder).as_posix()

    @property
    def column_bytes(self) -> dict[str, int]:
        """Uncompressed bytes of each column over all good files."""
        total: dict[str, int] = {}
        for footer in self.footers:
            for group in footer.row_groups:
                for column, size in group.column_bytes.items():
                    total[column] = total.get(column, 0) + size
        return total


def locate(pipeline: Pipeline) -> SourceFiles:
    """Find the source's files and check each footer against the contract. Reads no rows.

    Raises
    ------
    DataError
        No file; no good file with a row; or a bad file where the source's policy is `fail`.
    """
    source = pipeline.source
    checked: list[CheckedFile] = []
    footers: list[Footer] = []
    for path in find_files(source.where):
        try:
            footer = read_footer(path)
            outcome = check_file(pipeline.contract, footer)
            if isinstance(outcome, FileProblem):
                raise outcome.error()
        except DataError as problem:
            if source.on_bad_file == "fail":
                mend = problem.hint or "mend the file"
                problem.hint = f"{mend}; or leave such files out with source.on_bad_file: quarantine"
                raise
            size = path.stat().st_size if path.exists() else 0
            reason = problem.message
            checked.append(CheckedFile(path=str(path), bytes=size, rows=0, fingerprint="", problem=reason))
            continue
        footers.append(footer)
        checked.append(
            CheckedFile(path=str(path), bytes=footer.bytes, rows=footer.rows, fingerprint=footer.fingerprint)
        )
    if not any(footer.rows for footer in footers):
        bad = [f"{Path(f.path).name}: {f.problem}" for f in checked if f.problem]
        raise DataError(
            f"no row to work on in {len(checked)} file(s)" + "".join(f"\n  {line}" for line in bad[:10]),
            where=str(source.where),
        )
    return SourceFiles(tuple(checked), tuple(footers), source.folder)


def read_tables(pipeline: Pipeline, *, rows: bool = True) -> dict[str, Table]:
    """The source's tables by name, whole; without `rows` only their columns.

    Raises
    ------
    DataError
        A table that cannot be read; the message names it.
    PipelineError
        A table of more than a gigabyte: every worker holds it whole.
    """
    tables = {}
    for name, path in pipeline.source.tables.items():
        where = f"table {name}"
        try:
            files = find_files(Path(pipeline.source.root) / path)
            schema = read_footer(files[0]).schema
            _refuse_large(files, where)
            frame = read_files(files) if rows else pl.DataFrame(schema=schema)
        except DataError as problem:
            raise DataError(problem.message, hint=problem.hint, where=f"{where}: {problem.where}") from None
        tables[name] = Table(frame)
    return tables


def _refuse_large(files: tuple[Path, ...], where: str) -> None:
    size = sum(group.bytes for file in files for group in read_footer(file).row_groups)
    if size > TABLE_BYTES:
        raise PipelineError(
            f"takes {size / 2**30:.1f} GiB uncompressed, and every worker holds it whole; at most "
            f"{TABLE_BYTES / 2**30:.0f} GiB is allowed",
            hint="keep only the rows and columns that are joined, or make it the source and join the other way round",
            where=where,
        )


def read_files(files: Sequence[Path], *, widen: bool = False) -> pl.DataFrame:
    """Parquet files of the same columns, whole, one below the other.

    Parameters
    ----------
    widen
        A column may differ in its type where the wider one holds every value; it gets that one. Columns may be in
        another order.

    Raises
    ------
    DataError
        A file cannot be read, or has other columns than the first.
    """
    frames: list[pl.DataFrame] = []
    for file in files:
        read_footer(file)
        try:
            frames.append(pl.read_parquet(file, glob=False))
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as problem:
            raise DataError(f"cannot be read: {reading_problem(problem)}", where=str(file)) from problem
        if frames[-1].schema != frames[0].schema and not (widen and _fit_together(frames[-1].schema, frames[0].schema)):
            raise DataError(
                f"its columns are not those of {files[0].name}: "
                f"got {_columns(frames[-1].schema)}, expected {_columns(frames[0].schema)}",
                where=str(file),
            )
    if widen:
        return pl.concat([frame.select(frames[0].columns) for frame in frames], how="vertical_relaxed")
    return pl.concat(frames)


def _fit_together(one: pl.Schema, other: pl.Schema) -> bool:
    if set(one) != set(other):
        return False
    return all(loses_nothing(one[c], other[c]) or loses_nothing(other[c], one[c]) for c in one)


def _columns(schema: pl.Schema) -> str:
    return ", ".join(f"{name} {dtype}" for name, dtype in schema.items())
