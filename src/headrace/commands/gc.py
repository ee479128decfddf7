"""`headrace datasets gc`: what no version, name or running job needs any more."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import click

from headrace.commands.layout import bytes_in_words, table
from headrace.commands.options import catalog_option
from headrace.commands.terminal import common_options, json_option, terminal
from headrace.commands.versions import located
from headrace.schemas.errors import DataError, HeadraceError, UsageError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

    from headrace.catalog.collect import Collection

_AGE: Final = re.compile(r"(\d{1,6})([hdw])")
_UNITS: Final = {"h": "hours", "d": "days", "w": "weeks"}


@click.command()
@click.argument("dataset", required=False)
@click.option("--delete", is_flag=True, help="Delete what is found; without it, it is only shown.")
@click.option(
    "--older-than",
    default="7d",
    show_default=True,
    metavar="AGE",
    help="Builds that were never committed are garbage from this age on: 36h, 7d, 2w. At least 1d.",
)
@catalog_option
@json_option
@common_options
def gc(dataset: str | None, delete: bool, older_than: str, catalog: str) -> None:
    """Show, and with --delete delete, what nobody needs in one dataset or in all.

    That is: files of retired versions, builds that were never committed, leases that ran out, what killed processes
    left. A dataset with anything in its history that cannot be read is left alone, and the exit code is 1. Any other
    error ends it, with what was found or deleted before.
    """
    from headrace.catalog.collect import Collection, Garbage, collect

    age = _age(older_than)
    found: list[Collection] = []
    refused: list[tuple[str, HeadraceError]] = []
    for name, store in _stores(dataset, catalog):
        pieces: list[Garbage] = []
        try:
            found.append(collect(store, dataset=name, remove=delete, older_than=age, tell=pieces.append))
        except HeadraceError as error:
            refused.append((name, error))
            if pieces:
                found.append(Collection(name, tuple(pieces), delete))
            if not isinstance(error, DataError):
                break
    if not found and len(refused) == 1 and not isinstance(refused[0][1], DataError):
        raise refused[0][1]
    data = {
        "deleted": delete,
        "bytes": sum(one.bytes for one in found),
        "datasets": found,
        "refused": [{"dataset": name, "where": error.where, "message": error.message} for name, error in refused],
    }
    if not refused:
        terminal().show(data, lambda: _shown(found, delete))
        return
    terminal().show_failed(data, lambda: _shown(found, delete), _one_error(refused))


def _one_error(refused: list[tuple[str, HeadraceError]]) -> HeadraceError:
    """Of datasets that were left alone; or what ended it, behind those that were left alone before."""
    last = refused[-1][1]
    alone = [(name, error) for name, error in refused if isinstance(error, DataError)]
    words = []
    if alone:
        words.append(f"no garbage was collected in {', '.join(name for name, _ in alone)}: {alone[0][1].message}")
    if isinstance(last, DataError):
        first = alone[0][1]
        return DataError(words[0], hint=first.hint, where=first.where)
    words.append(f"the collection ended at {refused[-1][0]}: {last.message}")
    return type(last)("; ".join(words), hint=last.hint, where=last.where)


def _stores(dataset: str | None, catalog: str) -> list[tuple[str, ObjectStore]]:
    from headrace.catalog.objects import is_name
    from headrace.catalog.place import Place
    from headrace.catalog.reader import is_dataset
    from headrace.catalog.store import exists, folders, open_store

    if dataset is not None:
        found = located(dataset, catalog)
        if found.version is not None:
            raise UsageError(
                f"{dataset} names a version", hint=f"garbage is that of all: headrace datasets gc {found.name}"
            )
        return [(found.name, found.store)]
    root = Place.of(catalog)
    if not exists(root):
        raise UsageError(f"no catalog at {root}", hint="it is made by the first `headrace run`")
    if is_dataset(root):
        hint = f"headrace datasets gc {root.name} --catalog {root.parent}"
        raise UsageError(f"{root} is a dataset, not a catalog", hint=hint)
    return [(name, open_store(root / name)) for name in folders(root) if is_name(name)]


def _age(words: str) -> timedelta:
    match = _AGE.fullmatch(words)
    if match is None:
        raise UsageError(f"--older-than {words!r} is not an age", hint="such as 36h, 7d or 2w")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _shown(found: list[Collection], delete: bool) -> str:
    rows = [
        [f"{one.dataset}/{piece.path}", piece.files, bytes_in_words(piece.bytes), piece.why]
        for one in found
        for piece in one.garbage
    ]
    kept = [
        f"{one.dataset}@{version.version} stays, {version.why}; kept by {', '.join(version.by)}"
        for one in found
        for version in one.kept
    ]
    if not rows:
        return "\n".join(["no garbage", *kept])
    size = bytes_in_words(sum(one.bytes for one in found))
    end = f"{size} deleted" if delete else f"{size}; nothing was deleted: --delete does"
    parts = [table(rows, ["what", "files", "size", "why"]), "\n".join(kept), end]
    return "\n\n".join(part for part in parts if part)
