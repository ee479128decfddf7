"""Categorify of NVTabular: its vocabularies as steps that give the same ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import polars as pl

from headrace.pipelines.nvtabular.carried import Carried, Place, Step, free, whole
from headrace.pipelines.nvtabular.categories import Categories, OtherIds, read_categories, with_text
from headrace.transforms.categorified import OOV_ID, Categorified
from headrace.transforms.columns import Columns
from headrace.transforms.shape import Cast
from headrace.transforms.table import Table

VOCABULARIES: Final = "vocabularies"
_ANEW: Final = "fit it anew: ids will be others"


def categorify(place: Place) -> Carried:
    """A step for each vocabulary; combinations first, which read what the others write over."""
    carried = Carried()
    combo = place.param("encode_type") == "combo"
    paths = place.paths("categories")
    if place.param("single_table"):
        carried.lose(place.node.outputs, "single_table: ids of one column begin behind those of another", _ANEW)
        return carried
    groups: dict[str, list[str]] = {}
    for output in place.node.outputs:
        storage = place.node.op_state.get("storage_name") or {}
        groups.setdefault(output if combo else storage.get(output, output), []).append(output)
    for stored, outputs in sorted(groups.items(), key=lambda group: group[1][0] in place.columns):
        if stored not in paths:
            carried.lose(tuple(outputs), "it has no file of categories", "fit it anew")
            continue
        try:
            _add(carried, place, stored, outputs, paths[stored])
        except OtherIds as problem:
            carried.lose(tuple(outputs), str(problem), _ANEW)
    if place.param("search_sorted"):
        why = "search_sorted: unknown values had the id of a neighbour or the end, now that of unknown values"
        carried.notes.append((place.node.outputs, why, ""))
    return carried


def _add(carried: Carried, place: Place, stored: str, outputs: list[str], path: Path) -> None:
    found = read_categories(path, stored)
    if found.oov_buckets != (wanted := _of(place.param("num_buckets"), stored) or 1):
        raise OtherIds(f"num_buckets is {wanted}, and its file has {found.oov_buckets} ids for unknown values")
    names = found.columns if found.combo else tuple(outputs)
    if gone := [name for name in names if name not in place.columns]:
        carried.lose(tuple(outputs), f"it reads {gone[0]!r}, which is not carried over")
        return
    columns = [place.columns[name] for name in names]
    table, casts = _agreeing(place, columns, found)
    if casts and found.combo:
        raise OtherIds(f"combinations of fractions: {', '.join(casts)}")
    if casts:
        carried.steps.append(_whole_numbers(casts))
        carried.notes.append((tuple(outputs), "fractions become whole numbers before they are looked up", ""))
    name = found.name if found.name not in place.taken else free(f"{found.name}_{place.node.id}", place.taken)
    output = place.free(outputs[0]) if found.combo else ""
    carried.vocabularies[name] = table
    carried.steps.append(step_of(columns, Categories(name, found.columns, found.oov_buckets, table), output, place))
    if found.combo:
        carried.outputs[outputs[0]] = output
        why = "a null in some of its columns, not in all: an unknown combination for NVTabular, null (1) for headrace"
        carried.notes.append((tuple(outputs), why, ""))
    if found.oov_buckets > 1:
        why = f"unknown values go to {found.oov_buckets} ids by a hash that NVTabular computes otherwise"
        carried.notes.append((tuple(outputs), why, "ids of known values are the same"))


def step_of(columns: list[str], found: Categories, output: str, place: Place | None = None) -> Step:
    """A step that gives the ids of a vocabulary, and keeps them when it is fitted again. `output` of combinations."""
    fields: dict[str, Any] = {"columns": columns, "previous": f"{VOCABULARIES}/{found.name}.parquet"}
    if found.combo:
        fields |= {"combo": True, "output": output}
    elif len(columns) > 1:
        fields["joint"] = True
    if found.oov_buckets > 1:
        fields["oov_buckets"] = found.oov_buckets
    if place is not None:
        fields |= _limits(place, found)
    form = Categorified(
        columns=Columns(names=tuple(columns)),
        output=output or "{column}",
        combo=found.combo,
        oov_buckets=found.oov_buckets,
        vocabulary=Table(found.table),
    )
    return Step({"Categorify": fields}, form)


def _limits(place: Place, found: Categories) -> dict[str, int]:
    """What decides which new values get an id; NVTabular's max_size counts all ids, headrace's the values."""
    least, most = (_of(place.param(name), found.name) for name in ("freq_threshold", "max_size"))
    limits = {"min_count": least} if least and least > 1 else {}
    values = (most or 0) - OOV_ID - found.oov_buckets
    return {**limits, "max_size": values} if most and values >= found.table.height else limits


def _of(value: Any, name: str) -> int | None:
    """A setting of one column, given for all or by name."""
    found = value.get(name) if isinstance(value, dict) else value
    return found if isinstance(found, int) else None


def _agreeing(place: Place, columns: list[str], found: Categories) -> tuple[pl.DataFrame, list[str]]:
    """The table in the types of its columns, and the columns of fractions that hold whole numbers."""
    table = found.table
    casts: list[str] = []
    for i, key in enumerate([f"value:{i}" for i in range(len(columns))] if found.combo else ["value"]):
        dtypes = {c: place.element(c) for c in (columns[i : i + 1] if found.combo else columns)}
        floats = [c for c, dtype in dtypes.items() if dtype.is_float()]
        if not floats and not table.schema[key].is_float():
            continue
        values = whole(table[key]) if table.schema[key].is_numeric() else None
        if values is None or not all(d.is_integer() or d.is_float() for d in dtypes.values()):
            raise OtherIds(f"categories of {table.schema[key]} in columns of {', '.join(map(str, dtypes.values()))}")
        table, casts = table.with_columns(values.alias(key)), [*casts, *floats]
    return (with_text(table) if found.combo else table), casts


def _whole_numbers(columns: list[str]) -> Step:
    step = Cast(columns=Columns(names=tuple(columns)), dtype="Int64", invalid="null")
    return Step({"Cast": {"columns": columns, "dtype": "Int64", "invalid": "null"}}, step)
