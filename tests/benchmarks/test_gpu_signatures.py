"""Every call into RAPIDS and CuPy that the GPU benchmarks make is one that the installed wheels take.

The calls are read off the source: names must exist, positional and keyword arguments must fit. Compiled functions have
their signature in the first line of their docstring. What a call does is not shown by this.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytestmark = pytest.mark.slow
for package in ("cudf", "cupy", "dask_cudf", "dask_cuda", "pylibcudf", "rmm"):
    pytest.importorskip(package)

ROOT = Path(__file__).parent.parent.parent / "benchmarks"
FILES = (
    *("gpu_ctr.py", "gpu/device_table.py", "gpu/digest.py", "gpu/facts.py"),
    *("peers/cudf_script.py", "peers/cudf_floor.py", "peers/dask_cudf_script.py"),
)
HOST = {
    *("add", "add_argument", "append", "as_posix", "counted_pool", "error", "exists", "extend", "get", "glob", "index"),
    *("is_file", "items", "iterdir", "join", "keys", "mkdir", "model_dump_json", "model_validate", "parse_args", "pop"),
    *("read_text", "rename", "replace", "resolve", "rglob", "setdefault", "split", "stage", "startswith", "stat"),
    *("unlink", "update", "values", "write_text", "_finish", "read", "write", "isoformat", "repeat"),
    *("from_buffers", "from_arrays", "to_numpy"),
}
"""Methods of Python's own objects, pathlib's, pydantic's and pyarrow's."""
ELSEWHERE = {"np", "pa", "pl", "pq", "Path", "argparse", "facts", "json", "os", "time", "sys"}
"""Modules that are tried where their calls are run."""
UNDOCUMENTED = {"plc.DataType"}
"""Compiled, without a signature; tried below."""
OF_ARRAYS = {"reshape", "max", "min", "tolist"}
"""Methods of arrays, in NumPy and in CuPy; `tests.benchmarks.elsewhere` tries them."""


class Call(NamedTuple):
    """One call: what is called, as `module.name` or `.method`, and with what."""

    name: str
    positional: int | None
    keywords: tuple[str, ...]
    where: str


def _dotted(node: ast.expr) -> str | None:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) and parts else None


def _modules() -> dict[str, Any]:
    import cudf
    import cupy
    import dask_cudf
    import pylibcudf
    import rmm
    import rmm.statistics

    return {"cudf": cudf, "cupy": cupy, "xp": cupy, "dask_cudf": dask_cudf, "plc": pylibcudf, "rmm": rmm}


def _methods() -> dict[str, list[Any]]:
    """What the methods called on RAPIDS' objects may be."""
    import cudf
    import dask_cudf
    import pylibcudf as plc
    from cudf.core.groupby.groupby import GroupBy
    from distributed import Client

    builder = plc.io.parquet.ParquetWriterOptionsBuilder
    of_series = {name: [getattr(cudf.Series, name)] for name in ("fillna", "clip", "astype", "notna")}
    of_builder = {
        name: [getattr(builder, name)]
        for name in ("metadata", "compression", "stats_level", "dictionary_policy", "build")
    }
    options = plc.io.parquet.ParquetWriterOptions
    return {
        **of_series,
        **of_builder,
        "sum": [cudf.Series.sum, GroupBy.sum],
        "groupby": [cudf.DataFrame.groupby, cudf.Series.groupby],
        "size": [GroupBy.size],
        "merge": [cudf.DataFrame.merge],
        "sort_values": [cudf.DataFrame.sort_values],
        "copy": [cudf.DataFrame.copy],
        "to_parquet": [cudf.DataFrame.to_parquet],
        "to_delayed": [dask_cudf.DataFrame.to_delayed],
        "run": [Client.run],
        "with_mask": [plc.Column.with_mask],
        "set_name": [plc.io.types.ColumnInMetadata.set_name],
        "set_nullability": [plc.io.types.ColumnInMetadata.set_nullability],
        "set_row_group_size_rows": [options.set_row_group_size_rows],
        "set_max_dictionary_size": [options.set_max_dictionary_size],
        "synchronize": [_modules()["cupy"].cuda.Device.synchronize],
    }


