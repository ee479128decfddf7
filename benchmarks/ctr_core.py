"""headrace's fit, apply and write on ctr, and nothing else: the same job as the scripts do.

python -m benchmarks.ctr_core IN OUT
"""

from __future__ import annotations

import sys
from pathlib import Path


class NotConnected(Exception):
    """The functions that this side calls are not there."""


def fit_apply_write(source: Path, target: Path) -> None:
    """Learn on the Parquet files in `source` and write the features as Parquet files to `target`.

    No contract, no shuffle, no statistics, no checksums, no commit.
    """
    raise NotConnected(f"headrace's fit and apply are not connected here yet: {source} -> {target}")


CONNECTED = False
"""Set together with the body of `fit_apply_write`; the comparison leaves this side out until then."""


if __name__ == "__main__":
    fit_apply_write(Path(sys.argv[1]), Path(sys.argv[2]))
