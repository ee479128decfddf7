"""`headrace datasets tag`: names that move from version to version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from headrace.commands.layout import moment, table
from headrace.commands.options import catalog_option
from headrace.commands.terminal import common_options, json_option, terminal
from headrace.commands.versions import Located, located
from headrace.schemas.errors import UsageError

if TYPE_CHECKING:
    from headrace.catalog.refs import Expected, Ref


@click.command()
@click.argument("dataset", metavar="DATASET")
@click.argument("name", required=False)
@click.argument("version", required=False)
@click.option("--delete", is_flag=True, help="Remove the name.")
@click.option(
    "--expect",
    metavar="VERSION|none",
    help="Move it only if it means this version now (none: only if there is no such name), else exit 4.",
)
@catalog_option
@json_option
@common_options
def tag(dataset: str, name: str | None, version: str | None, delete: bool, expect: str | None, catalog: str) -> None:
    """Let NAME, such as prod, mean a version. Without VERSION, show what NAME means; without NAME, all names.

    VERSION is a number, another name or latest. Readers open flights@prod.
    """
    from headrace.catalog.refs import tag as move
    from headrace.catalog.refs import untag

    found = located(dataset, catalog)
    if found.version is not None:
        raise UsageError(
            f"{dataset} names a version", hint=f"headrace datasets tag {found.name} {name or 'NAME'} {found.version}"
        )
    if name is None:
        if delete or expect is not None:
            raise UsageError("--delete and --expect are for one name", hint=f"headrace datasets tag {dataset} NAME")
        _list(found)
        return
    if version is None and not delete:
        if expect is not None:
            raise UsageError(
                "--expect is for a name that moves", hint=f"headrace datasets tag {dataset} {name} VERSION"
            )
        _list(found, name)
        return
    if delete and version is not None:
        raise UsageError(f"--delete removes {name}, and version {version} is given as well")
    expected = _expected(expect)
    if version is None:
        ref = untag(found.store, name, expected=expected)
    else:
        number = found.number(_version(version))
        ref = move(found.store, name, number, expected=expected, dataset=found.name)
    terminal().show({"dataset": found.name, "ref": ref}, lambda: _moved(found.name, ref))


def _list(found: Located, name: str | None = None) -> None:
    from headrace.catalog.dataset import near
    from headrace.catalog.refs import refs
    from headrace.catalog.retired import retirement

    by_name = refs(found.store)
    if name is not None and name not in by_name:
        raise UsageError(
            f"{found.name} has no name {name!r}{near(name, list(by_name))}",
            hint=f"headrace datasets tag {found.name} {name} VERSION gives it one",
        )
    there = list(by_name.values()) if name is None else [by_name[name]]
    gone = {ref.version: retirement(found.store, ref.version) for ref in there if ref.version is not None}
    retired = {version: entry.reason for version, entry in gone.items() if entry is not None}
    rows = [[r.name, r.version, r.before, moment(r.moved_at), retired.get(r.version or 0, "")] for r in there]
    header = ["name", "version", "before", "since", "retired"]
    if not retired:
        rows, header = [row[:-1] for row in rows], header[:-1]
    terminal().show(
        {"dataset": found.name, "refs": there, "retired": retired},
        lambda: table(rows, header) or f"{found.name} has no names yet",
    )


def _version(words: str) -> int | str:
    return int(words) if words.isascii() and words.isdecimal() else words


def _expected(words: str | None) -> Expected:
    if words is None:
        return "any"
    if words == "none":
        return None
    if isinstance(number := _version(words), str):
        raise UsageError(f"--expect takes a version or none, got {words!r}")
    return number


def _moved(dataset: str, ref: Ref) -> str:
    before = f", was {dataset}@{ref.before}" if ref.before is not None else ""
    return f"{ref.name} is removed{before}" if ref.version is None else f"{ref.name} is {dataset}@{ref.version}{before}"
