"""cuML is found when it is needed and not before; where it is missing, one error says so."""

from __future__ import annotations

import subprocess
import sys

import pytest

from headrace.pipelines.cuml_libraries import find, installed
from headrace.schemas.errors import CapabilityError


@pytest.mark.parametrize("missing", ["cuml", "cudf", "cupy"])
def test_a_missing_library_is_named_with_the_extra_that_has_it(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    installed.cache_clear()
    for name in ("cuml", "cudf", "cupy"):
        monkeypatch.setitem(sys.modules, name, None if name == missing else sys)
    with pytest.raises(CapabilityError, match=f"baselines on a GPU need cuML: .*{missing}") as error:
        installed()
    assert "headrace[cuda13]" in error.value.hint


@pytest.mark.slow
def test_importing_what_trains_on_a_gpu_imports_nothing_heavy() -> None:
    heavy = {"cuml", "cudf", "cupy", "rmm", "dask", "distributed", "sklearn"}
    code = f"import headrace.pipelines.baseline_task, sys; print(sorted(set(sys.modules) & {heavy!r}))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (result.stdout, result.returncode) == ("[]\n", 0)


def test_a_class_is_found_by_its_path() -> None:
    assert find("collections.abc.Sized").__name__ == "Sized"
