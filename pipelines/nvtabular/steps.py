"""Each operator of NVTabular as steps of headrace: as a pipeline declares them, and as they were learned."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import polars as pl
from pydantic import ValidationError

from headrace.pipelines.nvtabular.carried import Carried, Carry, Note, Place, Step, lost, same, zero_if_nan
from headrace.pipelines.nvtabular.encoders import categorify
from headrace.pipelines.nvtabular.statistics import join_groupby, target_encoding
from headrace.transforms.base import to_plain
from headrace.transforms.buckets import Bucketize
from headrace.transforms.columns import Columns
from headrace.transforms.hashing import HashBucket
from headrace.transforms.lists import ListSlice
from headrace.transforms.missing import DropNull, Filled, FillNull
from headrace.transforms.numeric import Clip, Log1p
from headrace.transforms.ranges import Rescaled
from headrace.transforms.scale import Standardized

_FARTHEST: Final = 2**31 - 1
"""An end of a slice from which on NVTabular means all of the list."""


def carry(place: Place) -> Carried:
    """The steps of a node; of an operator that headrace does not know, what is lost.

    Raises
    ------
    DataError
        Parameters or state that are damaged, or files of it.
    """
    known = _OPERATORS.get(place.node.operator)
    if known is None:
        return lost(place, f"{place.node.operator} is not known to this import", "write its step by hand")
    try:
        return known(place)
    except (KeyError, TypeError, AttributeError) as problem:
        raise place.damaged(f"its parameters cannot be read: {type(problem).__name__}: {problem}") from problem
    except ValidationError as problem:
        reason = problem.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        return lost(place, f"headrace has no such step: {reason}", "write it by hand")
    except ValueError as problem:
        return lost(place, f"headrace has no such step: {problem}", "write it by hand")


def _fill_missing(place: Place) -> Carried:
    value, mask = place.param("fill_val", 0), bool(place.param("add_binary_cols"))
    text = tuple(c for c in place.names if place.element(c) == pl.String)
    rest = tuple(c for c in place.names if c not in text)
    fillers = [(text, str(value)), (rest, value)]
    steps = [same(FillNull(columns=Columns(names=n), value=v, mask=mask)) for n, v in fillers if n]
    return Carried(steps, _masks(place, mask))


def _fill_median(place: Place) -> Carried:
    mask = bool(place.param("add_binary_cols"))
    medians = place.numbers("medians")
    declared = FillNull(columns=place.all, statistic="median", mask=mask)
    values = tuple(zero_if_nan(median) for median in medians)
    fitted = Filled(columns=place.all, values=values, mask=mask, widen=True)
    notes = _of(place, medians, math.isnan, "it had no value: NVTabular leaves it missing, headrace fills 0")
    return Carried([Step(to_plain(declared), fitted)], _masks(place, mask), notes=notes)


def _masks(place: Place, mask: bool) -> dict[str, str]:
    return {f"{name}_filled": f"{column}_isnull" for name, column in place.columns.items()} if mask else {}


def _normalize(place: Place) -> Carried:
    means, deviations = place.numbers("means"), place.numbers("stds")
    fitted = Standardized(
        columns=place.all,
        mean=tuple(zero_if_nan(mean) for mean in means),
        deviation=tuple(deviation if deviation > 0 else 0.0 for deviation in deviations),
    )
    constant = "a constant column: NVTabular only takes the mean off, headrace gives 0"
    notes = _of(place, deviations, lambda d: d == 0, constant)
    notes += _of(place, deviations, math.isnan, "it had no deviation: NVTabular gives NaN, headrace 0")
    return Carried([Step({"Standardize": {"columns": place.names}}, fitted)], notes=notes + _precision(place))


def _minmax(place: Place) -> Carried:
    lows = place.numbers("mins")
    spans = tuple(high - low for low, high in zip(lows, place.numbers("maxs"), strict=True))
    start = tuple(zero_if_nan(low) for low in lows)
    fitted = Rescaled(columns=place.all, start=start, span=tuple(span if span > 0 else 0.0 for span in spans))
    constant = "a constant column: NVTabular gives 0.5, of zeros NaN, headrace gives 0"
    notes = _of(place, spans, lambda span: span == 0, constant)
    notes += _of(place, spans, math.isnan, "it had no value: NVTabular gives NaN, headrace 0")
    return Carried([Step({"MinMax": {"columns": place.names}}, fitted)], notes=notes + _precision(place))


def _of(place: Place, values: tuple[float, ...], test: Any, why: str) -> list[Note]:
    return [((name,), why, "") for name, value in zip(place.columns, values, strict=True) if test(value)]


def _precision(place: Place) -> list[Note]:
    dtype = place.param("out_dtype")
    name = dtype.get("name") if isinstance(dtype, dict) else dtype
    other = name not in (None, "float32", "<f4")
    return [(tuple(place.columns), f"out_dtype is {name}, headrace gives Float32", "")] if other else []


def _clip(place: Place) -> Carried:
    limits = {"lower": place.param("min_value"), "upper": place.param("max_value")}
    return Carried([same(Clip(columns=place.all, **{k: v for k, v in limits.items() if v is not None}))])


def _log(place: Place) -> Carried:
    return Carried([same(Log1p(columns=place.all))])


def _hash_bucket(place: Place) -> Carried:
    buckets = place.param("num_buckets")
    steps = []
    for name, column in place.columns.items():
        n = buckets[name] if isinstance(buckets, dict) else buckets
        steps.append(same(HashBucket(columns=Columns(names=(column,)), n=int(n))))
    why = "NVTabular hashes otherwise, and on CPU and GPU each in its own way: other ids"
    return Carried(steps, notes=[(tuple(place.columns), why, "train the embeddings of these columns anew")])


def _bucketize(place: Place) -> Carried:
    boundaries = place.param("boundaries")
    steps = []
    for name, column in place.columns.items():
        own = boundaries[name] if isinstance(boundaries, dict) else boundaries
        steps.append(same(Bucketize(columns=Columns(names=(column,)), boundaries=tuple(own))))
    why = "null and NaN stay null; NVTabular on the CPU puts them into the last bucket"
    return Carried(steps, notes=[(tuple(place.columns), why, "FillNull before it")])


def _list_slice(place: Place) -> Carried:
    start, end = int(place.param("start") or 0), place.param("end")
    if end is None and start > 0:  # one number is the end, as in Python's range
        start, end = 0, start
    end = None if end is None or end >= _FARTHEST else int(end)
    if start == 0 and end is None:
        return Carried()  # all of each list
    steps = []
    for column in place.names:
        filler = place.param("pad_value", 0) if place.param("pad") else None
        if filler is not None and place.element(column).is_integer() and float(filler).is_integer():
            filler = int(filler)
        steps.append(same(ListSlice(columns=Columns(names=(column,)), start=start, end=end, pad=filler)))
    return Carried(steps)


def _drop_null(place: Place) -> Carried:
    why = "a dataset is built without such rows, but a row that is served always gets an answer"
    return Carried([same(DropNull(columns=place.all))], notes=[(tuple(place.columns), why, "")])


def _function(place: Place) -> Carried:
    function = place.param("f")
    parts = (function.get("module"), function.get("qualname")) if isinstance(function, dict) else ()
    named = [str(part) for part in parts if part]
    why = f"{'the function ' + '.'.join(named) if named else 'a function'} is code, which is not imported"
    if place.node.operator == "Filter":
        return Carried(notes=[(tuple(place.columns), f"{why}: no row is left out", "write it as a Filter")])
    return lost(place, why, "write it as a Derive")


_OPERATORS: Final[Mapping[str, Carry]] = {
    "FillMissing": _fill_missing,
    "FillMedian": _fill_median,
    "Normalize": _normalize,
    "NormalizeMinMax": _minmax,
    "Clip": _clip,
    "LogOp": _log,
    "HashBucket": _hash_bucket,
    "Bucketize": _bucketize,
    "ListSlice": _list_slice,
    "Dropna": _drop_null,
    "LambdaOp": _function,
    "UDF": _function,
    "Filter": _function,
    "Categorify": categorify,
    "TargetEncoding": target_encoding,
    "JoinGroupby": join_groupby,
}
