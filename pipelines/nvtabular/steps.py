"""Each operator of NVTabular as steps of headrace: as a pipeline declares them, and as they were learned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import polars as pl

from headrace.pipelines.nvtabular.categories import Categories, OtherIds, read_categories
from headrace.pipelines.nvtabular.graph import Node
from headrace.schemas.dtypes import instance
from headrace.schemas.errors import DataError
from headrace.transforms.base import Learner, Transform, to_plain
from headrace.transforms.buckets import Bucketize
from headrace.transforms.categorified import Categorified
from headrace.transforms.columns import Columns
from headrace.transforms.hashing import HashBucket
from headrace.transforms.lists import ListSlice
from headrace.transforms.missing import DropNull, Filled, FillNull
from headrace.transforms.numeric import Clip, Log1p
from headrace.transforms.ranges import Rescaled
from headrace.transforms.scale import Standardized
from headrace.transforms.table import Table


@dataclass(frozen=True)
class Step:
    """A step as YAML has it, and what it learned."""

    declared: dict[str, Any]
    fitted: Transform


Note = tuple[tuple[str, ...], str, str]


@dataclass
class Carried:
    """What became of one node.

    Parameters
    ----------
    steps
        In order.
    outputs
        The column that holds each output that is not the input of the same name.
    lost
        Outputs that nothing holds.
    notes
        What differs or is left out: columns, why, what to do.
    vocabularies
        Tables to be written beside the pipeline, by name.
    """

    steps: list[Step] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    notes: list[Note] = field(default_factory=list)
    vocabularies: dict[str, pl.DataFrame] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """A node with the columns that hold its inputs now, their types, and the folder of its files."""

    node: Node
    columns: Mapping[str, str]
    dtypes: Mapping[str, pl.DataType]
    folder: Path

    @property
    def names(self) -> list[str]:
        return list(self.columns.values())

    def param(self, name: str, default: Any = None) -> Any:
        return self.node.op_params.get(name, default)


Carry = Callable[[Place], Carried]
VOCABULARIES: Final = "vocabularies"


def carry(place: Place) -> Carried:
    """The steps of a node; of an operator that headrace does not know, what is lost."""
    known = _OPERATORS.get(place.node.operator)
    if known is not None:
        return known(place)
    return _lost(place, f"{place.node.operator} is not known to this import", "write its step by hand")


def _lost(place: Place, why: str, instead: str) -> Carried:
    return Carried(lost=set(place.node.outputs), notes=[(place.node.outputs, why, instead)])


def _same(declared: Transform | Learner) -> Step:
    fitted = declared.learn(pl.DataFrame()) if isinstance(declared, Learner) else declared
    return Step(to_plain(declared), fitted)


def _fill_missing(place: Place) -> Carried:
    value, mask = place.param("fill_val", 0), bool(place.param("add_binary_cols"))
    text = tuple(c for c in place.names if _element(place.dtypes[c]) == pl.String)
    rest = tuple(c for c in place.names if c not in text)
    fillers = [(text, str(value)), (rest, value)]
    steps = [_same(FillNull(columns=Columns(names=n), value=v, mask=mask)) for n, v in fillers if n]
    return Carried(steps, _masks(place, mask))


def _fill_median(place: Place) -> Carried:
    mask, medians = bool(place.param("add_binary_cols")), place.node.op_state.get("medians", {})
    declared = FillNull(columns=_columns(place), statistic="median", mask=mask)
    values = tuple(float(medians[name]) for name in place.columns)
    fitted = Filled(columns=_columns(place), values=values, mask=mask, widen=True)
    return Carried([Step(to_plain(declared), fitted)], _masks(place, mask))


def _masks(place: Place, mask: bool) -> dict[str, str]:
    return {f"{name}_filled": f"{column}_isnull" for name, column in place.columns.items()} if mask else {}


def _normalize(place: Place) -> Carried:
    means, deviations = (place.node.op_state.get(k, {}) for k in ("means", "stds"))
    fitted = Standardized(
        columns=_columns(place),
        mean=tuple(float(means[name]) for name in place.columns),
        deviation=tuple(float(deviations[name]) for name in place.columns),
    )
    notes: list[Note] = [
        ((name,), "a constant column: NVTabular only takes the mean off, headrace gives 0", "")
        for name in place.columns
        if float(deviations[name]) == 0
    ]
    return Carried([Step({"Standardize": {"columns": place.names}}, fitted)], notes=notes)


def _minmax(place: Place) -> Carried:
    lows, highs = (place.node.op_state.get(k, {}) for k in ("mins", "maxs"))
    start = tuple(float(lows[name]) for name in place.columns)
    span = tuple(float(highs[name]) - low for name, low in zip(place.columns, start, strict=True))
    fitted = Rescaled(columns=_columns(place), start=start, span=span)
    return Carried([Step({"MinMax": {"columns": place.names}}, fitted)])


def _clip(place: Place) -> Carried:
    limits = {"lower": place.param("min_value"), "upper": place.param("max_value")}
    return Carried([_same(Clip(columns=_columns(place), **{k: v for k, v in limits.items() if v is not None}))])


def _log(place: Place) -> Carried:
    return Carried([_same(Log1p(columns=_columns(place)))])


def _hash_bucket(place: Place) -> Carried:
    buckets = place.param("num_buckets")
    steps = []
    for name, column in place.columns.items():
        n = buckets[name] if isinstance(buckets, dict) else buckets
        steps.append(_same(HashBucket(columns=Columns(names=(column,)), n=int(n))))
    why = "NVTabular hashes otherwise, and on CPU and GPU each in its own way: other ids"
    return Carried(steps, notes=[(tuple(place.columns), why, "train the embeddings of these columns anew")])


def _bucketize(place: Place) -> Carried:
    boundaries = place.param("boundaries")
    steps = []
    for name, column in place.columns.items():
        own = boundaries[name] if isinstance(boundaries, dict) else boundaries
        steps.append(_same(Bucketize(columns=Columns(names=(column,)), boundaries=tuple(own))))
    return Carried(steps)


def _list_slice(place: Place) -> Carried:
    start, end, pad = int(place.param("start") or 0), place.param("end"), place.param("pad")
    if start < 0 and (end is None or end >= 2**31 - 1):
        end = None
    elif end is None:  # one number is the end, as in Python's range
        start, end = 0, start
    filler = place.param("pad_value", 0) if pad else None
    steps = []
    for column in place.names:
        whole = filler is not None and _element(place.dtypes[column]).is_integer()
        own = int(filler) if whole and filler is not None else filler
        steps.append(_same(ListSlice(columns=Columns(names=(column,)), start=start, end=end, pad=own)))
    return Carried(steps)


def _drop_null(place: Place) -> Carried:
    return Carried([_same(DropNull(columns=_columns(place)))])


def _function(place: Place) -> Carried:
    function = place.param("f") or {}
    name = f"{function.get('module', '?')}.{function.get('qualname', '?')}"
    return _lost(place, f"the function {name} is code, which is not imported", "write it as a Derive or a Filter")


def _categorify(place: Place) -> Carried:
    node, carried = place.node, Carried()
    storage = node.op_state.get("storage_name", {})
    paths = {"_".join(e["key"]): str(e["path"]) for e in node.op_state.get("categories", [])}
    combo = place.param("encode_type") == "combo"
    for output in node.outputs:
        stored = storage.get(output, output)
        path = paths.get(stored) or paths.get(output)
        if path is None:
            carried.notes.append(((output,), "it has no file of categories", "fit it anew"))
            carried.lost.add(output)
            continue
        grouped = combo and output not in place.columns
        try:
            found = read_categories(inside(place.folder, path), combo=grouped)
        except OtherIds as problem:
            carried.notes.append(((output,), str(problem), "fit it anew: ids will be others"))
            carried.lost.add(output)
            continue
        of = found.columns if grouped else (output,)
        _add_vocabulary(carried, place, output, of, found)
    return carried


def _add_vocabulary(carried: Carried, place: Place, output: str, of: tuple[str, ...], found: Categories) -> None:
    columns = tuple(place.columns[name] for name in of)
    combo = len(of) > 1
    dtype = _element(place.dtypes[columns[0]])
    if dtype.is_float():
        carried.notes.append(((output,), "categories of fractions", "Cast them to integers or text before"))
        carried.lost.add(output)
        return
    step, form = categorify(output if combo else columns[0], columns, found)
    carried.steps.append(Step(step, form))
    carried.vocabularies[found.name] = found.table
    if combo:
        carried.outputs[output] = output
    if found.oov_buckets > 1:
        why = f"unknown values go to {found.oov_buckets} ids by a hash that NVTabular computes otherwise"
        carried.notes.append(((output,), why, "ids of known values are the same"))


def categorify(output: str, columns: tuple[str, ...], found: Categories) -> tuple[dict[str, Any], Categorified]:
    """A step that gives the ids of a vocabulary, and keeps them when it is fitted again."""
    combo = len(columns) > 1
    fields: dict[str, Any] = {"columns": list(columns), "previous": f"{VOCABULARIES}/{found.name}.parquet"}
    fields |= {"combo": True, "output": output} if combo else {}
    fields |= {"oov_buckets": found.oov_buckets} if found.oov_buckets > 1 else {}
    form = Categorified(
        columns=Columns(names=columns),
        output=output if combo else "{column}",
        combo=combo,
        oov_buckets=found.oov_buckets,
        vocabulary=Table(found.table),
    )
    return {"Categorify": fields}, form


def _target_encoding(place: Place) -> Carried:
    targets = list(place.param("target_cols", []))
    notes = [
        (
            place.node.outputs,
            "folds were made by the position of rows, and its statistics are not carried over",
            f"TargetEncode: {{columns: {place.names}, target: {targets}, smoothing: {place.param('p_smooth', 20)}, "
            f"folds: {place.param('kfold', 3)}, fold_on: <what names a row>}}",
        )
    ]
    return Carried(lost=set(place.node.outputs) - set(place.columns), notes=notes)


def _join_groupby(place: Place) -> Carried:
    notes = [
        (
            place.node.outputs,
            "statistics of groups are learned anew, on the training rows alone",
            f"GroupStats: {{by: {place.names}, of: {place.param('cont_cols')}, "
            f"statistics: {list(place.param('stats', []))}}}",
        )
    ]
    return Carried(lost=set(place.node.outputs) - set(place.columns), notes=notes)


def inside(folder: Path, relative: str) -> Path:
    """A path in a folder; raises DataError where it leads out of it."""
    path = (folder / relative).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise DataError(f"names a file outside the workflow: {relative}", where=str(folder))
    return path


def _columns(place: Place) -> Columns:
    return Columns(names=tuple(place.names))


def _element(dtype: pl.DataType) -> pl.DataType:
    return instance(dtype.inner) if isinstance(dtype, pl.List) else dtype


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
    "Categorify": _categorify,
    "TargetEncoding": _target_encoding,
    "JoinGroupby": _join_groupby,
}
