"""How often each value comes where there are few, and the smallest hashes of the values where there are many."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import polars as pl

from headrace.catalog import by_column, stacked
from headrace.catalog.hashing import HASH_SPACE
from headrace.catalog.partials import HASHES, VALUES, ColumnPartial, smallest
from headrace.engines.engine import Engine, Held


def count_values(
    rows: Held, probe: pl.DataFrame, columns: list[ColumnPartial], long: Collection[str], engine: Engine
) -> list[ColumnPartial]:
    """Columns with exact counts if they have at most VALUES values, and with their smallest hashes otherwise.

    Parameters
    ----------
    rows
        Columns as they are measured: numbers and texts.
    probe
        Some of the rows, to guess from which of the two a column needs; it changes the cost and not the result.
    long
        Text columns whose values may be cut in `probe`, and are too long to be kept.

    Notes
    -----
    Cost: a grouping of each column that seems to have few values, one pass over the others. Of those only hashes leave
    the engine, a few thousand of a column unless its few values in `probe` were a matter of chance.
    """
    schema = dict(rows.schema)
    values = {c.name: _known(c, schema[c.name]) for c in columns if _two(c) or (c.family != "opaque" and not c.finite)}
    rest = [c.name for c in columns if c.family != "opaque" and c.name not in values]
    special = {c.name for c in columns if c.finite < c.rows}
    seen = probe.select(pl.col(name).n_unique() for name in rest).row(0) if rest else ()
    distinct = dict(zip(rest, seen, strict=True))
    # Null, NaN and the infinities are counted here, so 4 more are allowed.
    few = [name for name, count in distinct.items() if count <= VALUES + 4 and name not in long]
    values |= _group(rows, few, special, engine)
    # There are at least as many values as in the probe, so about 1.5 * HASHES hashes or more lie below the limit.
    limits = {
        name: min(HASH_SPACE - 1, int(HASH_SPACE * 1.5 * HASHES / max(count, 1)))
        for name, count in distinct.items()
        if name not in values
    }
    hashes = _smallest_hashes(rows, limits, special, engine)
    return [replace(c, values=values.get(c.name), hashes=hashes.get(c.name)) for c in columns]


def _two(column: ColumnPartial) -> bool:
    """A mask, a label, a constant: its mean says how many there are of each value."""
    low, high = column.min, column.max
    return isinstance(low, int) and column.rows < 2**52 and (low == high or (low, high) == (0, 1))


def _known(column: ColumnPartial, dtype: pl.DataType) -> pl.DataFrame:
    """Counts of a column of two values, or of one, or none."""
    high = round(column.mean * column.finite) if column.min != column.max else column.finite
    counts = {column.min: column.finite - high, column.max: high} if column.finite else {}
    return pl.DataFrame(
        {"value": list(counts), "count": list(counts.values())}, schema={"value": dtype, "count": pl.UInt64}
    )


def _group(rows: Held, names: Collection[str], special: Collection[str], engine: Engine) -> dict[str, pl.DataFrame]:
    if engine.name == "cpu":
        return by_column.group(rows, names, engine)
    return stacked.group(rows, names, special, engine)


def _smallest_hashes(
    rows: Held, limits: Mapping[str, int], special: Collection[str], engine: Engine
) -> dict[str, pl.Series]:
    """The HASHES smallest hashes of each column, looked for below its limit first."""
    if not limits:
        return {}
    way = by_column if engine.name == "cpu" else stacked
    found = {name: smallest(hashes) for name, hashes in way.smallest_hashes(rows, limits, special, engine).items()}
    # An unlucky limit: too few hashes lie below it for them to be the smallest of all.
    whole = HASH_SPACE - 1
    again = {name: whole for name, hashes in found.items() if len(hashes) < HASHES and limits[name] < whole}
    return found | _smallest_hashes(rows, again, special, engine)
