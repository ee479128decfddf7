"""The `headrace` command: which commands there are. Each is imported when it is called, so that `--help` is quick."""

from __future__ import annotations

import sys
import warnings

import click

from headrace.commands.groups import Root
from headrace.commands.terminal import common_options

COMMANDS = {
    "init": ("headrace.commands.init:init", "Make a project folder that runs as it is."),
    "import": ("headrace.commands.importing:importing", "Turn what other tools saved into a pipeline."),
    "contract": ("headrace.commands.contract:contract", "Draft a contract from files."),
    "check": ("headrace.commands.check:check", "Check a pipeline against contract and footers; reads no rows."),
    "plan": ("headrace.commands.plan:plan", "Show passes, partitions, bytes and memory; runs nothing."),
    "run": ("headrace.commands.run:run", "Run a pipeline: raw Parquet in, a published dataset out."),
    "transform": ("headrace.commands.transform:transform", "Make the features of new rows with a published pipeline."),
    "datasets": ("headrace.commands.datasets:datasets", "List, show, compare and verify published datasets."),
    "vocabulary": ("headrace.commands.vocabulary:vocabulary", "What ids stand for, and how to rank them anew."),
    "quarantine": ("headrace.commands.quarantine:quarantine", "Look at the rows that broke the contract."),
    "runs": ("headrace.commands.runs:runs", "List and show runs, failed ones as well."),
    "flows": ("headrace.commands.flows:flows", "Run and serve pipelines through Prefect."),
    "doctor": ("headrace.commands.doctor:doctor", "What works on this machine, what does not, and what to do."),
}


@click.command(
    "headrace",
    cls=Root,
    members=COMMANDS,
    epilog="PIPELINE is a gallery name (flights, ctr, tpch), a YAML file, module:object or file.py:object. "
    "Begin with `headrace run flights` or `headrace init NAME`.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@common_options
@click.version_option(package_name="headrace")
def cli() -> None:
    """Raw Parquet in, versioned training-ready datasets out."""


def main() -> None:
    """Entry point of the installed command."""
    if not sys.warnoptions and "--debug" not in sys.argv:
        warnings.simplefilter("ignore")  # those of the libraries below us say nothing to our user
    cli.main(prog_name="headrace")


if __name__ == "__main__":
    main()
