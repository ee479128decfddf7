"""Categories by hash, without a vocabulary: HashBucket and HashCross."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final

import polars as pl
from pydantic import Field

from headrace.engines.engine import Engine
from headrace.engines.kernels.xxhash64 import hash64, hash64_pair
from headrace.schemas.errors import PipelineError
from headrace.transforms.base import CATEGORY, Accepts, Ids, Transform
from headrace.transforms.columns import Columns

NULL_HASH: Final = 0x9E3779B97F4A7C15
"""What null hashes to, before the modulus: the golden ratio in 64 bits."""

Buckets = Annotated[int, Field(ge=1, le=2**31 - 1)]
Seed = Annotated[int, Field(ge=0, le=2**64 - 1)]


class HashBucket(Transform):
    """The hash of a value modulo n: an id without a vocabulary, equal in every process and on every engine.

    Parameters
    ----------
    columns
        Strings, integers, booleans or dates. Output Int32 from 0 to n - 1, in place or under the name that `output`
        gives. Null hashes to a constant of its own (`NULL_HASH`) and so falls in one fixed bucket.
    n
        How many buckets.
    seed
        Another seed gives another, independent hash.
    output
        Name of the result; `{column}` stands for the input's.

    Notes
    -----
    XXH64 of the UTF-8 bytes of a string, or of the eight little-endian bytes of an integer, so equal numbers share a
    bucket whatever their type. One pass, no state.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> rows = pl.LazyFrame({"shop": ["a", "b", "a", None]})
    >>> HashBucket(columns="shop", n=1000).apply(rows, CpuEngine()).collect()["shop"].to_list()
    [955, 555, 955, 485]
    """

    elementwise: ClassVar[bool] = True
    accepts: ClassVar[Accepts] = CATEGORY

    columns: Columns
    n: Buckets
    seed: Seed = 0
    output: str = "{column}"

    @property
    def ids(self) -> Mapping[str, Ids]:
        return {output: Ids(self.n) for output in self.writes}

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        hashed, hashes = _hash(frame, self.columns, self.seed, engine)
        outputs = [_bucket(pl.col(h), self.n).alias(o) for h, o in zip(hashes, self.writes, strict=True)]
        return hashed.with_columns(outputs).drop(hashes)


class HashCross(Transform):
    """The combination of several columns as one id, by hash.

    Parameters
    ----------
    columns
        Two or more columns of strings, integers, booleans or dates, in the order that counts: a x b is not b x a, and
        equal values do not cancel. Null takes part as a value of its own.
    n
        How many buckets. Output Int32 from 0 to n - 1.
    output
        Name of the result.
    seed
        Another seed gives another, independent hash.

    Notes
    -----
    With h the hash of the first column, each further one turns h into XXH64 of the sixteen little-endian bytes of h and
    that column's hash. One pass, no state.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> rows = pl.LazyFrame({"a": ["x", "y"], "b": ["y", "x"]})
    >>> HashCross(columns=["a", "b"], n=1000, output="ab").apply(rows, CpuEngine()).collect()["ab"].to_list()
    [985, 336]
    """

    accepts: ClassVar[Accepts] = CATEGORY

    columns: Columns
    n: Buckets
    output: str
    seed: Seed = 0

    @property
    def writes(self) -> tuple[str, ...]:
        return (self.output,)

    @property
    def ids(self) -> Mapping[str, Ids]:
        return {self.output: Ids(self.n)}

    def check(self, schema: pl.Schema) -> None:
        if len(self.columns) < 2:
            raise PipelineError(f"HashCross takes two or more columns, got {len(self.columns)}")

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        hashed, hashes = _hash(frame, self.columns, self.seed, engine)
        first, *others = hashes
        hashed = hashed.with_columns(pl.col(hashes).fill_null(pl.lit(NULL_HASH, pl.UInt64)))
        for other in others:
            hashed = hash64_pair(engine, hashed, first, other, first, self.seed)
        return hashed.with_columns(_bucket(pl.col(first), self.n).alias(self.output)).drop(hashes)


def _hash(frame: pl.LazyFrame, columns: Columns, seed: int, engine: Engine) -> tuple[pl.LazyFrame, list[str]]:
    """The frame with a UInt64 hash of each column, and the names of the hashes."""
    schema = frame.collect_schema()
    hashes = [f"{_HASH}{number}" for number in range(len(columns))]
    for column, name in zip(columns, hashes, strict=True):
        frame = hash64(engine, frame, column, schema[column], name, seed)
    return frame, hashes


def _bucket(value: pl.Expr, n: int) -> pl.Expr:
    bucket = value.fill_null(pl.lit(NULL_HASH, pl.UInt64)) % pl.lit(n, pl.UInt64)
    return bucket.cast(pl.Int32, wrap_numerical=True)


_HASH = "__hash"
