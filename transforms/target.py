"""TargetEncode: the mean of the target per category, out of fold on the rows it was learned from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Final

import numpy as np
import polars as pl
from pydantic import AfterValidator, Field, model_validator

from headrace.engines.engine import Engine
from headrace.schemas.errors import PipelineError
from headrace.schemas.names import SPLIT, TRAIN
from headrace.transforms import exact
from headrace.transforms.base import CATEGORY, Accepts, Learner, Operator, Transform, named
from headrace.transforms.columns import Columns
from headrace.transforms.duration import parse_period
from headrace.transforms.folds import FOLD, FoldBy, none_as_nan, number_folds, smoothed_means, sums_of_others
from headrace.transforms.table import Table


def _period(text: str) -> str:
    parse_period(text)
    return text


PeriodText = Annotated[str, AfterValidator(_period)]


class TargetEncode(Learner):
    """Add, for each category, the smoothed mean of the target over other training rows of that category.

    Parameters
    ----------
    columns
        Strings, integers, booleans or dates; one output per column, or one for all with `combo`.
    target
        A number or a boolean. Rows where it is null, NaN, infinite or a float of 2^63 or more count for nothing.
    fold_by
        `key`: a training row's fold is the XXH64 of its `fold_on` columns modulo `folds`, and it is encoded from the
        other folds. `time`: it is encoded from the training rows of strictly earlier periods of `every`.
    fold_on
        What names a row (or a group of rows that belong together) however the data is cut; for `time`, one date or
        datetime.
    folds
        Number of folds; for `key`.
    every
        Length of a period, in the calendar of UTC: `"1mo"`, `"1q"`, `"1y"`, `"1w"`, `"1d"`, `"6h"`; for `time`.
    smoothing
        m of the m-estimate `(sum + m * prior) / (count + m)`: how many rows the prior is worth.
    prior
        The value where no rows count at all. Must be given for `time`, whose first period has nothing before it; null
        otherwise, unless given.
    combo
        Encode the combination of the columns; `output` must then be one new name.
    output
        Name of the result (Float32); `{column}` stands for the input's.

    Notes
    -----
    The prior of a row is the mean over all the rows that it is encoded from, whatever their category. It stands alone
    for null and for categories that those rows do not have. Rows with a column `__split` other than 0, and frames
    without it, get the statistic of all training rows. Sums are exact, so no order or partition shows. One pass; a row
    per category and fold (or period) in memory. Source: Micci-Barreca (2001), "A preprocessing scheme for
    high-cardinality categorical attributes".
    """

    accepts: ClassVar[Accepts] = CATEGORY

    columns: Columns
    target: str
    fold_on: Columns
    fold_by: FoldBy = "key"
    folds: int = Field(5, ge=2, le=1000)
    every: PeriodText = "1mo"
    smoothing: float = Field(10.0, ge=0.0, allow_inf_nan=False)
    prior: float | None = Field(None, allow_inf_nan=False)
    combo: bool = False
    output: str = "{column}_target"

    @model_validator(mode="after")
    def _fields_agree(self) -> TargetEncode:
        if self.fold_by == "time" and self.prior is None:
            raise ValueError("fold_by='time' needs prior=...: nothing is known before the first period")
        if self.fold_by == "time" and not self.fold_on.selector and len(self.fold_on) != 1:
            raise ValueError(f"fold_by='time' takes one column in fold_on, got {len(self.fold_on)}")
        if not self.fold_on.selector and not len(self.fold_on):
            raise ValueError("fold_on must name at least one column")
        if self.combo and "{column}" in self.output:
            raise ValueError("combo gives one column; name it with output='...'")
        if not self.combo and "{column}" not in self.output and (self.columns.selector or len(self.columns) > 1):
            raise ValueError(f"several columns cannot all be called {self.output!r}; write '{{column}}' in output")
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self.columns, *self.fold_on, self.target]))

    @property
    def writes(self) -> tuple[str, ...]:
        return (self.output,) if self.combo else named(self.output, self.columns)

    def check(self, schema: pl.Schema) -> None:
        target = schema[self.target]
        if not (target.is_integer() or target.is_float() or target == pl.Boolean):
            raise PipelineError(f"TargetEncode takes a number or a boolean as target, got {target} in {self.target!r}")
        if self.target in self.columns.names:
            raise PipelineError(f"TargetEncode: {self.target!r} is the target and cannot be encoded by itself")
        for column in self.fold_on:
            dtype = schema[column]
            if self.fold_by == "time" and dtype not in (pl.Date, pl.Datetime):
                raise PipelineError(f"fold_by='time' takes a date or a datetime, got {dtype} in column {column!r}")
            if self.fold_by == "key" and not (CATEGORY.test(dtype) or dtype == pl.Datetime):
                raise PipelineError(f"fold_on takes {CATEGORY.words} or a datetime, got {dtype} in column {column!r}")

    def separate(self) -> tuple[Operator, ...]:
        if self.combo or len(self.columns) == 1:
            return (self,)
        return self.each_column()

    def measure(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        """Columns `key:<i>`, `fold` (Int64), `count` (Int64) and the digits of the sum, a row per key and fold.

        Rows with a null key or target are there too: the prior counts the former, and both say which folds exist.
        """
        self._one_statistic()
        schema = frame.collect_schema()
        dtype = schema[self.target]
        value = exact.finite(pl.col(self.target), dtype)
        digits = exact.sum_digits(pl.col(self.target), dtype)
        form = exact.form(dtype)
        folded = number_folds(frame, self.fold_by, self.fold_on.names, self.folds, self.every, schema, engine)
        return (
            folded.select(
                *(pl.col(c).alias(k) for k, c in zip(self._keys, self.columns, strict=True)),
                pl.col(FOLD).alias("fold"),
                value.is_not_null().cast(pl.Int64).alias("count"),
                *(d.fill_null(0).alias(n) for n, d in zip(form.names("sum"), digits, strict=True)),
            )
            .group_by(*self._keys, "fold")
            .agg(pl.col("count", *form.names("sum")).sum())
        )

    def merge(self, tables: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
        if len(tables) == 1:
            return tables[0]
        both = pl.concat(tables, how="vertical")
        names = [n for n in both.collect_schema().names() if n not in (*self._keys, "fold")]
        return both.group_by(*self._keys, "fold").agg(pl.col(names).sum())

    @property
    def groups(self) -> tuple[str, ...]:
        return self._keys

    def learn(self, total: pl.DataFrame) -> Transform:
        self._one_statistic()
        empty = {**dict.fromkeys(self._keys, pl.String), "fold": pl.Int64, "count": pl.Int64}
        if not total.columns:
            total = pl.DataFrame(schema={**empty, **dict.fromkeys(exact.INTEGER.names("sum"), pl.Int64)})
        sums = [n for n in total.columns if n.startswith("sum:")]
        form = exact.FLOAT if len(sums) == exact.FLOAT.limbs else exact.INTEGER
        numbers = ["count", *sums]
        keys = list(self._keys)

        per_fold = total.group_by("fold").agg(pl.col(numbers).sum()).sort("fold")
        everything = total.select(pl.col(numbers).sum())
        prior_all = smoothed_means(everything, form, self.prior, 0.0, None)
        others = sums_of_others(per_fold, everything, [], numbers, self.fold_by)
        priors = per_fold.select("fold").with_columns(
            smoothed_means(others, form, self.prior, 0.0, None).alias("prior")
        )

        known = total.drop_nulls(keys).sort([*keys, "fold"])
        per_key = known.group_by(keys, maintain_order=True).agg(pl.col(numbers).sum())
        full = per_key.filter(pl.col("count") > 0)
        encoded_full = smoothed_means(
            full, form, self.prior, self.smoothing, np.full(full.height, none_as_nan(prior_all[0]))
        )

        rows = sums_of_others(known, per_key, keys, numbers, self.fold_by)
        prior = known.select("fold").join(priors, on="fold", how="left", maintain_order="left")["prior"]
        encoded = smoothed_means(
            rows, form, self.prior, self.smoothing, prior.cast(pl.Float64).fill_null(np.nan).to_numpy()
        )
        return TargetEncoded(
            columns=self.columns,
            output=self.writes[0],
            fold_by=self.fold_by,
            fold_on=self.fold_on,
            folds=self.folds,
            every=self.every,
            prior=prior_all[0],
            start=self.prior,
            encodings=Table(full.select(*keys, encoded_full.alias("value").cast(pl.Float32))),
            fold_encodings=Table(known.select(*keys, "fold", encoded.alias("value").cast(pl.Float32))),
            fold_priors=Table(priors.cast({"prior": pl.Float32})),
        )

    @property
    def _keys(self) -> tuple[str, ...]:
        return tuple(f"key:{i}" for i in range(len(self.columns)))

    def _one_statistic(self) -> None:
        if len(self.separate()) > 1:
            raise PipelineError(f"TargetEncode of {len(self.columns)} columns learns a table each: use separate()")


class TargetEncoded(Transform):
    """The encodings of TargetEncode: out of fold where `__split` is 0, those of all training rows elsewhere.

    `fold_on` is read only where the frame has the column `__split`.
    """

    columns: Columns
    output: str
    fold_by: FoldBy
    fold_on: Columns
    folds: int
    every: str
    prior: float | None
    start: float | None
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
        return (self.output,)

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        schema = frame.collect_schema()
        on = list(self.columns)
        names = dict(zip([f"key:{i}" for i in range(len(on))], on, strict=True))
        keys = {c: schema[c] for c in on}
        full = self.encodings.frame.lazy().rename({**names, "value": _FULL}).cast(keys, strict=False)
        frame = frame.join(full, on=on, how="left", maintain_order="left")
        serving = pl.col(_FULL).fill_null(pl.lit(self.prior, pl.Float32))
        if SPLIT not in schema:
            return frame.with_columns(serving.alias(self.output)).drop(_FULL)
        frame = number_folds(frame, self.fold_by, self.fold_on.names, self.folds, self.every, schema, engine)
        folds = (
            self.fold_encodings.frame.lazy().rename({**names, "fold": FOLD, "value": _OTHER}).cast(keys, strict=False)
        )
        priors = self.fold_priors.frame.lazy().rename({"fold": FOLD, "prior": _PRIOR})
        frame = frame.join(folds, on=[*on, FOLD], how="left", maintain_order="left")
        frame = frame.join(priors, on=FOLD, how="left", maintain_order="left")
        training = pl.coalesce(_OTHER, _PRIOR).fill_null(pl.lit(self.start, pl.Float32))
        value = pl.when(pl.col(SPLIT) == TRAIN).then(training).otherwise(serving)
        return frame.with_columns(value.alias(self.output)).drop(_FULL, FOLD, _OTHER, _PRIOR)


_FULL: Final = "__target_full"
_OTHER: Final = "__target_other"
_PRIOR: Final = "__target_prior"
