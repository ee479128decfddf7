"""What TargetEncode learns: encodings out of fold, or sums that a row's own target is taken out of."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from headrace.engines.engine import Engine
from headrace.schemas.names import SPLIT, TRAIN
from headrace.transforms.base import Transform
from headrace.transforms.columns import Columns
from headrace.transforms.folds import FOLD, FoldBy, number_folds
from headrace.transforms.outcomes import Class, Outcome, Targets, less, named_targets, outcomes
from headrace.transforms.shrinkage import Smoothing
from headrace.transforms.table import Table

Names = str | tuple[str, ...]
Numbers = float | None | tuple[float | None, ...]


class TargetEncoded(Transform):
    """The encodings of TargetEncode: out of fold where `__split` is 0, those of all training rows elsewhere.

    `fold_on` is read only where the frame has the column `__split`. Tables have a column `value` (`prior`) for one
    output, `value:<i>` for several.
    """

    columns: Columns
    output: Names
    fold_by: FoldBy
    fold_on: Columns
    folds: int
    every: str
    prior: Numbers
    start: Numbers
    encodings: Table
    fold_encodings: Table
    fold_priors: Table

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self.columns, *self.fold_on]))

    @property
    def serves_from(self) -> tuple[str, ...]:
        return self.columns.names

    @property
    def writes(self) -> tuple[str, ...]:
        return all_of(self.output)

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        schema, on = frame.collect_schema(), list(self.columns)
        count = len(self.writes)
        full, other, prior = (tuple(f"{t}:{i}" for i in range(count)) for t in (_FULL, _OTHER, _PRIOR))
        frame = joined(
            frame, self.encodings, self.columns, schema, dict(zip(value_names("value", count), full, strict=True))
        )
        serving = [
            pl.col(f).fill_null(pl.lit(p, pl.Float32)) for f, p in zip(full, numbers(self.prior, count), strict=True)
        ]
        if SPLIT not in schema:
            return frame.with_columns(e.alias(o) for e, o in zip(serving, self.writes, strict=True)).drop(full)
        frame = number_folds(frame, self.fold_by, self.fold_on.names, self.folds, self.every, schema, engine)
        folds = {"fold": FOLD, **dict(zip(value_names("value", count), other, strict=True))}
        frame = joined(frame, self.fold_encodings, self.columns, schema, folds, on=[*on, FOLD])
        priors = {"fold": FOLD, **dict(zip(value_names("prior", count), prior, strict=True))}
        frame = frame.join(self.fold_priors.frame.lazy().rename(priors), on=FOLD, how="left", maintain_order="left")
        training = [
            pl.coalesce(o, p).fill_null(pl.lit(s, pl.Float32))
            for o, p, s in zip(other, prior, numbers(self.start, count), strict=True)
        ]
        return frame.with_columns(
            pl.when(pl.col(SPLIT) == TRAIN).then(t).otherwise(s).alias(o)
            for t, s, o in zip(training, serving, self.writes, strict=True)
        ).drop(*full, FOLD, *other, *prior)


class TargetLeftOut(Transform):
    """The encodings of TargetEncode: without the row itself where `__split` is 0, those of all rows elsewhere.

    `target` is read only where the frame has the column `__split`, and matters only on rows where that is 0.
    `encodings` has, per category and output i, `value` (or `value:<i>`), and Float64 `count:<i>`, `sum:<i>` and
    `rest:<i>`, of which the last two add up to the exact sum, and for smoothing `"auto"` `spread:<i>`, the sum of
    squared deviations; `totals` has the same of all training rows.
    """

    columns: Columns
    target: Targets
    classes: tuple[Class, ...] | None = None
    output: Names
    smoothing: Smoothing
    prior: Numbers
    start: Numbers
    encodings: Table
    totals: Table

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self.columns, *named_targets(self.target)]))

    @property
    def serves_from(self) -> tuple[str, ...]:
        return self.columns.names

    @property
    def writes(self) -> tuple[str, ...]:
        return all_of(self.output)

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        schema, count = frame.collect_schema(), len(self.writes)
        values, trained = value_names("value", count), SPLIT in schema
        columns = [n for n in self.encodings.frame.columns if not n.startswith("key:")] if trained else values
        names = {n: f"{_FULL}:{n}" for n in columns}
        frame = joined(frame, self.encodings, self.columns, schema, names)
        serving = [
            pl.col(names[v]).fill_null(pl.lit(p, pl.Float32))
            for v, p in zip(values, numbers(self.prior, count), strict=True)
        ]
        if not trained:
            return frame.with_columns(e.alias(o) for e, o in zip(serving, self.writes, strict=True)).drop(
                *names.values()
            )
        made: list[str] = []
        for outcome, start in zip(outcomes(self.target, self.classes), numbers(self.start, count), strict=True):
            for stage in self._stages(outcome, schema, start):
                frame = frame.with_columns(e.alias(n) for n, e in stage.items())
                made += stage
        return frame.with_columns(
            pl.when(pl.col(SPLIT) == TRAIN)
            .then(pl.col(f"{_OTHER}:{i}").cast(pl.Float32))
            .otherwise(value)
            .alias(output)
            for i, (value, output) in enumerate(zip(serving, self.writes, strict=True))
        ).drop(*names.values(), *made)

    def _stages(self, outcome: Outcome, schema: pl.Schema, start: float | None) -> list[dict[str, pl.Expr]]:
        """Columns to add one after the other; the last is the encoding from all rows but the row itself, Float64."""
        i = outcome.place
        group = {n: pl.col(f"{_FULL}:{n}:{i}") for n in ("count", "sum", "rest", "spread")}
        totals = self.totals.frame.row(0, named=True)
        everything = {n: pl.lit(totals.get(f"{n}:{i}"), pl.Float64) for n in group}
        present, own = pl.col(f"{_FULL}:present:{i}"), outcome.own(schema)
        stages = [{f"{_FULL}:present:{i}": outcome.present(schema).cast(pl.Float64)}]
        rest: dict[str, dict[str, pl.Expr]] = {"n": {}, "mean": {}, "variance": {}}
        for name, sums in (("group", group), ("all", everything)):
            n = sums["count"] - present
            rest["n"][f"{_FULL}:n:{name}:{i}"] = n
            mean = less(sums["sum"], own, sums["rest"]) / n
            rest["mean"][f"{_FULL}:mean:{name}:{i}"] = pl.when(n > 0).then(mean)
            if self.smoothing == "auto":
                # The spread of the others, by the rule of Welford (1962) turned round; rounding may leave it below 0.
                away = functools.reduce(operator.add, own) - sums["sum"] / sums["count"]
                spread = sums["spread"] - present * away * away * sums["count"] / n
                rest["variance"][f"{_FULL}:variance:{name}:{i}"] = (
                    pl.when((n > 0) & (spread > 0)).then(spread / n).otherwise(0.0)
                )
        stages += [rest["n"], rest["mean"], rest["variance"]]
        n, mean = pl.col(f"{_FULL}:n:group:{i}"), pl.col(f"{_FULL}:mean:group:{i}")
        prior = pl.col(f"{_FULL}:mean:all:{i}").fill_null(pl.lit(start, pl.Float64))
        if self.smoothing == "auto":
            signal = pl.col(f"{_FULL}:variance:all:{i}") * n
            both = signal + pl.col(f"{_FULL}:variance:group:{i}")
            weight = pl.when(both > 0).then(signal / both).otherwise(0.0)
            shrunk = weight * mean + (1.0 - weight) * prior
        else:
            shrunk = (mean * n + self.smoothing * prior) / (n + self.smoothing)
        stages.append({f"{_OTHER}:{i}": pl.when(n > 0).then(shrunk).otherwise(prior)})
        return [stage for stage in stages if stage]


def joined(
    frame: pl.LazyFrame,
    table: Table,
    columns: Columns,
    schema: pl.Schema,
    names: dict[str, str],
    on: Sequence[str] = (),
) -> pl.LazyFrame:
    """The columns `names` of a table, renamed, beside the rows of the same category; null where there is none."""
    keys = {f"key:{i}": column for i, column in enumerate(columns)}
    other = table.frame.lazy().select(*keys, *names).rename({**keys, **names})
    other = other.cast({c: schema[c] for c in columns}, strict=False)
    return frame.join(other, on=list(on or columns), how="left", maintain_order="left")


def value_names(what: str, count: int) -> tuple[str, ...]:
    """The columns of a table that has one value per output."""
    return (what,) if count == 1 else tuple(f"{what}:{i}" for i in range(count))


def one_or_all(values: Sequence[Any]) -> Any:
    """One value as it is, several as a tuple."""
    return values[0] if len(values) == 1 else tuple(values)


def all_of(names: Names) -> tuple[str, ...]:
    """One name or several, as several."""
    return (names,) if isinstance(names, str) else names


def numbers(value: Numbers, count: int) -> tuple[float | None, ...]:
    """A number for each output, given as one for all or one for each."""
    return value if isinstance(value, tuple) else (value,) * count


_FULL: Final = "__target_full"
_OTHER: Final = "__target_other"
_PRIOR: Final = "__target_prior"
