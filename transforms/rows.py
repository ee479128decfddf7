"""Filter: which rows stay."""

from __future__ import annotations

from typing import ClassVar

import polars as pl

from headrace.engines.engine import Engine
from headrace.schemas.errors import PipelineError
from headrace.transforms.base import Transform
from headrace.transforms.expression import Expression


class Filter(Transform):
    """Keep the rows for which an expression is true; false and null go.

    Parameters
    ----------
    where
        SQL or a Polars expression over one row that gives a boolean.

    Raises
    ------
    PipelineError
        An expression of another type, or one that looks at other rows.

    Notes
    -----
    One pass, no state. In NVTabular Filter.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> step = Filter(where="dep_delay > 15")
    >>> step.apply(pl.LazyFrame({"dep_delay": [3, 20, None]}), CpuEngine()).collect()["dep_delay"].to_list()
    [20]
    """

    filters: ClassVar[bool] = True

    where: Expression

    @property
    def reads(self) -> tuple[str, ...]:
        return self.where.roots

    def check(self, schema: pl.Schema) -> None:
        dtype = self.where.dtype(schema)
        if dtype != pl.Boolean:
            raise PipelineError(
                f"Filter takes an expression that gives Boolean, got {dtype} from {self.where}",
                hint="compare it with something, as in 'delay > 15'",
            )

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.filter(self.where.expr)
