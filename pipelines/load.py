"""Finding a pipeline: a name from the gallery, a YAML file, or a Python object."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import logging
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from headrace.pipelines.model import Allowed, Baseline, Output, Part, Pipeline, Source
from headrace.schemas.errors import HeadraceError, PipelineError
from headrace.schemas.odcs import load_contract
from headrace.schemas.yaml import read_yaml

GALLERY = Path(__file__).parent / "gallery"
_LOG = logging.getLogger("headrace")
_PARTS: Final[dict[Any, type[Part]]] = {"source": Source, "output": Output, "baselines": Baseline}


def gallery_names() -> tuple[str, ...]:
    """The shipped pipelines."""
    return tuple(sorted(path.parent.name for path in GALLERY.glob("*/pipeline.py")))


def load_pipeline(
    reference: str, overrides: Mapping[str, str] | None = None, *, allow: Collection[str] = ()
) -> Pipeline:
    """Load a pipeline.

    Parameters
    ----------
    reference
        A gallery name (`flights`), a YAML file, `package.module:object` or `file.py:object`.
    overrides
        Values to set in it: dotted paths into the model to YAML values. `source` alone is short for `source.root`.
    allow
        Modules whose operators a YAML file may name beside those of headrace, as `module:Class`; they are imported.

    Raises
    ------
    PipelineError
        There is none of this name, or it is wrong; every wrong field is named.
    """
    changes = {("source.root" if key == "source" else key): value for key, value in (overrides or {}).items()}
    if reference in gallery_names():
        name, reference = reference, f"headrace.pipelines.gallery.{reference}.pipeline:pipeline"
        own_rows = bool(changes.get("source.path")) and not _from_python(reference).source.tables
        if not changes.get("source.root") and not own_rows:
            changes["source.root"] = str(_sample(name))
    if reference.endswith((".yaml", ".yml")):
        return from_yaml(Path(reference), changes, allow)
    if ":" in reference:
        pipeline = _from_python(reference)
        if not changes:
            return pipeline
        changed = _changed(pipeline.model_dump(mode="json"), changes, reference)
        return _validated(changed, reference, pipeline.modules)
    near = difflib.get_close_matches(reference, gallery_names(), n=1)
    raise PipelineError(
        f"no pipeline {reference!r}",
        hint=(f"did you mean {near[0]!r}? " if near else "")
        + f"give a gallery name ({', '.join(gallery_names())}), a YAML file, or module:object",
    )


def from_yaml(path: Path, changes: Mapping[str, str] | None = None, allow: Collection[str] = ()) -> Pipeline:
    """A pipeline from YAML. Paths in it are relative to the file; a source with a root has its own."""
    try:
        plain = read_yaml(path.read_text())
    except FileNotFoundError:
        raise PipelineError("no such file", where=str(path)) from None
    except (OSError, UnicodeDecodeError) as problem:
        raise PipelineError(f"cannot be read: {problem}", where=str(path)) from None
    except yaml.YAMLError as problem:
        raise PipelineError(f"is not YAML: {' '.join(str(problem).split())}", where=str(path)) from None
    if not isinstance(plain, dict):
        raise PipelineError(f"expected a mapping of fields, got {type(plain).__name__}", where=str(path))
    plain = _changed(plain, changes or {}, str(path))
    contract = plain.get("contract")
    if isinstance(contract, str):
        plain["contract"] = load_contract(path.parent / contract)
    source = plain.get("source")
    if isinstance(source, str):
        plain["source"] = source = {"path": source}
    if isinstance(source, dict) and not source.get("root"):
        source["root"] = str(path.parent)
    return _validated(plain, str(path), tuple(allow))


def to_yaml(pipeline: Pipeline) -> str:
    """The pipeline as YAML that `from_yaml` reads back to an equal value; the contract stands in it as data."""
    plain = pipeline.model_dump(mode="json", exclude_defaults=True)
    plain["split"] = {"by": pipeline.split.by, **plain["split"]}  # a default of each kind, and what tells them apart
    return yaml.safe_dump(plain, sort_keys=False, width=120)


def _validated(plain: dict[str, Any], where: str, modules: tuple[str, ...] = ()) -> Pipeline:
    try:
        return Pipeline.model_validate(plain, context=Allowed(modules))
    except ValidationError as problem:
        lines = [f"{'.'.join(_place(e['loc']))}: {_reason(e)}" for e in problem.errors(include_url=False)]
        many = "".join(f"\n  {line}" for line in lines)
        raise PipelineError(
            lines[0] if len(lines) == 1 else f"{len(lines)} fields are wrong:{many}", where=where
        ) from None
    except HeadraceError as problem:
        problem.where = f"{where}: {problem.where}" if problem.where else where
        raise


def _place(location: tuple[Any, ...]) -> list[str]:
    """Where in the file, without what pydantic adds: the kind of a split, the names of validators."""
    if location[0] == "split":
        location = (location[0], *location[2:])
    return [str(part) for part in location if not str(part).startswith("function-")]


def _reason(error: Any) -> str:
    given = error["input"]
    match error["type"]:
        case "missing":
            return "is required"
        case "extra_forbidden":
            part = _PARTS.get(error["loc"][0], Pipeline) if len(error["loc"]) > 1 else Pipeline
            near = difflib.get_close_matches(str(error["loc"][-1]), part.model_fields, n=1)
            return "there is no such field" + (f"; did you mean {near[0]}?" if near else "")
        case "union_tag_invalid":
            return f"by {error['ctx']['tag']!r} is not known; expected one of {error['ctx']['expected_tags']}"
        case "union_tag_not_found":
            return "needs by: time, by: hash or by: fraction"
        case "value_error" if not isinstance(given, str | int | float):
            return str(error["msg"]).removeprefix("Value error, ")
        case _:
            shown = repr(given) if isinstance(given, str | int | float) else type(given).__name__
            return f"{error['msg'].removeprefix('Value error, ')}, got {shown}"


def _changed(plain: dict[str, Any], changes: Mapping[str, str], where: str) -> dict[str, Any]:
    for dotted, text in changes.items():
        *folders, last = dotted.split(".")
        place: Any = plain
        for folder in folders:
            if folder == "source" and isinstance(place.get("source"), str):
                place["source"] = {"path": place["source"]}
            place = place.setdefault(folder, {}) if isinstance(place, dict) else None
            if not isinstance(place, dict):
                raise PipelineError(f"--set {dotted}: {folder!r} has no fields", where=where)
        try:
            place[last] = read_yaml(text) if last != "root" else text
        except yaml.YAMLError:
            place[last] = text
    return plain


def _from_python(reference: str) -> Pipeline:
    module_name, _, attribute = reference.partition(":")
    module = _imported(module_name, reference)
    found = getattr(module, attribute, None)
    if found is None:
        names = [n for n, v in vars(module).items() if isinstance(v, Pipeline)]
        raise PipelineError(
            f"{module_name} has no {attribute!r}", hint=f"its pipelines are {', '.join(names) or 'none'}"
        )
    if not isinstance(found, Pipeline):
        raise PipelineError(f"expected a Pipeline, got {type(found).__name__}", where=reference)
    return found


def _imported(name: str, reference: str) -> Any:
    if name.endswith(".py") and not Path(name).exists():
        raise PipelineError("no such file", where=name)
    try:
        return _from_file(Path(name)) if name.endswith(".py") else importlib.import_module(name)
    except HeadraceError:
        raise
    except ModuleNotFoundError as problem:
        raise PipelineError(f"no module {problem.name!r}", where=reference) from None
    except Exception as problem:  # whatever the user's own code does
        reason = " ".join(str(problem).split())
        raise PipelineError(
            f"fails when it is imported: {type(problem).__name__}: {reason}", where=name, hint="--debug shows where"
        ) from problem


def _from_file(path: Path) -> Any:
    name = f"headrace_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _sample(name: str) -> Path:
    sample = importlib.import_module(f"headrace.pipelines.gallery.{name}.sample")
    folder: Path = sample.cached_sample()
    _LOG.info("no source given: using the sample data in %s", folder)
    return folder
