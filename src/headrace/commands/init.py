"""`headrace init`: a project folder that runs as it is."""

from __future__ import annotations

import re
import shutil
from importlib import resources
from pathlib import Path
from string import Template

import click

from headrace.commands.terminal import common_options, json_option, terminal
from headrace.schemas.errors import CapabilityError, ConflictError, UsageError


@click.command()
@click.argument("name", metavar="NAME", type=click.Path(path_type=Path))
@json_option
@common_options
def init(name: Path) -> None:
    """Make the folder NAME with a pipeline, a contract, a flow, sample data and a README. It runs as it is."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", name.name):
        raise UsageError(
            f"{name.name!r} cannot be a pipeline's name", hint="lower-case letters, digits, '-' and '_', at most 63"
        )
    if name.exists():
        raise ConflictError("there is a file or folder of that name", where=str(name))
    try:
        made = write_project(name)
    except OSError as problem:
        shutil.rmtree(name, ignore_errors=True)  # it was not there before
        raise CapabilityError(f"cannot be written: {problem.strerror}", where=str(name)) from problem
    screen = terminal()
    screen.show({"folder": name, "files": made}, lambda: "\n".join(str(name / file) for file in made))
    screen.note(f"\nnext: cd {name} && headrace run pipeline.yaml")


def write_project(folder: Path) -> list[Path]:
    """Write the template's files and the sample data; their paths below `folder`, which is made."""
    from headrace.commands.orders import write_orders

    folder.mkdir(parents=True)
    made = []
    template = resources.files("headrace.commands") / "project"
    for file in sorted(template.iterdir(), key=lambda file: file.name):
        path = Path(file.name.removesuffix(".template"))
        text = Template(file.read_text(encoding="utf-8")).substitute(name=folder.name)
        (folder / path).write_text(text, encoding="utf-8")
        made.append(path)
    (folder / "data").mkdir()
    return made + [file.relative_to(folder) for file in write_orders(folder / "data")]