def _calls(tree: ast.AST, file: str) -> Iterator[Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            starred = any(isinstance(argument, ast.Starred) for argument in node.args)
            keywords = tuple(keyword.arg for keyword in node.keywords if keyword.arg)
            name = _dotted(node.func) or f".{node.func.attr}"
            yield Call(name, None if starred else len(node.args), keywords, f"{file}:{node.lineno}")


def _signature(function: Any) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except ValueError:
        first = (function.__doc__ or "").split("\n\n")[0]
        inside = re.search(r"\((.*)\)", first, re.DOTALL)
        assert inside, f"{function}: no signature"
        parameters = []
        for part in filter(str.strip, re.split(r",(?![^\[(]*[\])])", inside.group(1))):
            declared, equals, _ = part.strip().partition("=")
            name = declared.split(":")[0].split()[-1]
            if name != "self":
                default = None if equals else inspect.Parameter.empty
                parameters.append(inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default))
        return inspect.Signature(parameters)


def _bind(function: Any, call: Call, *, method: bool) -> None:
    signature = _signature(function)
    own = [object()] if method and "self" in signature.parameters else []
    keywords: dict[str, Any] = dict.fromkeys(call.keywords)
    try:
        if call.positional is None:
            signature.bind_partial(*own, **keywords)
        else:
            signature.bind(*own, *[None] * call.positional, **keywords)
    except TypeError as problem:
        pytest.fail(f"{call.where}: {call.name}: {problem}; it takes {signature}")


@pytest.mark.parametrize("file", FILES)
def test_calls_fit_the_installed_packages(file: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    modules, methods = _modules(), _methods()
    bound = 0
    for call in _calls(tree, file):
        root, _, rest = call.name.partition(".")
        if root in modules:
            function = reduce(getattr, rest.split("."), modules[root])
            if call.name not in UNDOCUMENTED and not isinstance(function, modules["cupy"].ufunc):
                _bind(function, call, method=False)
            bound += 1
            continue
        name = call.name.rpartition(".")[2]
        if name in methods and root not in ELSEWHERE:
            for function in methods[name]:
                _bind(function, call, method=True)
            bound += 1
        elif root in ELSEWHERE:
            continue
        else:
            assert name in HOST | OF_ARRAYS, f"{call.where}: {call.name} is checked nowhere"
    assert bound >= 2


@pytest.mark.parametrize("file", FILES)
def test_names_exist_in_the_installed_packages(file: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    modules = _modules()
    for node in ast.walk(tree):
        name = _dotted(node) if isinstance(node, ast.Attribute) else None
        root, _, rest = (name or "").partition(".")
        if root in modules:
            reduce(getattr, rest.split("."), modules[root])
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("rmm", "dask", "distributed")):
            module = __import__(node.module or "", fromlist=["x"])
            assert all(hasattr(module, alias.name) for alias in node.names), f"{file}:{node.lineno}"


def test_dask_hands_reading_to_the_cudf_backend_with_these_arguments() -> None:
    from dask_cudf.io.parquet import read_parquet_expr

    inspect.signature(read_parquet_expr).bind("folder", columns=["I1"], blocksize="1GiB")


def test_the_cluster_takes_its_options() -> None:
    from dask_cuda import LocalCUDACluster

    tree = ast.parse((ROOT / "peers" / "dask_cudf_script.py").read_text(encoding="utf-8"))
    [call] = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "LocalCUDACluster"]
    known = inspect.signature(LocalCUDACluster.__init__).parameters
    given = [keyword.arg for keyword in call.keywords]
    assert given
    assert set(given) <= known.keys(), "the rest would go on to LocalCluster unchecked"


def test_columns_have_the_attributes_that_the_scripts_read() -> None:
    import cudf

    for owner, names in ((cudf.Series, ("values", "index")), (cudf.DataFrame, ("columns",))):
        assert all(hasattr(owner, name) for name in names)


def test_the_type_of_strings_is_made_as_it_is_asked_for() -> None:
    import pylibcudf as plc

    assert plc.DataType(plc.TypeId.STRING).id() == plc.TypeId.STRING
