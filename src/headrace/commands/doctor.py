"""`headrace doctor`: what works on this machine, what does not, and what to do about it."""

from __future__ import annotations

import click
from click.core import ParameterSource

from headrace.commands.failure import styled
from headrace.commands.findings import Finding, State
from headrace.commands.layout import table
from headrace.commands.options import catalog_option, gpu_option
from headrace.commands.terminal import common_options, json_option, terminal
from headrace.schemas.errors import CapabilityError

_MARKS: dict[State, tuple[str, str]] = {
    "ok": ("ok", "green"),
    "absent": ("--", "bright_black"),
    "warning": ("!!", "yellow"),
    "broken": ("XX", "red"),
}


@click.command()
@catalog_option
@gpu_option
@json_option
@common_options
def doctor(catalog: str, gpu_settings: tuple[str, ...]) -> None:
    """Check versions, extras, GPU, driver, RAPIDS, Prefect's API, the catalog's store, memory and cores.

    Where the GPU engine can run, it is tried on a small table. Exit 0 if the CPU engine can work, 3 if it cannot, or if
    a catalog is named (--catalog, HEADRACE_CATALOG) that cannot be used.
    """
    from headrace.commands import gpu_findings, installation, machine
    from headrace.engines.gpu.options import parse_gpu_options

    options = parse_gpu_options(gpu_settings)
    named = click.get_current_context().get_parameter_source("catalog") is not ParameterSource.DEFAULT
    about_machine = machine.findings(catalog, wanted=named)
    found = [*installation.findings(), *about_machine, *gpu_findings.findings(options.pool)]
    works = not any(finding.needed and finding.state == "broken" for finding in found)
    screen = terminal()
    store = next((f for f in found if f.name == machine.CATALOG and f.state == "broken"), None)
    data = {"cpu_engine_works": works, "catalog_works": store is None, "findings": found}
    if not works:
        broken = [finding.name for finding in found if finding.needed and finding.state == "broken"]
        words = f"the CPU engine cannot work here: {', '.join(broken)}"
        screen.show_failed(data, lambda: _words(found), CapabilityError(words, hint="see the lines marked XX"))
    if store is not None:
        words = f"the catalog cannot be used: {store.found}"
        screen.show_failed(data, lambda: _words(found), CapabilityError(words, hint=store.advice))
    screen.show(data, lambda: _words(found))


def _words(found: list[Finding]) -> str:
    lines = table([[_MARKS[f.state][0], f.name, f.found] for f in found]).splitlines()
    marked = []
    for finding, line in zip(found, lines, strict=True):
        mark, color = _MARKS[finding.state]
        marked.append(styled(mark, fg=color) + line[len(mark) :])
        if finding.advice:
            marked.append(f"      -> {finding.advice}")
    return "\n".join(marked)
