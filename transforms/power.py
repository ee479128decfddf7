"""Power: a number raised to a constant."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import polars as pl
from pydantic import AfterValidator

from headrace.engines.engine import Engine
from headrace.transforms.base import NUMERIC, Accepts, Transform
from headrace.transforms.columns import Columns


def _usable(exponent: float) -> float:
    if not math.isfinite(exponent) or exponent == 0:
        raise ValueError(f"expected a finite exponent other than 0, got {exponent}")
    return exponent


class Power(Transform):
    """`x ** exponent`, computed in Float64 and written as Float32.

    Parameters
    ----------
    columns
        Numbers or booleans. Null stays null, NaN stays NaN. Values below 0, -inf too, give NaN where the exponent is
        not whole; 0 gives an infinity where it is negative.
    exponent
        Any finite number but 0.
    output
        Name of the result; `{column}` stands for the input's.

    Raises
    ------
    ValueError
        An exponent that is 0 or not finite.

    Notes
    -----
    One pass, no state.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> rows = pl.LazyFrame({"side": [3, None]})
    >>> Power(columns="side", exponent=2).apply(rows, CpuEngine()).collect()["side"].to_list()
    [9.0, None]
    """

    elementwise: ClassVar[bool] = True
    accepts: ClassVar[Accepts] = NUMERIC

    columns: Columns
    exponent: Annotated[float, AfterValidator(_usable)]
    output: str = "{column}"

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        outputs = []
        for column, output in zip(self.columns, self.writes, strict=True):
            value = pl.col(column).cast(pl.Float64)
            if not self.exponent.is_integer():  # C's pow has an infinity for -inf, a square root NaN: say which
                value = pl.when(value < 0).then(pl.lit(math.nan)).otherwise(value)
            outputs.append((value**self.exponent).cast(pl.Float32).alias(output))
        return frame.with_columns(outputs)
