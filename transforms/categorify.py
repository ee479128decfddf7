"""Categorify: values to integer ids by a vocabulary learned from the training rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, ClassVar, Final

import polars as pl
from pydantic import Field, field_serializer, field_validator, model_validator

from headrace.engines.engine import Engine
from headrace.schemas.errors import PipelineError
from headrace.transforms.base import CATEGORY, Accepts, Ids, Learner, Operator, Order, Transform, named
from headrace.transforms.columns import Columns
from headrace.transforms.keys import combined
from headrace.transforms.order import arranged
from headrace.transforms.table import Table

PAD_ID: Final = 0
NULL_ID: Final = 1
OOV_ID: Final = 2

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
    output
        Name of the result; `{column}` stands for the input's.

    Notes
    -----
    The vocabulary is ordered by count (descending), then by value (ascending; strings by their UTF-8 bytes), so that
    ids do not depend on the order of rows. Null never enters it. One pass; memory: a bucket of the distinct values, and
    those with ids of their own where they are applied.
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
    output: str = "{column}"

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

    def settle(self, table: pl.DataFrame) -> pl.DataFrame:
        """The values that can get an id, and the text of a combination before its values."""
        if (table["count"] < self.min_count).any():
            table = table.filter(pl.col("count") >= self.min_count)
        if self.max_size is not None and table.height > self.max_size:
            table = arranged(table, self.order).head(self.max_size)
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


class Categorified(Transform):
    """Ids by a vocabulary: 0 padding, 1 null, 2 to 1 + k out of vocabulary, then the row in `vocabulary`.

    `vocabulary` has the columns `value` and `count` (null where it was given) and, for combinations, `value:<i>` with
    the value of each column. It must have been made by Categorify.
    """

    columns: Columns
    output: str = "{column}"
    combo: bool = False
    oov_buckets: int = 1
    vocabulary: Table

    @property
    def writes(self) -> tuple[str, ...]:
        return (self.output,) if self.combo else named(self.output, self.columns)

    @property
    def first_id(self) -> int:
        """The id of the first value of the vocabulary."""
        return OOV_ID + self.oov_buckets

    @property
    def cardinality(self) -> int:
        """One more than the greatest id: the number of rows of an embedding."""
        return self.first_id + self.vocabulary.height

    @property
    def ids(self) -> Mapping[str, Ids]:
        oov = tuple(range(OOV_ID, self.first_id))
        one = Ids(self.cardinality, PAD_ID, NULL_ID, oov, self.vocabulary)
        return dict.fromkeys(self.writes, one)

    @property
    def decode(self) -> pl.DataFrame:
        """What ids from `first_id` on stand for: `id` (Int32), the values, and `count`."""
        table = self.vocabulary.frame
        names = dict(zip([f"value:{i}" for i in range(len(self.columns))], self.columns, strict=True))
        values = table.drop("value").rename(names) if self.combo else table
        return values.with_row_index("id", self.first_id).cast({"id": pl.Int32})

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        if not self.combo:
            for column, output in zip(self.columns, self.writes, strict=True):
                frame = self._encode(frame, column, output, engine)
            return frame
        frame = frame.with_columns(combined(self.columns.names, frame.collect_schema()).alias(_KEY))
        return self._encode(frame, _KEY, self.output, engine).drop(_KEY)

    def _encode(self, frame: pl.LazyFrame, column: str, output: str, engine: Engine) -> pl.LazyFrame:
        table = self.vocabulary.frame
        dtype = table.schema["value"]
        source = column
        if dtype != pl.String:  # rows may come with another integer type than the vocabulary: as Int64 from dicts
            source = _CAST
            frame = frame.with_columns(pl.col(column).cast(dtype, strict=False).alias(_CAST))
        if self.oov_buckets == 1 and source == column:
            return engine.lookup(frame, column, table, output, first=self.first_id, missing=OOV_ID, null=NULL_ID)
        found = engine.lookup(frame, source, table, _INDEX, first=self.first_id)
        missing: pl.Expr = pl.lit(OOV_ID, pl.Int32)
        if self.oov_buckets > 1:
            found = engine.hash64(found, column, frame.collect_schema()[column], _HASH)
            missing = (pl.col(_HASH) % self.oov_buckets).cast(pl.Int32, wrap_numerical=True) + OOV_ID
        ids = (
            pl.when(pl.col(column).is_null())
            .then(pl.lit(NULL_ID, pl.Int32))
            .otherwise(pl.coalesce(pl.col(_INDEX), missing))
        )
        return found.with_columns(ids.alias(output)).drop(_INDEX, _HASH, _CAST, strict=False)


_KEY: Final = "__category_key"
_CAST: Final = "__category_cast"
_INDEX: Final = "__category_index"
_HASH: Final = "__category_hash"
