"""GroupStats: statistics of columns per group of the training rows, added to every row of the group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import polars as pl
from pydantic import Field, field_validator, model_validator

from headrace.engines.engine import Engine
from headrace.schemas.errors import PipelineError
from headrace.transforms import exact
from headrace.transforms.base import CATEGORY, NUMERIC, Learner, Transform
from headrace.transforms.columns import Columns
from headrace.transforms.table import Table

Statistic = Literal["count", "sum", "mean", "std", "min", "max", "n_unique"]


class GroupStats(Learner):
    """Add statistics of the training rows of the same group.

    Parameters
    ----------
    by
        The columns that make a group: strings, integers, booleans or dates. A null in one of them is in no group.
    of
        The columns that statistics are taken of: numbers or booleans; for `count` and `n_unique` also what `by` takes.
        Without any, `count` counts rows.
    statistics
        `count` (values that are not null; Int64), `sum`, `mean`, `std` (of the sample, ddof 1) as Float64, `min` and
        `max` of the column's dtype, `n_unique` (values, null apart; Int64).
    output
        Names of the results; `{column}` (`rows` where there is none), `{statistic}` and `{by}` are filled in.

    Raises
    ------
    PipelineError
        A column of a type that cannot be grouped by, or that the statistics are not of; a result that would take the
        place of what is grouped by.

    Notes
    -----
    NaN, infinities and floats of 2^63 and more are left out, as null is. A group that training did not have gives
    null, and 0 for `count` and `n_unique`. Sums and squares are exact down to multiples of 5.4e-20 and 2.9e-39
    (`headrace.transforms.exact`), so no order or partition shows: bring smaller numbers to a larger unit first. Its own
    row counts in a training row's group, so statistics of the target leak it: use TargetEncode for those. One pass; a
    row per group in memory, with `n_unique` one per distinct pair of group and value.

    In NVTabular this is JoinGroupby (means and deviations in Float32); its Groupby looks no further than its partition.
    TFT, Ray Data and scikit-learn have none.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> step = GroupStats(by="shop", of="price", statistics=["count", "mean"])
    >>> rows = pl.LazyFrame({"shop": ["a", "a", "b"], "price": [1.0, 2.0, None]})
    >>> fitted = step.learn(step.measure(rows, CpuEngine()).collect())
    >>> fitted.apply(pl.LazyFrame({"shop": ["a", "b", "c"]}), CpuEngine()).collect().rows()
    [('a', 2, 1.5), ('b', 0, None), ('c', 0, None)]
    """

    by: Columns
    of: Columns = Columns()
    statistics: tuple[Statistic, ...] = Field(("mean",), min_length=1)
    output: str = "{column}_{statistic}_by_{by}"

    @field_validator("statistics", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fields_agree(self) -> GroupStats:
        if len(set(self.statistics)) != len(self.statistics):
            raise ValueError(f"statistics named twice: {', '.join(self.statistics)}")
        if not self.of.selector and not len(self.of) and self.statistics != ("count",):
            raise ValueError("without `of` there is only the count of rows: statistics=['count']")
        if len(self.statistics) > 1 and "{statistic}" not in self.output:
            raise ValueError("several statistics need '{statistic}' in output")
        if (self.of.selector or len(self.of) > 1) and "{column}" not in self.output:
            raise ValueError("several columns need '{column}' in output")
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self.by, *self.of]))

    @property
    def writes(self) -> tuple[str, ...]:
        return tuple(name for _, _, name in self._outputs)

    @property
    def _outputs(self) -> tuple[tuple[str, Statistic, str], ...]:
        by = "_".join(self.by)
        return tuple(
            (
                column,
                statistic,
                self.output.replace("{column}", column or "rows").replace("{statistic}", statistic).replace("{by}", by),
            )
            for column in (self.of.names or ("",))
            for statistic in self.statistics
        )

    def check(self, schema: pl.Schema) -> None:
        for column in self.by:
            if not CATEGORY.test(schema[column]):
                raise PipelineError(
                    f"GroupStats groups by {CATEGORY.words}, got {schema[column]} in {column!r}",
                    hint=_of_lists(schema[column]),
                )
            if column in self.writes:
                raise PipelineError(
                    f"GroupStats would write its result over column {column!r}, which it groups by",
                    hint="give the result another name in `output`",
                )
        numbers = [s for s in self.statistics if s not in ("count", "n_unique")]
        for column in self.of:
            dtype = schema[column]
            if dtype.is_decimal() or not (NUMERIC.test(dtype) or (CATEGORY.test(dtype) and not numbers)):
                wanted = NUMERIC.words if numbers else CATEGORY.words
                raise PipelineError(
                    f"GroupStats({', '.join(self.statistics)}) takes {wanted}, got {dtype} in column {column!r}",
                    hint=_of_lists(dtype),
                )

    def measure(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        """A row per group, and for `n_unique` a row per group and distinct value of one of the columns.

        The latter have the value in `<column>:value` and nothing to add elsewhere, so that one grouping merges both.
        """
        schema = frame.collect_schema()
        keyed = frame.drop_nulls(self.by.names)
        staged = keyed
        if "std" in self.statistics:
            for stages in zip(*(exact.square_stages(c, schema[c]) for c in self.of), strict=True):
                staged = staged.with_columns(e for stage in stages for e in stage)
        groups = staged.select(*self._groups, *(e for c in self.of for e in self._numbers(c, schema[c])), _ROWS)
        measured = [self._grouped(groups)]
        if "n_unique" in self.statistics:
            for column in self.of:
                value = exact.finite(pl.col(column), schema[column]).alias(f"{column}:value")
                measured.append(keyed.select(*self._groups, value).drop_nulls().unique())
            return self._merged(pl.concat(measured, how="diagonal"))
        return measured[0]

    def merge(self, tables: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
        return tables[0] if len(tables) == 1 else self._merged(pl.concat(tables, how="vertical"))

    def _merged(self, table: pl.LazyFrame) -> pl.LazyFrame:
        added = [n for n in table.collect_schema().names() if not n.endswith((":value", ":min", ":max", ":group"))]
        return self._grouped(table.with_columns(pl.col(added).fill_null(0)))

    def _grouped(self, table: pl.LazyFrame) -> pl.LazyFrame:
        names = table.collect_schema().names()
        keys = [n for n in names if n.endswith((":group", ":value"))]
        how = {"min": pl.Expr.min, "max": pl.Expr.max}
        return table.group_by(keys).agg(
            how.get(n.rsplit(":", 1)[1], pl.Expr.sum)(pl.col(n)) for n in names if n not in keys
        )

    @property
    def _groups(self) -> list[pl.Expr]:
        return [pl.col(c).alias(f"{c}:group") for c in self.by]

    def _numbers(self, column: str, dtype: pl.DataType) -> list[pl.Expr]:
        wanted = set(self.statistics)
        value = exact.finite(pl.col(column), dtype)
        found = [value.is_not_null().cast(pl.Int64).alias(f"{column}:count")]
        if wanted & {"sum", "mean", "std"}:
            digits = exact.sum_digits(pl.col(column), dtype)
            names = exact.form(dtype).names(f"{column}:sum")
            found += [d.fill_null(0).alias(n) for n, d in zip(names, digits, strict=True)]
        if "std" in wanted:
            squares = exact.square_digits(column, dtype)
            names = exact.SQUARE.names(f"{column}:square")
            found += [d.fill_null(0).alias(n) for n, d in zip(names, squares, strict=True)]
        if dtype.is_float():
            # -0.0 and 0.0 are equal: which of them is the minimum would depend on their order. Adding 0 is no way out:
            # Polars' engine in memory leaves it undone.
            value = pl.when(value == 0).then(pl.lit(0.0, dtype)).otherwise(value)
        return found + [value.alias(f"{column}:{s}") for s in ("min", "max") if s in wanted]

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(f"{c}:group" for c in self.by)

    def settle(self, table: pl.DataFrame) -> pl.DataFrame:
        """A row per group, with how many values it has in `<column>:unique` instead of a row for each of them."""
        values = [n for n in table.columns if n.endswith(":value")]
        if not values:
            return table
        keys = list(self.groups)
        groups = table.filter(pl.all_horizontal(pl.col(v).is_null() for v in values)).drop(values)
        for value in values:
            pairs = table.drop_nulls(value).group_by(keys).agg(pl.len().cast(pl.Int64).alias(_unique(value)))
            groups = groups.join(pairs, on=keys, how="left").with_columns(pl.col(_unique(value)).fill_null(0))
        return groups

    def learn(self, total: pl.DataFrame) -> Transform:
        keys = list(self.groups)
        if not total.columns:
            empty = pl.DataFrame(
                schema={**dict.fromkeys(self.by, pl.String), **{n: _dtype(s) for _, s, n in self._outputs}}
            )
            return self._fitted(empty)
        groups = self.settle(total).sort(keys)
        columns = [_statistic(groups, column, statistic).alias(name) for column, statistic, name in self._outputs]
        return self._fitted(groups.select(keys).rename(dict(zip(keys, self.by, strict=True))).with_columns(columns))

    def _fitted(self, table: pl.DataFrame) -> GroupStatsAdded:
        zeros = tuple(name for _, statistic, name in self._outputs if statistic in ("count", "n_unique"))
        return GroupStatsAdded(by=self.by, zeros=zeros, statistics=Table(table.rechunk()))


class GroupStatsAdded(Transform):
    """Each row's group looked up in `statistics`; null where it is not there, 0 for the columns in `zeros`."""

    by: Columns
    zeros: tuple[str, ...]
    statistics: Table

    @property
    def reads(self) -> tuple[str, ...]:
        return self.by.names

    @property
    def writes(self) -> tuple[str, ...]:
        return tuple(c for c in self.statistics.frame.columns if c not in self.by.names)

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        schema = frame.collect_schema()
        keys = {c: schema[c] for c in self.by}
        table = self.statistics.frame.lazy().cast(keys, strict=False)
        kept = frame.drop(self.writes, strict=False)
        joined = kept.join(table, on=list(self.by), how="left", maintain_order="left")
        return joined.with_columns(pl.col(list(self.zeros)).fill_null(0)) if self.zeros else joined


