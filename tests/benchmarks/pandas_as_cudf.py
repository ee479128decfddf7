"""pandas in cuDF's place, so that the logic of the scripts for it runs without a GPU. Nothing else is shown by that."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

SCRIPTS = ("cudf_script", "cudf_floor", "dask_cudf_script")


def modules() -> dict[str, Any]:
    """What `import` is to find: pandas as cudf, NumPy as cupy, dask.dataframe on pandas as dask_cudf."""
    import dask
    import dask.dataframe as dd
    import pandas as pd  # type: ignore[import-untyped]  # its stubs are a package of their own

    class Frame(pd.DataFrame):  # type: ignore[misc]  # pandas has no types here
        """A frame that writes Parquet as cuDF is asked to."""

        @property
        def _constructor(self) -> Any:
            return Frame

        def to_parquet(self, path: Any, *, index: bool, compression: str | None, row_group_size_rows: int) -> None:
            pd.DataFrame(self).to_parquet(
                path, index=index, compression=compression, row_group_size=row_group_size_rows
            )

    def read_parquet(paths: list[str], columns: list[str] | None = None) -> Any:
        return pd.concat([Frame(pd.read_parquet(path, columns=columns)) for path in paths], ignore_index=True)

    def read_dask(path: str, columns: list[str] | None = None, *, blocksize: str) -> Any:
        assert blocksize == "1GiB"
        parts = dd.read_parquet(path, columns=columns, split_row_groups=True).to_delayed()
        return SimpleNamespace(to_delayed=lambda: [dask.delayed(Frame)(part) for part in parts])

    return {
        "cudf": SimpleNamespace(read_parquet=read_parquet, concat=pd.concat, DataFrame=Frame),
        "cupy": np,
        "dask_cudf": SimpleNamespace(read_parquet=read_dask),
    }


@contextmanager
def scripts() -> Iterator[dict[str, ModuleType]]:
    """The scripts, imported over pandas; they are gone from `sys.modules` afterwards."""
    names = [f"benchmarks.peers.{name}" for name in SCRIPTS]
    replaced = modules()
    before = {name: sys.modules.pop(name) for name in (*replaced, *names) if name in sys.modules}
    sys.modules.update(replaced)
    try:
        yield {name: importlib.import_module(f"benchmarks.peers.{name}") for name in SCRIPTS}
    finally:
        for name in (*replaced, *names):
            sys.modules.pop(name, None)
        sys.modules.update(before)
