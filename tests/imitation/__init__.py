"""A stand-in for pylibcudf on the host, so that the bodies of GPU kernels run where no GPU is.

It has what `headrace.engines.gpu` uses and no more, in modules called like pylibcudf's, over Arrow and NumPy. It
follows libcudf's documentation, and is stricter: streams must be passed, what the documentation leaves open is refused,
orders that are not promised are turned around. `test_imitation.py` compares every signature with the installed
pylibcudf. That libcudf does what its documentation says is not shown here: that is what `tests/gpu` is for.
"""

from __future__ import annotations

import importlib
import pkgutil

HOST = ("arrays", "fixture")
"""Modules that imitate nothing."""

for _module in pkgutil.iter_modules(__path__):
    if not _module.name.startswith("test_") and _module.name != "fixture":
        importlib.import_module(f"{__name__}.{_module.name}")

from tests.imitation.column import Column  # noqa: E402  the modules above must be there first
from tests.imitation.scalar import Scalar  # noqa: E402
from tests.imitation.table import Table  # noqa: E402
from tests.imitation.types import DataType, TypeId  # noqa: E402

__all__ = ["HOST", "Column", "DataType", "Scalar", "Table", "TypeId"]
