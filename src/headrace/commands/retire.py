"""`headrace datasets retire`: a version that nobody is to begin with any more."""

from __future__ import annotations

import click

from headrace.commands.options import catalog_option
from headrace.commands.terminal import common_options, json_option, terminal
from headrace.commands.versions import located
from headrace.schemas.errors import UsageError


@click.command()
@click.argument("dataset", metavar="DATASET@VERSION")
@click.option("--reason", required=True, help="What is wrong with it, for who opens it.")
@click.option("--force", is_flag=True, help="Also if names or running jobs use it; they keep its files.")
@catalog_option
@json_option
@common_options
def retire(dataset: str, reason: str, force: bool, catalog: str) -> None:
    """Retire a version, for good: opening it says why, and latest passes it over.

    Its files stay until `datasets gc --delete`. Exit 4 if names or running jobs use it.
    """
    from headrace.catalog.retire import retire as put_away
    from headrace.catalog.retired import newest

    found = located(dataset, catalog)
    if found.version is None:
        raise UsageError("name the version to retire", hint=f"headrace datasets retire {dataset}@7 --reason ...")
    version = found.number(found.version)
    made = put_away(found.store, version, reason=reason, force=force, dataset=found.name)
    latest = newest(found.store)
    words = f"latest is {found.name}@{latest}" if latest else f"{found.name} has no other version"
    data = {"dataset": found.name, "retired": made, "latest": latest}
    terminal().show(data, lambda: f"{found.name}@{version} is retired: {made.reason}; {words}")
