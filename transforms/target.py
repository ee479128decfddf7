"""TargetEncode: the mean of the target per category, over other rows than the row itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import numpy as np
import polars as pl
from pydantic import Field, field_validator, model_validator

from headrace.engines.engine import Engine
from headrace.schemas.errors import PipelineError
from headrace.transforms.base import CATEGORY, Accepts, Learner, Operator, Transform, named
from headrace.transforms.columns import Columns
from headrace.transforms.folds import FOLD, FoldBy, number_folds, sums_of_others
from headrace.transforms.outcomes import Outcome, Targets, counts, named_targets, nothing, outcomes
from headrace.transforms.table import Table
from headrace.transforms.target_encoded import TargetEncoded, TargetLeftOut, one_or_all, value_names
from headrace.transforms.target_fields import (
    Classes,
    PeriodText,
    Prior,
    SmoothingField,
    check_folds,
    check_outcomes,
    check_targets,
)

FOLDS: Final = 5


class TargetEncode(Learner):
    """Add, for each category, the smoothed mean of the target over other training rows of that category.

    Parameters
    ----------
    columns
        Strings, integers, booleans or dates; one output per column, or one for all with `combo`.
    target
        A number or a boolean, or several of them, which are encoded in one pass and share a table. Rows where it is
        null, NaN, infinite or a float of 2^63 or more count for nothing.
    classes
        For one target that is a string, an integer or a boolean: one output for each of these values, the smoothed
        share of rows that have it. A target that is none of them counts as a row that has none.
    fold_by
        `key`: a training row's fold is the XXH64 of its `fold_on` columns modulo `folds`, and it is encoded from the
        other folds. `group`: the same, said of columns that several rows share, such as a customer: where their targets
        go together, a row must not be encoded from its neighbours. `time`: it is encoded from the training rows of
        strictly earlier periods of `every`.
    fold_on
        What names a row, or a group of rows, however the data is cut; for `time`, one date or datetime.
    folds
        Number of folds, 2 to 1000; 5 unless given. For `key` and `group`.
    every
        Length of a period, in the calendar of UTC: `"1mo"`, `"1q"`, `"1y"`, `"1w"`, `"1d"`, `"6h"`; for `time`.
    leave_one_out
        Instead of folds: a training row is encoded from all training rows but itself, its category's sum less its own
        target over the count less one. The target is read on training rows only. See below for what that leaks.
    smoothing
        m of the m-estimate `(sum + m * prior) / (count + m)`: how many rows the prior is worth. `"auto"`: empirical
        Bayes, `w * mean + (1 - w) * prior` with `w = V * n / (V * n + v)`, n rows in the category, whose targets have
        the population variance v, and V that of all rows. It draws noisy categories to the prior, and does not draw a
        category of one row, or of equal targets, at all.
    prior
        The value where no rows count at all; a list to have one for each of several targets, or for each class. Must be
        given for `time`, whose first period has nothing before it; null otherwise, unless given.
    combo
        Encode the combination of the columns; `output` must then name no column.
    output
        Name of the result (Float32); `{column}` stands for the input's, `{target}` for the target's and `{class}` for
        the class (`true`, `false` for booleans).

    Notes
    -----
    The prior of a row is the mean over all the rows that it is encoded from, whatever their category. It stands alone
    for null and for categories that those rows do not have. Rows with a column `__split` other than 0, and frames
    without it, get the statistic of all training rows. Sums, and for `"auto"` sums of squares, are exact
    (`headrace.transforms.exact`), so no order or partition shows, and 1.6e9 beside a deviation of 1 comes out right.
    NVTabular's folds go by a row's position, which is another one after every change of partitions.

    Cost: one pass; memory for a row per category and fold (or period; one per category for `leave_one_out`), with 16
    bytes for each boolean target, 24 for each integer, 40 for each float, 8 for each further class, and for `"auto"` 64
    for each number, whose variances are then worked out row by row in integers of any length. It is applied by a join
    on the category, on training rows by another on category and fold.

    Leak. With folds, a row's encoding is made without its own target and that of its fold: a target that has nothing to
    do with the categories stays within the bounds of chance. With `leave_one_out` that holds over all rows too, but
    within one category the encoding is a falling straight line in the row's own target, their correlation is -1. A
    model that can tell categories apart by other features reads it off, and a column with one value alone gives a
    binary target away: Prokhorenkova et al. (2018), "CatBoost: unbiased boosting with categorical features", section
    3.2. Prefer folds, unless the model cannot make such cuts, as a linear one over many small categories.

    Source of the formulas: Micci-Barreca (2001), "A preprocessing scheme for high-cardinality categorical attributes in
    classification and prediction problems", equations 5 to 7. In scikit-learn this is TargetEncoder, whose `smooth` is
    `smoothing`, whose folds go by position and for which null is a category; in NVTabular TargetEncoding (`p_smooth`);
    TFT and Ray Data have none.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> rows = pl.LazyFrame({"shop": ["a", "a", "b", "b"], "order": [1, 2, 3, 4], "late": [True, False, True, True]})
    >>> step = TargetEncode(columns="shop", target="late", fold_on="order", smoothing=2, output="late_rate")
    >>> fitted = step.learn(step.measure(rows, CpuEngine()).collect())
    >>> fitted.apply(pl.LazyFrame({"shop": ["a", "b", "c"]}), CpuEngine()).collect()["late_rate"].to_list()
    [0.625, 0.875, 0.75]
    """

    accepts: ClassVar[Accepts] = CATEGORY

    columns: Columns
    target: Targets
    classes: Classes | None = None
    fold_on: Columns = Columns()
    fold_by: FoldBy = "key"
    folds: int | None = Field(None, ge=2, le=1000)
    every: PeriodText = "1mo"
    leave_one_out: bool = False
    smoothing: SmoothingField = 10.0
    prior: Prior | None = None
    combo: bool = False
    output: str = "{column}_target"

    @field_validator("target")
    @classmethod
    def _targets_differ(cls, target: Targets) -> Targets:
        names = named_targets(target)
        if not names:
            raise ValueError("names no column")
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"targets named twice: {', '.join(twice)}")
        return names[0] if len(names) == 1 else names

    @model_validator(mode="after")
    def _fields_agree(self) -> TargetEncode:
        check_folds(self.leave_one_out, self.fold_on, self.fold_by, self.folds, self.every, self.prior)
        check_outcomes(named_targets(self.target), self.classes, self.prior, self.output)
        if self.combo and "{column}" in self.output:
            raise ValueError("combo gives one column; name it with output='...'")
        if not self.combo and "{column}" not in self.output and (self.columns.selector or len(self.columns) > 1):
            raise ValueError(f"several columns cannot all be called {self.output!r}; write '{{column}}' in output")
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self.columns, *self.fold_on, *named_targets(self.target)]))

    @property
    def writes(self) -> tuple[str, ...]:
        templates = (self.output,) if self.combo else named(self.output, self.columns)
        return tuple(outcome.name(template) for template in templates for outcome in self._outcomes)

    @property
    def groups(self) -> tuple[str, ...]:
        return self._keys if self.leave_one_out else (*self._keys, "fold")

    def check(self, schema: pl.Schema) -> None:
        check_targets(named_targets(self.target), self.classes, self.columns, self.fold_on, schema)
        for column in self.fold_on:
            dtype = schema[column]
            if self.fold_by == "time" and dtype not in (pl.Date, pl.Datetime):
                raise PipelineError(f"fold_by='time' takes a date or a datetime, got {dtype} in column {column!r}")
            if self.fold_by != "time" and not (CATEGORY.test(dtype) or dtype == pl.Datetime):
                raise PipelineError(f"fold_on takes {CATEGORY.words} or a datetime, got {dtype} in column {column!r}")
        templates = {} if self.combo else dict(zip(self.columns, named(self.output, self.columns), strict=True))
        for column in self.reads:
            own = {o.name(templates[column]) for o in self._outcomes} if column in templates else set()
            if column in set(self.writes) - own:
                raise PipelineError(
                    f"TargetEncode would write a result over column {column!r}, which it reads",
                    hint="give the results other names in `output`",
                )

    def separate(self) -> tuple[Operator, ...]:
        if self.combo or len(self.columns) == 1:
            return (self,)
        return tuple(
            self.model_copy(update={"columns": Columns(names=(column,)), "output": output})
            for column, output in zip(self.columns, named(self.output, self.columns), strict=True)
        )

    def measure(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        """Columns `key:<i>`, `fold` (Int64; not for `leave_one_out`), and Int64 counts and digits of sums.

        Rows with a null key or target are there too: the prior counts the former, and both say which folds exist.
        """
        self._one_statistic()
        schema = frame.collect_schema()
        squares = self.smoothing == "auto"
        if squares:
            for stages in zip(*filter(None, (o.stages(schema) for o in self._outcomes)), strict=True):
                frame = frame.with_columns(e for stage in stages for e in stage)
        groups = [pl.col(c).alias(k) for k, c in zip(self._keys, self.columns, strict=True)]
        if not self.leave_one_out:
            frame = number_folds(
                frame, self.fold_by, self.fold_on.names, self.folds or FOLDS, self.every, schema, engine
            )
            groups.append(pl.col(FOLD).alias("fold"))
        numbers = counts(self._outcomes, schema)
        numbers += [e for o in self._outcomes for e in o.measures(schema, squares=squares)]
        return self._added(frame.select(*groups, *numbers))

    def merge(self, tables: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
        return tables[0] if len(tables) == 1 else self._added(pl.concat(tables, how="vertical"))

    def _added(self, table: pl.LazyFrame) -> pl.LazyFrame:
        numbers = [n for n in table.collect_schema().names() if n not in self.groups]
        return table.group_by(self.groups).agg(pl.col(numbers).sum())

    def learn(self, total: pl.DataFrame) -> Transform:
        self._one_statistic()
        if not total.columns:
            keys = {name: pl.Int64 if name == "fold" else pl.String for name in self.groups}
            total = pl.DataFrame(schema={**keys, **nothing(self._outcomes)})
        numbers = [n for n in total.columns if n not in self.groups]
        everything = total.select(pl.col(numbers).sum())
        known = total.drop_nulls(self._keys).sort(self.groups)
        per_key = known.group_by(self._keys, maintain_order=True).agg(pl.col(numbers).sum())
        full = per_key.filter(pl.any_horizontal(pl.col(o.counted) > 0 for o in self._outcomes))
        priors = tuple(
            outcome.read(everything).means(start).item()
            for outcome, start in zip(self._outcomes, self._starts, strict=True)
        )
        prior = one_or_all([None if np.isnan(p) else p for p in priors])
        encodings = full.select(self._keys).with_columns(self._encoded(full, everything, None))
        if self.leave_one_out:
            return TargetLeftOut(
                columns=self.columns,
                target=self.target,
                classes=self.classes,
                output=one_or_all(self.writes),
                smoothing=self.smoothing,
                prior=prior,
                start=self.prior,
                encodings=Table(encodings.with_columns(self._sums(full))),
                totals=Table(pl.DataFrame(self._sums(everything))),
            )

        per_fold = total.group_by("fold").agg(pl.col(numbers).sum()).sort("fold")
        others = sums_of_others(per_fold, everything, [], numbers, self.fold_by)
        rows = sums_of_others(known, per_key, list(self._keys), numbers, self.fold_by)
        at = known.select("fold").join(per_fold.select("fold").with_row_index("at"), on="fold", maintain_order="left")
        starts = zip(self._outcomes, self._starts, strict=True)
        fold_priors = [
            pl.Series(name, outcome.read(others).means(start), dtype=pl.Float64, nan_to_null=True)
            for name, (outcome, start) in zip(self._names("prior"), starts, strict=True)
        ]
        return TargetEncoded(
            columns=self.columns,
            output=one_or_all(self.writes),
            fold_by=self.fold_by,
            fold_on=self.fold_on,
            folds=self.folds or FOLDS,
            every=self.every,
            prior=prior,
            start=self.prior,
            encodings=Table(encodings),
            fold_encodings=Table(
                known.select(*self._keys, "fold").with_columns(self._encoded(rows, others, at["at"].to_numpy()))
            ),
            fold_priors=Table(per_fold.select("fold").with_columns(prior.cast(pl.Float32) for prior in fold_priors)),
        )

    def _encoded(self, rows: pl.DataFrame, all_: pl.DataFrame, at: np.ndarray[Any, Any] | None) -> list[pl.Series]:
        """The encoding of each row of sums, Float32, beside the sums of all that it is made of: row `at` of `all_`."""
        place = np.zeros(rows.height, np.int64) if at is None else at
        found = []
        for name, outcome, start in zip(self._names("value"), self._outcomes, self._starts, strict=True):
            sums = outcome.read(all_)
            variance = sums.variances()[place] if self.smoothing == "auto" else None
            value = outcome.read(rows).shrunk(self.smoothing, sums.means(start)[place], variance)
            found.append(value.cast(pl.Float32).alias(name))
        return found

    def _sums(self, table: pl.DataFrame) -> list[pl.Series]:
        """What a row is taken out of: per outcome `count`, `sum` and `rest`, and for `"auto"` the squares' `spread`."""
        found = []
        for place, outcome in enumerate(self._outcomes):
            sums = outcome.read(table)
            parts: Mapping[str, Any] = {"count": sums.counts.astype(np.float64), "sum": sums.floats, "rest": sums.rests}
            if self.smoothing == "auto":
                parts = {**parts, "spread": sums.variances() * sums.counts}
            found += [pl.Series(f"{name}:{place}", values) for name, values in parts.items()]
        return found

    def _names(self, what: str) -> tuple[str, ...]:
        return value_names(what, len(self._outcomes))

    @property
    def _keys(self) -> tuple[str, ...]:
        return tuple(f"key:{i}" for i in range(len(self.columns)))

    @property
    def _outcomes(self) -> tuple[Outcome, ...]:
        return outcomes(self.target, self.classes)

    @property
    def _starts(self) -> tuple[float | None, ...]:
        return self.prior if isinstance(self.prior, tuple) else (self.prior,) * len(self._outcomes)

    def _one_statistic(self) -> None:
        if len(self.separate()) > 1:
            raise PipelineError(f"TargetEncode of {len(self.columns)} columns learns a table each: use separate()")
