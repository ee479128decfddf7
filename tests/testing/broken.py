"""Operators that each break one law, and one that breaks none, on rows with a Float64 `price` and a String `shop`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl
import polars.selectors as cs
from pydantic import Field

from headrace.engines.engine import Engine
from headrace.transforms.base import Ids, Learner, Transform, Window

PRICE = pl.col("price")
FINITE = PRICE.filter(PRICE.is_finite())


class Doubled(Transform):
    """Twice a number: keeps all laws. Those below differ in what each does wrong."""

    @property
    def reads(self) -> tuple[str, ...]:
        return ("price",)

    @property
    def writes(self) -> tuple[str, ...]:
        return ("price",)

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.with_columns(PRICE * 2)


class RaisesOnNull(Doubled):
    """Looks at a value as if there always were one."""

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        greatest = frame.select(PRICE.max()).collect().item()
        return frame.with_columns(PRICE * 2) if greatest > 0 else frame.with_columns(PRICE + PRICE)


class TypeOfTheData(Doubled):
    """Has another type when there are rows."""

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        rows = frame.select(pl.len()).collect().item()
        return frame.with_columns((PRICE * 2).cast(pl.Float64 if rows else pl.Float32))


class ForgetsAField(Doubled):
    """Leaves a field out of what is saved."""

    factor: float = Field(1.0, exclude=True)

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.with_columns(PRICE * self.factor)


class WritesAnother(Doubled):
    """Adds a column that it does not name."""

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.with_columns(PRICE * 2, extra=PRICE)


class ChangesAnother(Doubled):
    """Changes a column that it does not name."""

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.with_columns(PRICE * 2, cs.string().fill_null("?"))


class ReadsAnother(Doubled):
    """Needs a column that it does not name."""

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.with_columns(pl.when(pl.col("shop").is_null()).then(PRICE).otherwise(PRICE * 2))


class Sorts(Doubled):
    """Brings the rows in another order."""

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.with_columns(PRICE * 2).sort("price")


class DropsQuietly(Doubled):
    """Drops rows, and does not say so."""

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.with_columns(PRICE * 2).filter(PRICE.is_not_null())


class LooksAround(Doubled):
    """Makes a row's value of all rows that happen to be beside it."""

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.with_columns(PRICE - PRICE.max())


class LeavesItsEntity(Window):
    """A Window that looks beyond its entity."""

    @property
    def entity(self) -> tuple[str, ...]:
        return ("shop",)

    @property
    def reads(self) -> tuple[str, ...]:
        return ("price",)

    @property
    def writes(self) -> tuple[str, ...]:
        return ("price",)

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.with_columns(PRICE - PRICE.max())


class TooFewIds(Doubled):
    """Has more ids than it says."""

    @property
    def writes(self) -> tuple[str, ...]:
        return ("id",)

    @property
    def ids(self) -> Mapping[str, Ids]:
        return {"id": Ids(2)}

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.with_columns(pl.when(PRICE > 2).then(2).otherwise(1).cast(pl.Int32).alias("id"))


class StaysOnTheCpu(Doubled):
    """Uses what cudf-polars does not have."""

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.with_columns(pl.concat_list(PRICE, PRICE).list.sum().alias("price"))


class ToHighest(Learner):
    """A number as a share of the greatest: keeps all laws. Those below differ in what each does wrong."""

    @property
    def reads(self) -> tuple[str, ...]:
        return ("price",)

    @property
    def writes(self) -> tuple[str, ...]:
        return ("price",)

    def measure(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.select(FINITE.max().alias("n"))

    def merge(self, tables: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
        return pl.concat(tables).select(pl.col("n").max())

    def learn(self, total: pl.DataFrame) -> Transform:
        return OfHighest(highest=total["n"].max() or 0.0)


class OfHighest(Doubled):
    """What it becomes."""

    highest: float

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.with_columns(PRICE * self.highest)


class TakesTheFirst(ToHighest):
    """Keeps what comes first, which depends on who is merged first."""

    def measure(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.select(FINITE.first().alias("n"))

    def merge(self, tables: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
        return pl.concat(tables).select(pl.col("n").drop_nulls().first())


class SettlesTooMuch(ToHighest):
    """Adds up the values that there are, though only the greatest of those it settles is left."""

    @property
    def groups(self) -> tuple[str, ...]:
        return ("n",)

    def measure(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.select(FINITE.alias("n")).drop_nulls().unique()

    def merge(self, tables: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
        return pl.concat(tables).unique()

    def settle(self, table: pl.DataFrame) -> pl.DataFrame:
        return table.top_k(1, by="n")

    def learn(self, total: pl.DataFrame) -> Transform:
        return OfHighest(highest=float(sum(sorted(total["n"]))))


class CountsTheEmpty(ToHighest):
    """Gives a value where there was nothing to measure."""

    def measure(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.select(pl.when(pl.len() == 0).then(1e9).otherwise(FINITE.max()).alias("n"))


class CountsParts(ToHighest):
    """Counts partitions, not rows."""

    def measure(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.select((pl.len() > 0).cast(pl.Float64).alias("n"))

    def merge(self, tables: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
        return pl.concat(tables).select(pl.col("n").sum())


class AddsFloats(ToHighest):
    """Adds floats up in whatever order they come, which shows in the last digits."""

    def measure(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.select(FINITE.sum().alias("n"))

    def merge(self, tables: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
        return pl.concat(tables).select(pl.col("n").sum())


class OtherColumnsMerged(ToHighest):
    """Merges into a table with another column."""

    def merge(self, tables: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
        return pl.concat(tables).select(pl.col("n").max(), parts=pl.len())


class MeasuresAnother(ToHighest):
    """Measures a column that it does not name."""

    def measure(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.select(PRICE.filter(PRICE.is_finite(), pl.col("shop").is_not_null()).max().alias("n"))


class LearnsInfinity(ToHighest):
    """Learns what JSON has no number for."""

    def measure(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.select(PRICE.max().alias("n"))
