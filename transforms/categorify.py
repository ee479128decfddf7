"""Categorify: values to integer ids by a vocabulary learned from the training rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, ClassVar

import polars as pl
from pydantic import Field, PrivateAttr, field_serializer, field_validator, model_validator

from headrace.engines.engine import Engine
from headrace.schemas.dtypes import instance
from headrace.schemas.errors import PipelineError
from headrace.transforms import continued
from headrace.transforms.base import CATEGORY, Accepts, Learner, Operator, Order, Transform, named
from headrace.transforms.categorified import Categorified
from headrace.transforms.columns import Columns
from headrace.transforms.continued import Counts
from headrace.transforms.keys import combined
from headrace.transforms.order import arranged
from headrace.transforms.table import Table

Value = bool | int | str | date


class Categorify(Learner):
    """Replace values by Int32 ids: 0 padding, 1 null, 2 to 1 + k out of vocabulary, then the vocabulary.

    Parameters
    ----------
    columns
        Strings, integers, booleans or dates. Every column gets a vocabulary of its own, unless `joint` or `combo`.
    min_count
        How often a value must occur in the training rows to get an id of its own.
    max_size
        At most so many values get an id, the most frequent ones.
    oov_buckets
        k, the number of ids for values out of vocabulary; with more than one, XXH64 modulo k chooses.
    joint
        One vocabulary for all the columns, which must be of one dtype: ids mean the same in each.
    combo
        One id for each combination of values of the columns; a null in any of them gives the null id. `output` must
        then be one new name.
    vocabulary
        The values, in the order of their ids, instead of what the data has; not with `min_count`, `max_size`, `combo`.
    previous
        An older vocabulary that this one continues: its values keep their ids, whether they still occur or not, and new
        values that reach `min_count` get the ids that follow, by count and value. `latest` or a number is a version
        of the dataset that the pipeline publishes, `dataset@7` one of another (`latest` begins anew where there is
        none yet); else the path of a Parquet file with the columns `value` and `count`. `max_size` counts old values
        too. `oov_buckets` must be what it was.
    previous_counts
        `add`: the training rows are new ones, so their counts are added to those of `previous`. `replace`: they contain
        the old ones, and are counted afresh. Either way a new value is counted in these training rows alone.
    output
        Name of the result; `{column}` stands for the input's.

    Notes
    -----
    The vocabulary is ordered by count (descending), then by value (ascending; strings by their UTF-8 bytes), so that
    ids do not depend on the order of rows. Null never enters it. One pass; memory: a bucket of the distinct values, and
    those with ids of their own where they are applied, learned or, with `previous`, merged.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> step, rows = Categorify(columns="shop"), pl.LazyFrame({"shop": ["b", "a", "b", None]})
    >>> fitted = step.learn(step.measure(rows, CpuEngine()).collect())
    >>> fitted.apply(pl.LazyFrame({"shop": ["a", "b", "new", None]}), CpuEngine()).collect()["shop"].to_list()
    [4, 3, 2, 1]
    """

    elementwise: ClassVar[bool] = True
    accepts: ClassVar[Accepts] = CATEGORY

    columns: Columns
    min_count: int = Field(1, ge=1)
    max_size: int | None = Field(None, ge=0)
    oov_buckets: int = Field(1, ge=1, le=1 << 24)
    joint: bool = False
    combo: bool = False
    vocabulary: tuple[Value, ...] | None = None
    previous: str | None = None
    previous_counts: Counts = "add"
    output: str = "{column}"

    _known: Table | None = PrivateAttr(None)

    @field_validator("previous", mode="before")
    @classmethod
    def _version_as_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("vocabulary")
    @classmethod
    def _one_type_and_distinct(cls, values: tuple[Value, ...] | None) -> tuple[Value, ...] | None:
        kinds = {type(v).__name__ for v in values or ()}
        if len(kinds) > 1:
            raise ValueError(f"a vocabulary has values of one type, got {', '.join(sorted(kinds))}")
        if values and len(set(values)) != len(values):
            twice = sorted({str(v) for v in values if values.count(v) > 1})
            raise ValueError(f"values named twice: {', '.join(twice[:5])}")
        return values

    @field_serializer("vocabulary", when_used="json")
    def _dates_as_text(self, values: tuple[Value, ...] | None) -> list[Any] | None:
        if values and isinstance(values[0], date):
            return [{"date": v.isoformat()} for v in values if isinstance(v, date)]
        return list(values) if values is not None else None

    @field_validator("vocabulary", mode="before")
    @classmethod
    def _dates_from_text(cls, values: Any) -> Any:
        if isinstance(values, list | tuple):
            return tuple(date.fromisoformat(v["date"]) if isinstance(v, dict) and "date" in v else v for v in values)
        return values

    @model_validator(mode="after")
    def _fields_agree(self) -> Categorify:
        if self.joint and self.combo:
            raise ValueError("joint (one vocabulary, an id per column) and combo (one id per row) exclude each other")
        if self.combo and "{column}" in self.output:
            raise ValueError("combo gives one column; name it with output='...'")
        if not self.combo and "{column}" not in self.output and (self.columns.selector or len(self.columns) > 1):
            raise ValueError(f"several columns cannot all be called {self.output!r}; write '{{column}}' in output")
        if self.vocabulary is not None and (self.min_count > 1 or self.max_size is not None or self.combo):
            raise ValueError("a given vocabulary excludes min_count, max_size and combo")
        if self.vocabulary is not None and self.previous is not None:
            raise ValueError("vocabulary (all values are given) and previous (new ones are added) exclude each other")
        if self.previous is None and self.previous_counts != "add":
            raise ValueError("previous_counts says what becomes of the counts of `previous`, which is not given")
        return self

    @property
    def writes(self) -> tuple[str, ...]:
        return (self.output,) if self.combo else named(self.output, self.columns)

    @property
    def measured(self) -> tuple[str, ...]:
        return () if self.vocabulary is not None else self.reads

    @property
    def learns_jointly(self) -> bool:
        return self.joint

    def check(self, schema: pl.Schema) -> None:
        dtypes = {schema[c] for c in self.columns}
        if self.joint and len(dtypes) > 1:
            got = ", ".join(f"{c}: {schema[c]}" for c in self.columns)
            raise PipelineError("columns of a joint vocabulary must be of one dtype", hint=f"cast; got {got}")
        if self.vocabulary:
            given = pl.Series(self.vocabulary).dtype
            for column in self.columns:
                if given != schema[column] and not (given.is_integer() and schema[column].is_integer()):
                    raise PipelineError(f"Categorify: the vocabulary holds {given}, column {column!r} {schema[column]}")

    def separate(self) -> tuple[Operator, ...]:
        if self.joint or self.combo or len(self.columns) == 1:
            return (self,)
        return self.each_column()

    def measure(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        """Columns `value` (`value:<i>` per column of a combination) and `count` (Int64), a row per distinct value."""
        self._one_vocabulary()
        count = pl.len().cast(pl.Int64).alias("count")
        if self.combo:
            keys = {name: pl.col(c) for name, c in zip(self._keys, self.columns, strict=True)}
            return frame.select(**keys).drop_nulls().group_by(self._keys).agg(count)
        counted = [
            frame.select(pl.col(c).alias("value")).drop_nulls().group_by("value").agg(count) for c in self.columns
        ]
        return self.merge(counted)

    def merge(self, tables: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
        if len(tables) == 1:
            return tables[0]
        return pl.concat(tables, how="vertical").group_by(self._keys).agg(pl.col("count").sum())

    @property
    def groups(self) -> tuple[str, ...]:
        return self._keys

    @property
    def order(self) -> Order:
        return (("count", True), *((key, False) for key in self._keys))

    def continuing(self, known: Table, schema: pl.Schema, *, trusted: bool = False) -> Categorify:
        """The same step with the vocabulary that `previous` names; its columns are known.

        Parameters
        ----------
        trusted
            It was published: no value is null or there twice. Then it is not read here, but where it is needed.

        Raises
        ------
        PipelineError
            A vocabulary that cannot go on: of another type, with a value twice, or larger than `max_size`.
        """
        dtypes = [_element(schema[c]) for c in self.columns]
        where = f"previous {self.previous}"
        found = continued.fitting(known, self._keys, dtypes if self.combo else dtypes[:1], where)
        if not trusted:
            continued.distinct(found.frame, self._keys, where)
        if self.max_size is not None and found.height > self.max_size:
            raise PipelineError(
                f"the previous vocabulary has {found.height:,} values, and max_size allows {self.max_size:,}",
                hint="`headrace vocabulary compact` makes a smaller one, with new ids",
                where=where,
            )
        step = self.model_copy()
        step._known = found
        return step

    def settle(self, table: pl.DataFrame) -> pl.DataFrame:
        """The values that can get an id, and the text of a combination before its values."""
        if self._known is not None:
            known = continued.rows(self._known, self._keys)
            there, new = continued.split_known(table, known, self._keys)
            room = None if self.max_size is None else self.max_size - known.height
            kept = [self._frequent(there, 0, None), self._frequent(new, self.min_count, room)]
            return arranged(pl.concat(kept), self.order)
        return self._frequent(table, self.min_count, self.max_size)

    def _frequent(self, table: pl.DataFrame, least: int, most: int | None) -> pl.DataFrame:
        if (table["count"] < least).any():
            table = table.filter(pl.col("count") >= least)
        if most is not None and table.height > most:
            table = arranged(table, self.order).head(most)
        if self.combo and "value" not in table.columns:
            table = table.select(combined(self._keys, table.schema).alias("value"), pl.all())
        return table

    def learn(self, total: pl.DataFrame) -> Transform:
        self._one_vocabulary()
        if self.vocabulary is not None:
            found = pl.DataFrame({"value": pl.Series(self.vocabulary, dtype=None if self.vocabulary else pl.String)})
            found = found.with_columns(pl.lit(None, pl.Int64).alias("count"))
        elif not total.columns:
            found = self.settle(pl.DataFrame(schema={**dict.fromkeys(self._keys, pl.String), "count": pl.Int64}))
        else:
            found = arranged(self.settle(total), self.order)
        if self._known is not None:
            known = continued.rows(self._known, self._keys)
            found = continued.continued(known, found, self._keys, self.previous_counts)
        return Categorified(
            columns=self.columns,
            output=self.output,
            combo=self.combo,
            oov_buckets=self.oov_buckets,
            vocabulary=Table(found),
        )

    @property
    def _keys(self) -> tuple[str, ...]:
        return tuple(f"value:{i}" for i in range(len(self.columns))) if self.combo else ("value",)

    def _one_vocabulary(self) -> None:
        if len(self.separate()) > 1:
            raise PipelineError(f"Categorify of {len(self.columns)} columns learns a vocabulary each: use separate()")


def _element(dtype: pl.DataType) -> pl.DataType:
    return instance(dtype.inner) if isinstance(dtype, pl.List) else dtype