_ROWS: Final = pl.lit(1, pl.Int64).alias(":rows")


def _unique(value: str) -> str:
    return f"{value.removesuffix(':value')}:unique"


def _of_lists(dtype: pl.DataType) -> str:
    return "ListAgg and ListLength make one value of each list" if dtype == pl.List else ""


def _dtype(statistic: Statistic) -> pl.DataType:
    return pl.Int64() if statistic in ("count", "n_unique") else pl.Float64()


def _statistic(groups: pl.DataFrame, column: str, statistic: Statistic) -> pl.Series:
    if statistic in ("min", "max"):
        return groups[f"{column}:{statistic}"]
    if statistic == "n_unique":
        return groups[f"{column}:unique"]
    counts = groups[f"{column}:count" if column else ":rows"]
    if statistic == "count":
        return counts
    form = exact.FLOAT if exact.FLOAT.names(f"{column}:sum")[-1] in groups.columns else exact.INTEGER
    digits = [groups[n].to_numpy() for n in form.names(f"{column}:sum")]
    if statistic == "std":
        squares = exact.SQUARE.integers([groups[n].to_numpy() for n in exact.SQUARE.names(f"{column}:square")])
        return pl.Series(
            exact.deviations(counts.to_numpy(), form.integers(digits), squares, form.lowest), dtype=pl.Float64
        )
    sums = pl.Series(form.floats(digits))
    number = sums / counts if statistic == "mean" else sums
    return pl.select(pl.when(counts > 0).then(number)).to_series() if len(counts) else number
