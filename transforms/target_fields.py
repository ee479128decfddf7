"""What the fields of TargetEncode may be, alone, together, and beside a schema."""

from __future__ import annotations

from typing import Annotated, Any, Final

import polars as pl
from pydantic import AfterValidator, BeforeValidator, Field

from headrace.schemas.errors import PipelineError
from headrace.transforms.columns import Columns
from headrace.transforms.duration import parse_period
from headrace.transforms.folds import FoldBy
from headrace.transforms.literal import literal
from headrace.transforms.outcomes import Class
from headrace.transforms.shrinkage import Smoothing

MOST_CLASSES: Final = 1000


def _period(text: str) -> str:
    parse_period(text)
    return text


def _smoothing(value: Any) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if value != "auto" and not (number and 0 <= value < float("inf")):
        raise ValueError(f"expected 'auto' or a number greater than or equal to 0, got {value!r}")
    return value


def _class(value: Any) -> Any:
    if not isinstance(value, bool | int | str):
        raise ValueError(f"expected a string, an integer or a boolean, got {value!r}")
    return value


PeriodText = Annotated[str, AfterValidator(_period)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
SmoothingField = Annotated[Smoothing, BeforeValidator(_smoothing)]
Classes = Annotated[tuple[Annotated[Class, BeforeValidator(_class)], ...], Field(min_length=1, max_length=MOST_CLASSES)]
Prior = Finite | tuple[Finite, ...]


def check_folds(
    leave_one_out: bool, fold_on: Columns, fold_by: FoldBy, folds: int | None, every: str, prior: object
) -> None:
    """Whether the fields say one way of leaving a row's own target out; raises ValueError."""
    if leave_one_out:
        given = {
            "fold_on": bool(fold_on.selector or fold_on.names),
            "fold_by": fold_by != "key",
            "folds": folds is not None,
            "every": every != "1mo",
        }
        if any(given.values()):
            extra = ", ".join(name for name, is_given in given.items() if is_given)
            raise ValueError(f"leave_one_out has no folds: leave out {extra}, or leave_one_out")
        return
    if not fold_on.selector and not len(fold_on):
        raise ValueError(
            "fold_on must name at least one column, such as the key of a row or its customer; or write leave_one_out"
        )
    if fold_by == "time" and prior is None:
        raise ValueError("fold_by='time' needs prior=...: nothing is known before the first period")
    if fold_by == "time" and not fold_on.selector and len(fold_on) != 1:
        raise ValueError(f"fold_by='time' takes one column in fold_on, got {len(fold_on)}")


def check_outcomes(targets: tuple[str, ...], classes: tuple[Class, ...] | None, prior: object, output: str) -> None:
    """Whether targets, classes, priors and names go together; raises ValueError."""
    if classes is not None:
        if len(targets) > 1:
            raise ValueError(f"classes are those of one target, got {len(targets)}: {', '.join(targets)}")
        twice = sorted({str(c) for c in classes if classes.count(c) > 1})
        kinds = sorted({type(c).__name__ for c in classes})
        if twice and len(kinds) == 1:
            raise ValueError(f"classes named twice: {', '.join(twice[:5])}")
        if len(kinds) > 1:
            raise ValueError(f"classes of several types: {', '.join(kinds)}")
        if len(classes) > 1 and "{class}" not in output:
            raise ValueError("several classes need '{class}' in output")
    elif "{class}" in output:
        raise ValueError("'{class}' in output needs classes=[...]")
    if len(targets) > 1 and "{target}" not in output:
        raise ValueError(f"several targets ({', '.join(targets)}) need '{{target}}' in output")
    if isinstance(prior, tuple) and len(prior) != (expected := len(classes or targets)):
        what = "classes" if classes else "targets"
        raise ValueError(f"prior: expected one number, or {expected} for the {what}, got {len(prior)}")


def check_targets(
    targets: tuple[str, ...], classes: tuple[Class, ...] | None, columns: Columns, fold_on: Columns, schema: pl.Schema
) -> None:
    """Whether the targets are of types that can be averaged, and nothing else than targets; raises PipelineError."""
    for target in targets:
        dtype = schema[target]
        if target in columns.names:
            raise PipelineError(f"TargetEncode: {target!r} is the target and cannot be encoded by itself")
        if target in fold_on.names:
            raise PipelineError(
                f"TargetEncode: {target!r} is the target and cannot say which fold a row is in",
                hint="folds by the target give it away; name the key of a row, a group or a time in fold_on",
            )
        if classes is None and not (dtype.is_integer() or dtype.is_float() or dtype == pl.Boolean):
            raise PipelineError(
                f"TargetEncode takes a number or a boolean as target, got {dtype} in {target!r}",
                hint="give its classes=[...] for an output each" if dtype == pl.String else "",
            )
        if classes is not None and not (dtype == pl.String or dtype.is_integer() or dtype == pl.Boolean):
            raise PipelineError(
                f"TargetEncode with classes takes a string, an integer or a boolean as target, got {dtype} in "
                f"{target!r}",
                hint="without classes, its mean is encoded" if dtype.is_float() else "",
            )
        for label in classes or ():
            try:
                literal(label, dtype)
            except ValueError as problem:
                raise PipelineError(
                    f"TargetEncode: target {target!r} ({dtype}) never has class {label!r}: {problem}"
                ) from None
