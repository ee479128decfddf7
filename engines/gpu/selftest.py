"""A trial of the GPU engine on one small partition: its answers beside the CPU's.

Run as `python -m headrace.engines.gpu.selftest FOLDER`, in a process of its own, because a CUDA context stays until its
process ends. The last line on stdout is one JSON document; the exit status is 0 if the answers are equal.
"""

from __future__ import annotations

import json
import math
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

import polars as pl

from headrace.engines.cpu import CpuEngine
from headrace.engines.engine import Engine
from headrace.engines.kernels.lookup import Lookup
from headrace.engines.kernels.xxhash64 import hash64
from headrace.schemas.errors import HeadraceError

ROWS: Final = 1_000
POOL: Final = 0.05
"""Of the free memory: a trial leaves the rest to the others."""

_WORDS: Final = (" Amber", "beryl ", "Coral", "Émeraude", "", "jade-7", None)
_NAMED: Final = 3
_LARGEST: Final = struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]  # of the finite Float32


@dataclass(frozen=True)
class Report:
    """What came of the trial.

    Parameters
    ----------
    outcome
        `ok`, `different`, or `failed`: the GPU engine gave no answer.
    columns
        How many were compared, over all queries.
    differences
        A line for each column that differs.
    """

    outcome: Literal["ok", "different", "failed"]
    rows: int = ROWS
    columns: int = 0
    differences: tuple[str, ...] = ()
    error: str = ""
    hint: str = ""


def main(folder: str) -> int:
    """Make the sample in `folder`, run the queries on both engines, and print the report."""
    from headrace.engines.open import EngineSpec, open_engine

    report = examine(lambda: open_engine(EngineSpec(name="gpu", strict=True, pool=POOL)), Path(folder))
    print(json.dumps(asdict(report)), flush=True)
    return 0 if report.outcome == "ok" else 1


def examine(opened: Callable[[], Engine], folder: Path) -> Report:
    """Compare an engine with the CPU's; what goes wrong in it is part of the report."""
    path = folder / "sample.parquet"
    sample().write_parquet(path, row_group_size=ROWS // 4)
    expected = answers(CpuEngine(), path)
    try:
        got = answers(opened(), path)
    except HeadraceError as problem:
        return Report("failed", error=problem.message, hint=problem.hint)
    except Exception as problem:  # whatever CUDA, RMM or cuDF raise where they cannot work
        return Report("failed", error=f"{type(problem).__name__}: {problem}")
    differences = [line for name, frame in expected.items() for line in compare(name, frame, got[name])]
    columns = sum(frame.width for frame in expected.values())
    return Report("different" if differences else "ok", columns=columns, differences=tuple(differences))


def sample() -> pl.DataFrame:
    """Rows with nulls in every column but `row`, strings that are not ASCII, and a NaN."""
    numbers = range(ROWS)
    return pl.DataFrame(
        {
            "row": pl.Series(numbers, dtype=pl.Int64),
            "word": pl.Series([_WORDS[(n * 5 + n // 7) % len(_WORDS)] for n in numbers], dtype=pl.String),
            "count": pl.Series([None if n % 11 == 3 else (n * 7919) % 1_000 - 300 for n in numbers], dtype=pl.Int64),
            "amount": pl.Series([_amount(n) for n in numbers], dtype=pl.Float64),
        }
    )


def queries(engine: Engine, path: Path) -> dict[str, pl.LazyFrame]:
    """The queries of the trial, by name; each gives its rows in one order.

    Strings, integers, floats and a grouping as they are, and the named kernels `lookup` and `hash64`.
    """
    rows = pl.scan_parquet(path)
    word, count, amount = pl.col("word"), pl.col("count"), pl.col("amount")
    expressions = rows.select(
        "row",
        word.str.strip_chars().str.to_lowercase().alias("plain"),
        word.str.contains("a", literal=True).alias("has_a"),
        (count * 3 - 7).alias("tripled"),
        count.fill_null(0).clip(-100, 500).alias("clipped"),
        count.fill_null(0).clip(0, 500).cast(pl.Float64).log1p().alias("logged"),
        pl.when(count > 0).then(amount).otherwise(-1.0).alias("either"),
    ).filter(pl.col("row") % 3 != 1)
    groups = rows.group_by("word").agg(count.sum(), count.min().alias("least"), pl.len().alias("rows")).sort("word")
    vocabulary = pl.DataFrame({"value": ["Coral", "Émeraude", " Amber"]}, schema={"value": pl.String})
    ids = engine.kernel(rows, Lookup("word", vocabulary, "id", first=2, missing=1, null=0)).select("row", "id")
    hashed = hash64(engine, rows, "word", pl.String(), "word_hash", 7)
    hashed = hash64(engine, hashed, "count", pl.Int64(), "count_hash", 7).select("row", "word_hash", "count_hash")
    return {"expressions": expressions, "groups": groups, "lookup": ids, "hash64": hashed}


def answers(engine: Engine, path: Path) -> dict[str, pl.DataFrame]:
    """What an engine makes of the queries."""
    asked = queries(engine, path)
    return dict(zip(asked, engine.collect(list(asked.values())), strict=True))


def compare(name: str, expected: pl.DataFrame, got: pl.DataFrame) -> list[str]:
    """A line for each column that differs: floats by over one unit in the last place of a Float32, else at all."""
    if expected.schema != got.schema or expected.height != got.height:
        return [f"{name}: got {_shape(got)}, expected {_shape(expected)}"]
    found = []
    for column in expected.columns:
        left, right = expected[column].to_list(), got[column].to_list()
        wrong = [row for row, (a, b) in enumerate(zip(left, right, strict=True)) if not _equal(a, b)]
        if wrong:
            shown = ", ".join(f"row {row}: got {right[row]!r}, expected {left[row]!r}" for row in wrong[:_NAMED])
            found.append(f"{name}.{column}: {len(wrong)} of {len(left)} values differ ({shown})")
    return found


def _equal(expected: object, got: object) -> bool:
    if not (isinstance(expected, float) and isinstance(got, float)):
        return type(expected) is type(got) and expected == got
    if math.isnan(expected) or math.isnan(got):
        return math.isnan(expected) and math.isnan(got)
    return abs(_place(expected) - _place(got)) <= 1


def _place(value: float) -> int:
    """Where a number stands among all Float32: neighbours differ by one, and both zeros are at 0."""
    if abs(value) > _LARGEST:
        value = math.copysign(math.inf, value)
    bits: int = struct.unpack("<i", struct.pack("<f", value))[0]
    return bits if bits >= 0 else -(bits & 0x7FFFFFFF)


def _amount(number: int) -> float | None:
    if number % 13 == 5:
        return None
    return math.nan if number % 101 == 7 else (number - 500) * 0.37


def _shape(frame: pl.DataFrame) -> str:
    columns: Mapping[str, pl.DataType] = frame.schema
    return f"{frame.height} rows of {', '.join(f'{name} {dtype}' for name, dtype in columns.items())}"


def _arguments(words: Sequence[str]) -> str:
    if len(words) != 1:
        raise SystemExit("usage: python -m headrace.engines.gpu.selftest FOLDER")
    return words[0]


if __name__ == "__main__":
    sys.exit(main(_arguments(sys.argv[1:])))
