"""`headrace transform`: the features of new rows, by the state that was published with a dataset."""

from __future__ import annotations

from pathlib import Path

import click

from headrace.commands.options import allow_option, catalog_option, dataset_argument, dataset_uri
from headrace.commands.terminal import common_options, json_option, terminal
from headrace.schemas.errors import ConflictError, DataError, UsageError


@click.command()
@dataset_argument
@click.argument("input_", metavar="INPUT")
@click.argument("output", metavar="OUTPUT", type=click.Path(path_type=Path))
@click.option("--history", default="", metavar="FILES", help="Earlier rows, for steps that look back in time.")
@click.option("--force", is_flag=True, help="Write over OUTPUT if it is there.")
@allow_option
@catalog_option
@json_option
@common_options
def transform(
    dataset: str, input_: str, output: Path, history: str, force: bool, modules: tuple[str, ...], catalog: str
) -> None:
    """Make the features of the rows in INPUT (Parquet: a file, a folder or a pattern), write them to OUTPUT.

    One row of features for each row of INPUT, in its order; no row is checked against the contract or left out. The
    target is not needed, nor a column that may be null.
    """
    from headrace.catalog.reader import open_dataset

    if output.exists() and not force:
        raise ConflictError("there is a file of that name", hint="--force writes over it", where=str(output))
    if not output.absolute().parent.is_dir():
        raise UsageError("there is no folder of that name", where=str(output.absolute().parent))
    if output.suffix.lower() in {".csv", ".json", ".jsonl", ".ndjson", ".arrow", ".feather", ".ipc", ".txt"}:
        raise UsageError("OUTPUT is written as Parquet", hint=f"name it {output.stem}.parquet", where=str(output))
    opened = open_dataset(dataset_uri(dataset, catalog))
    state = opened.state_path
    if state is None:
        raise DataError("was published without a fitted pipeline", where=f"{opened.name}@{opened.version}")

    from headrace.pipelines.fitted import FittedPipeline
    from headrace.pipelines.sources import read_files
    from headrace.schemas.footers import find_files

    fitted = FittedPipeline.load(state.parent, allow=modules)
    read, earlier = find_files(input_), find_files(history) if history else ()
    if output.exists() and any(output.samefile(path) for path in (*read, *earlier)):
        raise UsageError(
            "the features would replace the rows they are made of", hint="choose another OUTPUT", where=str(output)
        )
    features = fitted.transform(
        read_files(read, widen=True), history=read_files(earlier, widen=True) if earlier else None
    )
    temporary = output.with_name(f".{output.name}.part")
    try:
        features.write_parquet(temporary)
        temporary.replace(output)
    finally:
        temporary.unlink(missing_ok=True)
    data = {"dataset": opened.name, "version": opened.version, "output": output, "rows": features.height}
    words = f"{output}: {features.height:,} rows, {features.width} columns, as {opened.name}@{opened.version}"
    terminal().show({**data, "columns": features.columns}, lambda: words)
