"""`headrace run` in this process alone, with what it allocates on the device counted.

    python -m benchmarks.gpu_run FILE.py:pipeline --engine gpu --cluster inline ...

The arguments are those of `headrace run`. `headrace run` takes a memory pool only where a process has none, so the
counted one stays in use. Seconds by stage are in the run's record. Not yet run on a GPU.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.gpu.facts import on_device


def main(words: Sequence[str]) -> None:
    """Run the command; a failing one ends this process as it would end its own."""
    from headrace.cli import cli

    with on_device():
        try:
            cli.main(["run", *words], prog_name="headrace")
        except SystemExit as end:
            if end.code:
                raise


if __name__ == "__main__":
    main(sys.argv[1:])
