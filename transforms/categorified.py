"""Categorified: values to integer ids by a vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from headrace.engines.engine import Engine
from headrace.engines.kernels.lookup import Lookup
from headrace.engines.kernels.xxhash64 import hash64
from headrace.transforms.base import Ids, Transform, named
from headrace.transforms.columns import Columns
from headrace.transforms.keys import combined
from headrace.transforms.table import Table

PAD_ID: Final = 0
NULL_ID: Final = 1
OOV_ID: Final = 2


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
            return engine.kernel(
                frame, Lookup(column, table, output, first=self.first_id, missing=OOV_ID, null=NULL_ID)
            )
        found = engine.kernel(frame, Lookup(source, table, _INDEX, first=self.first_id))
        missing: pl.Expr = pl.lit(OOV_ID, pl.Int32)
        if self.oov_buckets > 1:
            found = hash64(engine, found, column, frame.collect_schema()[column], _HASH)
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
