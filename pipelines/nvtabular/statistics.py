"""TargetEncoding and JoinGroupby of NVTabular: statistics of groups, read from `cat_stats.<group>.parquet`."""

from __future__ import annotations

from typing import Any, Final

import polars as pl

from headrace.pipelines.nvtabular.carried import Carried, Place, Step, lost, whole
from headrace.pipelines.nvtabular.categories import read_table
from headrace.transforms.columns import Columns
from headrace.transforms.groups import GroupStatsAdded
from headrace.transforms.table import Table
from headrace.transforms.target_encoded import TargetEncoded

_FOLDS: Final = "__fold__"
_STATISTICS: Final = ("count", "sum", "mean", "std", "var", "min", "max")
_NULLS: Final = "NVTabular has a group of nulls, which in headrace are in none"


def target_encoding(place: Place) -> Carried:
    """The statistics of all rows, for rows to come; in training NVTabular's go by folds that cannot be made again."""
    targets = [str(t) for t in place.param("target_cols") or ()]
    stats = {name: path for name, path in place.paths("stats").items() if not name.startswith(_FOLDS)}
    if not targets or not stats:
        return lost(place, "it names no target or has no statistics", "TargetEncode with target and fold_on")
    carried = Carried()
    weight, folds = float(place.param("p_smooth", 20)), int(place.param("kfold") or 3)
    for group, (name, path) in enumerate(stats.items()):
        table = read_table(path)
        keys = table.columns[: -1 - len(targets)]
        if not keys or any(not table.schema[c].is_numeric() for c in table.columns[len(keys) :]):
            raise place.damaged(f"{path.name} has columns {', '.join(table.columns)}, expected keys, count and sums")
        outputs = _named(place.param("out_col"), group, [f"TE_{name}_{target}" for target in targets])
        grouped = _groups(carried, place, outputs, table, keys)
        if grouped is None:
            continue
        columns, table = grouped
        count, *sums = table.columns[len(keys) :]
        for target, total, output in zip(targets, sums, outputs, strict=True):
            mean = _mean(place, target)
            value = (pl.col(total) + weight * mean) / (pl.col(count) + weight)
            encodings = table.select(
                *(pl.col(k).alias(f"key:{i}") for i, k in enumerate(keys)), value.cast(pl.Float32).alias("value")
            )
            held = place.free(output)
            carried.steps.append(
                Step(
                    {
                        "TargetEncode": {
                            "columns": list(columns),
                            "target": place.columns.get(target, target),
                            **({"folds": folds} if folds > 1 else {}),
                            "fold_on": "<what names a row, such as its key>",
                            "smoothing": weight,
                            **({"combo": True} if len(columns) > 1 else {}),
                            "output": held,
                        }
                    },
                    _encoded(columns, held, mean, encodings),
                )
            )
            carried.outputs[output] = held
    if folds > 1:
        why = "folds went by the position of rows, in transforming too; here new rows get the statistic of all rows"
        carried.notes.append((tuple(carried.outputs), why, "name what tells rows apart in fold_on"))
    if not place.param("drop_folds", True):
        carried.lose((_FOLDS,), "the fold of a row goes by its position")
    return carried


def join_groupby(place: Place) -> Carried:
    """The statistics as they were, and steps that learn them anew."""
    carried, separator = Carried(), str(place.param("name_sep", "_"))
    for name, path in place.paths("categories").items():
        table = read_table(path)
        made = {c: c.rpartition(separator)[2] for c in table.columns if c.startswith(f"{name}{separator}")}
        made = {c: s for c, s in made.items() if s in _STATISTICS}
        keys = [c for c in table.columns if c not in made]
        outputs = tuple(c for c in made if c in place.node.outputs)
        grouped = _groups(carried, place, outputs, table, keys)
        if grouped is None:
            continue
        columns, table = grouped
        held = {output: place.free(output) for output in outputs}
        counts = [c for c in outputs if made[c] == "count"]
        table = table.select(
            *(pl.col(k).alias(c) for k, c in zip(keys, columns, strict=True)),
            *(pl.col(c).cast(pl.Int64).alias(held[c]) if c in counts else pl.col(c).alias(held[c]) for c in outputs),
        )
        zeros = tuple(held[c] for c in counts)
        form = GroupStatsAdded(by=Columns(names=columns), zeros=zeros, statistics=Table(table))
        carried.steps.append(Step(None, form))
        carried.outputs |= held
        _learned_anew(carried, place, name, columns, {c: made[c] for c in outputs}, held)
    carried.notes.append((tuple(carried.outputs), "a new fit learns from the training rows alone", ""))
    if gone := tuple(o for o in place.node.outputs if o not in carried.outputs and o not in place.columns):
        carried.lose(tuple(o for o in gone if o not in carried.lost), "its file of statistics does not have it")
    return carried


