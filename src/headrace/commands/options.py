"""Options and arguments that several commands share."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click

from headrace.schemas.errors import HeadraceError, UsageError


def _catalog(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """The catalog as it was given, refused before anything repeats it if it has credentials in it."""
    from headrace.catalog.place import Place

    Place.of(value)
    return value


def _named(context: click.Context, parameter: click.Parameter, value: str | None) -> str:
    """The dataset; where none is named, a hint of what there is."""
    if value is not None:
        return value
    # The options that are given come first; one that is not has its default later.
    catalog = context.params.get("catalog") or os.environ.get("HEADRACE_CATALOG") or "published"
    hint = f"see {context.command_path} --help"
    with suppress(HeadraceError):
        hint = _meant(catalog, context.command_path) or hint
    raise UsageError("which dataset? None is named", hint=hint)


def _meant(catalog: str, command: str) -> str:
    """What a catalog holds, or what it is instead; empty where there is nothing."""
    from headrace.catalog.place import Place
    from headrace.catalog.reader import dataset_names, is_dataset
    from headrace.catalog.store import exists

    place = Place.of(catalog)
    if is_dataset(place):
        return f"{place} is a dataset: {command} {place.name} --catalog {place.parent}"
    names = dataset_names(place) if exists(place) else []
    some = f"{', '.join(names[:10])}{', ...' if len(names) > 10 else ''}"
    return f"{place} holds {some}: {command} {names[0]}" if names else ""


def _modules(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """The modules, which can be imported from the folder that the command runs in."""
    if value and (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    return value


catalog_option = click.option(
    "--catalog",
    default="published",
    show_default=True,
    envvar="HEADRACE_CATALOG",
    show_envvar=True,
    metavar="FOLDER|URI",
    callback=_catalog,
    help="The catalog that holds datasets: a folder, s3://BUCKET/PREFIX, gs://... or az://...",
)
set_option = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set a field of the pipeline, such as source=FOLDER or output.seed=7. May be given several times.",
)
cluster_option = click.option(
    "--cluster",
    default="auto",
    show_default=True,
    metavar="auto|inline|local[:N]|cuda[:N]|tcp://HOST:PORT",
    help="Where tasks run: in this process, on N local processes, on N GPUs, or on a Dask cluster. "
    "auto: in this process on the CPU, on all GPUs with the GPU engine.",
)
strict_gpu_option = click.option(
    "--strict-gpu", is_flag=True, help="Refuse a step that the GPU engine cannot run, instead of using the CPU for it."
)
gpu_option = click.option(
    "--gpu",
    "gpu_settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="How GPU workers are set up: pool=0.8 (of the memory), spill=true, protocol=tcp, device_memory=, interface=. "
    "May be given several times.",
)
allow_option = click.option(
    "--allow",
    "modules",
    multiple=True,
    metavar="MODULE",
    callback=_modules,
    help="Import this module, whose operators the pipeline names as MODULE:CLASS; it is looked for in this folder as "
    "well. Only code that you trust. May be given several times.",
)
pipeline_argument = click.argument("pipeline", metavar="PIPELINE")
dataset_argument = click.argument("dataset", metavar="DATASET[@VERSION]", required=False, callback=_named)


def overrides(settings: Sequence[str]) -> dict[str, str]:
    """What --set says, by field. Raises UsageError for a word without =, and for a field that is set twice."""
    found: dict[str, str] = {}
    for word in settings:
        key, equals, value = word.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--set takes KEY=VALUE, got {word!r}", hint="such as --set source=/data/flights")
        if key.strip() in found:
            raise UsageError(f"--set {key.strip()} is given twice: {found[key.strip()]!r} and {value!r}")
        found[key.strip()] = value
    return found


def dataset_uri(dataset: str, catalog: str) -> str:
    """A dataset's path: what is written as a path or URI stays, a bare name is looked up in the catalog."""
    if "/" in dataset or dataset.startswith((".", "~")):
        return dataset
    return f"{catalog.rstrip('/')}/{dataset}"
