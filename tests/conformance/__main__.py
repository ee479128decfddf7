"""`python -m tests.conformance --write docs`: try all laws on all operators, print the table, write the pages."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from tests.conformance.pages import pages
from tests.conformance.table import document, row, text

from headrace.transforms.registry import OPERATORS


@click.command()
@click.option("--write", type=click.Path(file_okay=False, path_type=Path), help="The folder of operators.md.")
@click.option("--pages-only", is_flag=True, help="Write the operators' pages, which takes a second; try nothing.")
def main(write: Path | None, pages_only: bool) -> None:
    """Print the table; exit with 1 where a law is broken."""
    if write:
        write_pages(write / "operators")
    if pages_only:
        return
    rows = []
    for number, name in enumerate(OPERATORS, 1):
        if sys.stderr.isatty():
            click.echo(f"\r{number} of {len(OPERATORS)}: {name:<20}", nl=False, err=True)
        rows.append(row(name))
    click.echo(("\r" if sys.stderr.isatty() else "") + text(rows))
    if write:
        (write / "operators.md").write_text(document(rows), encoding="utf-8")
    broken = [f"{r.operator}: {words}" for r in rows for words in r.broken]
    if broken:
        raise click.ClickException("\n\n".join([f"{len(broken)} laws are broken", *broken]))


def write_pages(folder: Path) -> None:
    """A page for each operator; those of operators that are gone are deleted."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = pages()
    for old in folder.glob("*.md"):
        if old.stem not in texts:
            old.unlink()
    for name, page in texts.items():
        (folder / f"{name}.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
