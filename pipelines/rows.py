"""The rows of one partition on their way through the steps, as far as a pass can take them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import polars as pl

from headrace.engines.cpu import CpuEngine
from headrace.engines.engine import Held, TaskEngine
from headrace.pipelines.checking import split
from headrace.pipelines.passes import through
from headrace.pipelines.plan import Partition
from headrace.pipelines.resolve import Placed
from headrace.pipelines.work import Work
from headrace.schemas.checks import FileProblem, check_file, conform
from headrace.schemas.errors import DataError, RunError
from headrace.schemas.footers import read_footer, reading_problem
from headrace.schemas.names import ROW
from headrace.schemas.rules import FILE, FILE_ROW, REASONS, compile_rules

QUARANTINE = "quarantine.parquet"


class Checked(NamedTuple):
    """Rows that keep the contract, and those that do not, with their reasons and where they came from."""

    good: Held
    bad: pl.DataFrame


def read_checked(
    work: Work, partition: Partition, engine: TaskEngine, seen: Callable[[Held], None] | None = None
) -> Checked:
    """Read a partition whole and split its rows by the contract. `seen` gets all rows while they are held."""
    rows = _read(source_rows(work, partition), partition, engine)
    if seen is not None:
        seen(rows)
    good, bad = split(rows.lazy(), compile_rules(work.pipeline.contract), engine)
    return Checked(good, located(work, bad, partition))


def located(work: Work, bad: pl.DataFrame, partition: Partition) -> pl.DataFrame:
    """Rows for quarantine: with the file and the row in it that they came from."""
    place = [
        pl.lit(work.source_path(partition.file)).alias(FILE),
        (pl.col(ROW) - partition.first_row + partition.file_row).alias(FILE_ROW),
    ]
    return bad.with_columns(place).select(FILE, FILE_ROW, REASONS, pl.exclude(FILE, FILE_ROW, REASONS))


def source_rows(work: Work, partition: Partition) -> pl.LazyFrame:
    """All rows of a partition, good and bad, with the contract's columns and types and their number in the source.

    Raises
    ------
    DataError
        The file is no longer the one that was planned with.
    """
    contract = work.pipeline.contract
    footer = read_footer(partition.file)
    outcome = check_file(contract, footer)
    if footer.fingerprint != partition.fingerprint or isinstance(outcome, FileProblem):
        raise DataError(
            "the file has changed during the run",
            where=partition.file,
            hint="run again when nobody writes to the source; write new data to new files",
        )
    frame = pl.scan_parquet(partition.file, glob=False)  # of its name alone: x[1].parquet is not x1.parquet
    if partition.rows != footer.rows:
        frame = frame.slice(partition.file_row, partition.rows)
    number = (pl.col(ROW).cast(pl.Int64) + partition.first_row).alias(ROW)
    return conform(frame, contract, outcome).with_row_index(ROW).with_columns(number)


def good_rows(work: Work, partition: Partition) -> pl.LazyFrame:
    """The rows of a partition that the first pass found good and whose keys are theirs alone."""
    frame = source_rows(work, partition)
    bad = pl.concat([bad_rows(work, partition), duplicate_rows(work, partition)])
    return frame.filter(~pl.col(ROW).is_in(bad.implode())) if bad.len() else frame


def bad_rows(work: Work, partition: Partition) -> pl.Series:
    """Numbers of the rows that break a rule."""
    path = work.part("pass-0", partition.number) / QUARANTINE
    return pl.read_parquet(path, columns=[ROW], glob=False)[ROW] if path.exists() else pl.Series(ROW, [], pl.Int64)


def duplicate_rows(work: Work, partition: Partition) -> pl.Series:
    """Numbers of the rows that repeat a key that an earlier row has."""
    found = [duplicates_of(work, partition, key)[ROW] for key in range(len(work.pipeline.contract.unique_keys()))]
    return pl.concat(found).unique() if found else pl.Series(ROW, [], pl.Int64)


def duplicates_of(work: Work, partition: Partition, key: int) -> pl.DataFrame:
    """The rows of a partition that repeat a value of one unique key."""
    files = bucket_files(work, work.path / "unique" / str(key))
    return CpuEngine().read_rows(files, ROW, partition.first_row, partition.first_row + partition.rows).collect()


def bucket_files(work: Work, folder: Path) -> list[Path]:
    """The files of an exchange's answers, one per bucket, without the suffix that the engine adds."""
    return [folder / f"bucket-{bucket:05d}" for bucket in range(work.plan.buckets)]


def walk(work: Work, frame: pl.LazyFrame, partition: Partition, number: int, engine: TaskEngine) -> pl.LazyFrame:
    """Take rows through every step that pass `number` can apply, with what is learned and worked out by then."""
    return through(
        work.resolved, frame, number, engine, lambda placed, rows: _apply(work, rows, partition, placed, engine)
    )


def _apply(work: Work, frame: pl.LazyFrame, partition: Partition, placed: Placed, engine: TaskEngine) -> pl.LazyFrame:
    if not placed.collects:
        return engine.step(placed.label, frame, work.form(placed.index).apply)
    # A window was worked out over whole entities in an exchange; its columns come back by row number, and where it
    # drops rows, the numbers of those that stay.
    files = bucket_files(work, work.path / "windows" / str(placed.index))
    answers = engine.read_rows(files, ROW, partition.first_row, partition.first_row + partition.rows)
    joined = frame.drop(placed.form.writes, strict=False)
    how: Literal["inner", "left"] = "inner" if placed.form.filters else "left"
    return joined.join(answers, on=ROW, how=how, maintain_order="left")


def _read(frame: pl.LazyFrame, partition: Partition, engine: TaskEngine) -> Held:
    try:
        try:
            return engine.hold(frame)
        except RunError:
            CpuEngine().hold(frame)  # says what is wrong with a file in words that people know
            raise
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as problem:
        raise DataError(
            f"rows {partition.file_row:,} to {partition.file_row + partition.rows:,} cannot be read: "
            f"{reading_problem(problem)}",
            where=partition.file,
            hint="the file is damaged beyond its footer; replace it or take it out of the source",
        ) from problem
