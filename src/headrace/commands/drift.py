"""`headrace datasets drift`: how far the columns of one version or split have moved from those of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from headrace.commands.layout import table
from headrace.commands.options import catalog_option, dataset_uri
from headrace.commands.terminal import common_options, json_option, terminal
from headrace.schemas.errors import DataError, UsageError

if TYPE_CHECKING:
    from headrace.catalog.drift import ColumnDrift, Drift
    from headrace.catalog.manifest import Scalar
    from headrace.catalog.reader import Dataset

_SHOWN = 3
"""New and vanished values in the table; --json has all."""


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--split", metavar="NAME", help="The split of both, where A and B name none. [default: A's first]")
@click.option(
    "--max-psi",
    type=click.FloatRange(0),
    metavar="X",
    help="Exit 1 if the population stability index of a column is larger.",
)
@catalog_option
@json_option
@common_options
def drift(first: str, second: str, split: str | None, max_psi: float | None, catalog: str) -> None:
    """How far features and label have moved from A to B, by the statistics kept with both.

    A and B are DATASET[@VERSION][/SPLIT], such as flights@1 flights@2, or flights/train flights/test.
    The split `source` stands for the rows that came in, where the pipeline measures them.
    """
    from headrace.catalog.drift import compare_splits

    one, one_split = _opened(first, catalog)
    two, two_split = _opened(second, catalog)
    if split is not None and (one_split or two_split):
        raise UsageError(f"--split {split} is for both, and {first if one_split else second} names a split as well")
    chosen = split or one_split or one.splits[0]
    found = compare_splits(one, chosen, two, split or two_split or chosen)
    beyond = () if max_psi is None else found.beyond(max_psi)
    if not beyond:
        terminal().show(found, lambda: _shown(found))
        return
    terminal().show_failed(
        found,
        lambda: _shown(found),
        DataError(
            f"{len(beyond)} of {len(found.columns)} columns have a PSI of more than {max_psi:g}: "
            f"{', '.join(column.name for column in beyond[:5])}{', ...' if len(beyond) > 5 else ''}",
            where=f"{found.first} and {found.second}",
            hint="look at what has changed in the source before training on it",
        ),
    )


def _opened(words: str, catalog: str) -> tuple[Dataset, str]:
    """A dataset, and the split that is named behind it, if any."""
    from headrace.catalog.place import Place
    from headrace.catalog.reader import near, open_dataset, split_version
    from headrace.catalog.sketch_files import SOURCE
    from headrace.catalog.store import exists

    before, slash, split = words.rpartition("/")
    if slash and before:
        outer, _ = split_version(Place.of(dataset_uri(before, catalog)))
        inner, _ = split_version(Place.of(dataset_uri(words, catalog)))
        if exists(outer / "_log") and not exists(inner / "_log"):
            opened = open_dataset(dataset_uri(before, catalog))
            if split not in (*opened.splits, SOURCE):
                raise UsageError(f"{opened.name}@{opened.version} has no split {split!r}{near(split, opened.splits)}")
            return opened, split
    return open_dataset(dataset_uri(words, catalog)), ""


def _shown(found: Drift) -> str:
    rows = [
        [
            column.name,
            column.verdict,
            column.psi,
            column.js if column.kind == "category" else column.ks,
            column.mean_shift,
            column.nulls.change if column.nulls else None,
            "" if column.distinct is None else f"{column.distinct.first:,.0f} -> {column.distinct.second:,.0f}",
            _values(column),
        ]
        for column in found.columns
    ]
    header = ["column", "verdict", "PSI", "KS or JS", "mean shift", "nulls", "distinct", "new (+), vanished (-)"]
    parts = [f"{found.first}: {found.rows[0]:,} rows; {found.second}: {found.rows[1]:,} rows", table(rows, header)]
    parts += [f"only in {found.second}: {', '.join(found.added)}"] * bool(found.added)
    parts += [f"only in {found.first}: {', '.join(found.removed)}"] * bool(found.removed)
    moved = [c.name for c in found.columns if c.name in found.out_of_fold and c.verdict in ("moderate", "major")]
    if moved:
        parts.append(
            f"note: {', '.join(moved)}: encoded by the label, in one of the two out of fold and so spread otherwise; "
            "compare splits that are not trained on, or two versions of one split"
        )
    return "\n".join(parts)


def _values(column: ColumnDrift) -> str:
    return " ".join([*_some("+", column.new), *_some("-", column.vanished)])


def _some(sign: str, values: tuple[Scalar, ...]) -> list[str]:
    shown = [f"{sign}{_short(value)}" for value in values[:_SHOWN]]
    return [*shown, f"{sign}..."] if len(values) > _SHOWN else shown


def _short(value: Scalar) -> str:
    """A value in few characters; a number below 0 in brackets, so that its sign is not taken for ours."""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)[:20]
    return f"({text})" if text.startswith("-") else text
