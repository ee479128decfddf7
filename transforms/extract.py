"""A part of a text by a pattern: Extract."""

from __future__ import annotations

from typing import Annotated, ClassVar

import polars as pl
from pydantic import Field, model_validator

from headrace.engines.engine import Engine
from headrace.transforms.base import Accepts, Transform
from headrace.transforms.columns import Columns
from headrace.transforms.text import TEXT


class Extract(Transform):
    r"""The part of a text that a group of a regular expression matches.

    Parameters
    ----------
    columns
        Strings. Null stays null.
    pattern
        A regular expression as Polars reads it (Rust's `regex`: no look-around, no back references); it is looked for
        anywhere in the text, and the leftmost match counts. Anchor it with `^` and `$`.
    group
        Which group: 1 is the first pair of parentheses that captures, 0 the whole match.
    output
        Name of the result, a String; `{column}` stands for the input's. Null where the pattern does not match, or the
        group takes no part in the match; the empty text where it matches nothing.

    Raises
    ------
    PipelineError
        A pattern that is none, a group that it does not have, or a column of another type.

    Notes
    -----
    One pass, no state. On the GPU run patterns of characters, classes such as `[0-9A-F]` or `[^/]`, `.`, repetitions of
    one of these, `^` and `$` at the ends, groups side by side and `|` within one. A step with any other pattern runs on
    the CPU, which the run says: `\d`, `\w`, `\s` and `\b` stand for other characters in cuDF. NVTabular has `LambdaOp`
    for it.

    Examples
    --------
    >>> from headrace.engines.cpu import CpuEngine
    >>> step = Extract(columns="url", pattern="^https?://([^/]+)", output="host")
    >>> frame = pl.LazyFrame({"url": ["https://example.org/a", "ftp://example.org", None]})
    >>> step.apply(frame, CpuEngine()).collect()["host"].to_list()
    ['example.org', None, None]
    """

    elementwise: ClassVar[bool] = True
    accepts: ClassVar[Accepts] = TEXT

    columns: Columns
    pattern: Annotated[str, Field(min_length=1)]
    group: Annotated[int, Field(ge=0)] = 1
    output: str = "{column}"

    @model_validator(mode="after")
    def _has_the_group(self) -> Extract:
        try:
            pl.select(pl.lit("").str.extract(self.pattern))
            every = pl.LazyFrame(schema={"text": pl.String}).select(pl.col("text").str.extract_groups(self.pattern))
            groups = every.collect_schema()["text"]
        except pl.exceptions.PolarsError as problem:
            raise ValueError(f"{self.pattern!r} is no pattern: {_reason(problem)}") from None
        assert isinstance(groups, pl.Struct)
        if self.group > len(groups.fields):
            raise ValueError(f"{self.pattern!r} has {len(groups.fields)} groups, asked for group {self.group}")
        return self

    def apply(self, frame: pl.LazyFrame, engine: Engine) -> pl.LazyFrame:
        return frame.with_columns(
            pl.col(column).str.extract(self.pattern, self.group).alias(output)
            for column, output in zip(self.columns, self.writes, strict=True)
        )


def _reason(problem: Exception) -> str:
    """What is wrong, out of the several lines that say where."""
    lines = [line.removeprefix("error: ") for line in str(problem).splitlines() if line.startswith("error: ")]
    return lines[0] if lines else str(problem).splitlines()[0]
