"""`headrace contract`: a first contract from files that are there."""

from __future__ import annotations

from pathlib import Path

import click

from headrace.commands.terminal import common_options, json_option, terminal
from headrace.schemas.errors import ConflictError


@click.group()
@common_options
def contract() -> None:
    """Draft a contract from files."""


@contract.command()
@click.argument("files", nargs=-1, required=True, metavar="FILES...")
@click.option("--name", default="", help="The contract's name. Default: that of the file, or of the folder of several.")
@click.option("--sample-rows", default=10_000, show_default=True, type=click.IntRange(1), help="Rows to look at.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write it to this file; it must not exist.")
@json_option
@common_options
def infer(files: tuple[str, ...], name: str, sample_rows: int, output: Path | None) -> None:
    """Draft an ODCS contract that FILES keep: Parquet files, folders or patterns. To be tightened by hand."""
    from headrace.schemas.infer import infer_contract
    from headrace.schemas.odcs import dump_contract

    if output is not None and output.exists():
        raise ConflictError("there is a file of that name", hint="choose another --output", where=str(output))
    drafted = infer_contract(list(files), sample_rows, name or _name(files))
    text = dump_contract(drafted)
    screen = terminal()
    if output is not None:
        output.write_text(text, encoding="utf-8")
        screen.note(f"wrote {output}: {len(drafted.columns)} columns; go through it before you rely on it")
    screen.show({"contract": text, "path": output}, lambda: text.rstrip() if output is None else str(output))


def _name(files: tuple[str, ...]) -> str:
    first = Path(files[0])
    several = len(files) > 1 or "*" in first.name
    return (first.parent.name if several else first.stem) or first.stem.strip("*") or "dataset"