def _groups(
    carried: Carried, place: Place, outputs: tuple[str, ...], table: pl.DataFrame, keys: list[str]
) -> tuple[tuple[str, ...], pl.DataFrame] | None:
    """The columns that hold the keys, and the table with keys of their types; None where something is not there."""
    if gone := [k for k in keys if k not in place.columns]:
        carried.lose(outputs, f"it reads {gone[0]!r}, which is not carried over")
        return None
    columns = tuple(place.columns[k] for k in keys)
    if nulls := table.height - table.drop_nulls(keys).height:
        carried.notes.append((outputs, _NULLS, ""))
        table = table.drop_nulls(keys) if nulls else table
    for key, column in zip(keys, columns, strict=True):
        values, dtype = whole(table[key]), place.dtypes[column]
        if dtype.is_float() or values is None or (values.dtype != dtype and not values.dtype.is_integer()):
            carried.lose(outputs, f"groups of {table.schema[key]} in a column of {dtype}", "cast it before")
            return None
        table = table.with_columns(values.alias(key))
    return columns, table


def _encoded(columns: tuple[str, ...], output: str, mean: float, table: pl.DataFrame) -> TargetEncoded:
    keys = [c for c in table.columns if c != "value"]
    folds = table.clear().select(*keys, pl.lit(0, pl.Int64).alias("fold"), "value")
    return TargetEncoded(
        columns=Columns(names=columns),
        output=output,
        fold_by="key",
        fold_on=Columns(),
        folds=2,
        every="1mo",
        prior=mean,
        start=None,
        encodings=Table(table),
        fold_encodings=Table(folds),
        fold_priors=Table(pl.DataFrame(schema={"fold": pl.Int64, "prior": pl.Float32})),
    )


def _mean(place: Place, target: str) -> float:
    given = place.param("target_mean")
    found = given if given is not None else place.node.op_state.get("means")
    found = found.get(target) if isinstance(found, dict) else found
    if not isinstance(found, int | float):
        raise place.damaged(f"op_state.means has {found!r} for {target!r}, expected a number")
    return float(found)


def _named(given: Any, group: int, default: list[str]) -> tuple[str, ...]:
    """What the results of a group are called."""
    own = given[group] if isinstance(given, list) and group < len(given) else None
    names = [own] if isinstance(own, str) else own
    return tuple(names) if isinstance(names, list) and len(names) == len(default) else tuple(default)


def _learned_anew(
    carried: Carried, place: Place, name: str, columns: tuple[str, ...], made: dict[str, str], held: dict[str, str]
) -> None:
    """Add a GroupStats for each column that statistics are of; what there is none for is listed."""
    separator = str(place.param("name_sep", "_"))
    by_source: dict[str, dict[str, str]] = {}
    for output, statistic in made.items():
        source = output.removeprefix(name).removesuffix(statistic).strip(separator)
        if statistic == "var" or (source and source not in place.columns):
            why = f"{statistic} of {source!r} is carried over, but nothing learns it anew"
            carried.notes.append(((output,), why, "GroupStats has std, the root of var"))
        else:
            by_source.setdefault(source, {})[statistic] = held[output]
    for source, outputs in by_source.items():
        of = {"of": [place.columns[source]]} if source else {}
        template = separator.join([name, *([source] if source else []), "{statistic}"])
        whole_group = all(output == template.replace("{statistic}", s) for s, output in outputs.items())
        steps = [(list(outputs), template)] if whole_group else [([s], output) for s, output in outputs.items()]
        for statistics, output in steps:
            fields = {"by": list(columns), **of, "statistics": statistics, "output": output}
            carried.steps.append(Step({"GroupStats": fields}, None))
