"""Every operator by its name, and the way from `{"Name": {fields}}` in YAML and saved pipelines to an operator."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Final

from pydantic import ValidationError

from headrace.schemas.errors import PipelineError
from headrace.transforms.base import Operator
from headrace.transforms.buckets import Bucketize, QuantileBucketize, QuantileBucketized
from headrace.transforms.categorified import Categorified
from headrace.transforms.categorify import Categorify
from headrace.transforms.dates import Cyclic, DateParts
from headrace.transforms.deduplicate import Deduplicate
from headrace.transforms.differences import Diff, TimeSinceLast
from headrace.transforms.elements import FromElements, OnElements
from headrace.transforms.expanding import Expanding
from headrace.transforms.extract import Extract
from headrace.transforms.frequency import DropRare, FrequencyEncode, FrequencyEncoded, RareDropped
from headrace.transforms.groups import GroupStats, GroupStatsAdded
from headrace.transforms.hashing import HashBucket, HashCross
from headrace.transforms.joins import AsOfJoin, AsOfJoined, LookupJoin, LookupJoined
from headrace.transforms.lists import ListAgg, ListLength, ListSlice
from headrace.transforms.missing import DropNull, Filled, FillNull
from headrace.transforms.multihot import MultiHot, MultiHotEncoded
from headrace.transforms.narrow import ReduceDtypes
from headrace.transforms.ngrams import HashedNGrams
from headrace.transforms.numeric import Clip, Log1p, Sqrt
from headrace.transforms.onehot import OneHot, OneHotEncoded
from headrace.transforms.outliers import ClipQuantile, QuantileClipped
from headrace.transforms.power import Power
from headrace.transforms.power_transform import PowerTransform, PowerTransformed
from headrace.transforms.ranges import MinMax, Rescaled, RobustScale
from headrace.transforms.ranks import QuantileTransform, QuantileTransformed
from headrace.transforms.rows import Filter
from headrace.transforms.scale import Standardize, Standardized
from headrace.transforms.sequences import Sequence
from headrace.transforms.shape import Cast, Derive, Drop, Rename
from headrace.transforms.target import TargetEncode
from headrace.transforms.target_encoded import TargetEncoded, TargetLeftOut
from headrace.transforms.text import Lower, Replace, Strip
from headrace.transforms.windows import Lag, RollingStats
from headrace.transforms.zones import TimeZone

_SHIPPED: Final[tuple[type[Operator], ...]] = (
    # rows and columns
    DropNull,
    Filter,
    Cast,
    Rename,
    Drop,
    Derive,
    # numbers
    FillNull,
    Clip,
    ClipQuantile,
    Log1p,
    Sqrt,
    Power,
    Standardize,
    MinMax,
    RobustScale,
    QuantileTransform,
    PowerTransform,
    Bucketize,
    QuantileBucketize,
    ReduceDtypes,
    # dates and times
    DateParts,
    Cyclic,
    TimeZone,
    # text
    Lower,
    Strip,
    Replace,
    Extract,
    HashedNGrams,
    # categories
    HashBucket,
    HashCross,
    Categorify,
    FrequencyEncode,
    DropRare,
    OneHot,
    MultiHot,
    TargetEncode,
    # lists
    ListLength,
    ListSlice,
    ListAgg,
    # other tables, other rows
    GroupStats,
    LookupJoin,
    AsOfJoin,
    Lag,
    RollingStats,
    Diff,
    TimeSinceLast,
    Expanding,
    Sequence,
    Deduplicate,
)

_FITTED: Final[tuple[type[Operator], ...]] = (
    AsOfJoined,
    Categorified,
    Filled,
    FrequencyEncoded,
    GroupStatsAdded,
    LookupJoined,
    MultiHotEncoded,
    OnElements,
    OneHotEncoded,
    PowerTransformed,
    QuantileBucketized,
    QuantileClipped,
    QuantileTransformed,
    RareDropped,
    Rescaled,
    Standardized,
    TargetEncoded,
    TargetLeftOut,
)

_OVER_ELEMENTS: Final = (OnElements, FromElements)
"""What steps of lists become; they hold the step."""

OPERATORS: Final[Mapping[str, type[Operator]]] = MappingProxyType({kind.__name__: kind for kind in _SHIPPED})
"""The operators that a pipeline may name."""

FITTED: Final[Mapping[str, type[Operator]]] = MappingProxyType({kind.__name__: kind for kind in _FITTED})
"""What learners become; only saved pipelines name these."""


def operator_from_plain(plain: Any, context: Any = None, allowed: Collection[str] = ()) -> Operator:
    """The operator that `{"Name": {fields}}` describes.

    Parameters
    ----------
    plain
        A mapping of one name to its fields (None for no fields). The name is that of a shipped operator, or
        `package.module:Class` for one of the user's own.
    context
        Handed to the fields' validators; a `TableFolder` where fitted operators hold tables.
    allowed
        The modules whose classes may be named by import path. No other module is imported.

    Raises
    ------
    PipelineError
        An unknown name, a module that is not allowed, a class that is no operator, or fields that do not fit: a line
        for each.
    """
    match plain:
        case Operator():
            return plain
        case {**fields} if len(fields) == 1:
            ((name, values),) = fields.items()
        case str():
            name, values = plain, None
        case _:
            got = f"{len(plain)} names" if isinstance(plain, dict) else type(plain).__name__
            raise PipelineError(f"a step is one operator's name with its fields, got {got}", hint="Clip: {columns: a}")
    kind = operator_class(str(name), allowed)
    if kind in _OVER_ELEMENTS and isinstance(values, dict) and "step" in values:
        values = {**values, "step": operator_from_plain(values["step"], context, allowed)}
    try:
        return kind.model_validate({} if values is None else values, context=context)
    except ValidationError as problem:
        known = ", ".join(kind.model_fields) or "none"
        raise PipelineError(
            findings(problem, kind), hint=f"the fields of {kind.__name__} are {known}", where=str(name)
        ) from None
    except PipelineError as problem:
        raise PipelineError(problem.message, hint=problem.hint, where=problem.where or str(name)) from None


def named_operators(plain: Any) -> tuple[str, ...]:
    """The names of the operators in `{"Name": {fields}}`: its own, and that of a step that its fields hold."""
    names: list[str] = []
    while isinstance(plain, dict) and len(plain) == 1:
        ((name, fields),) = plain.items()
        names.append(str(name))
        plain = fields.get("step") if isinstance(fields, dict) else None
    return tuple(names)


def operator_class(name: str, allowed: Collection[str] = ()) -> type[Operator]:
    """The class of a name, shipped or by import path; raises PipelineError."""
    if ":" in name:
        return _imported(name, allowed)
    found = OPERATORS.get(name) or FITTED.get(name) or (FromElements if name == FromElements.__name__ else None)
    if found is None:
        by_lower = {known.lower(): known for known in OPERATORS}
        near = [by_lower[n] for n in get_close_matches(name.lower(), by_lower, n=3)]
        meant = f"did you mean {' or '.join(near)}?" if near else f"the operators are {', '.join(sorted(OPERATORS))}"
        raise PipelineError(f"unknown operator {name!r}", hint=meant)
    return found


def findings(problem: ValidationError, kind: type[Operator]) -> str:
    """What pydantic found, a line for each: the field, what was expected and what it got."""
    lines = []
    for error in problem.errors(include_url=False):
        field = ".".join(str(part) for part in error["loc"])
        place = f"{field}: " if field else ""
        got = error["input"]
        match error["type"]:
            case "missing":
                lines.append(f"{field}: is missing")
            case "extra_forbidden":
                near = get_close_matches(field, kind.model_fields, n=1)
                meant = f"; did you mean {near[0]}?" if near else ""
                lines.append(f"{field}: is no field of {kind.__name__}{meant}")
            case "model_type":
                lines.append(f"expected its fields by name, got {_shown(got)}")
            case "value_error" | "assertion_error":
                lines.append(f"{place}{error['msg'].split(', ', 1)[-1]}")
            case _:
                lines.append(f"{place}{error['msg'].replace('Input should', 'should')}, got {_shown(got)}")
    return "\n".join(dict.fromkeys(lines))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _imported(path: str, allowed: Collection[str]) -> type[Operator]:
    module, _, name = path.partition(":")
    if module not in allowed:
        listed = f"allowed are {', '.join(sorted(allowed))}" if allowed else "none are allowed here"
        raise PipelineError(
            f"the operator {path!r} is in a module that may not be imported; {listed}",
            hint=f"if you trust it: --allow {module}, or load_pipeline(..., allow=[{module!r}])",
        )
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as problem:
        raise PipelineError(f"the operator {path!r} cannot be imported: {problem}") from None
    if not (isinstance(found, type) and issubclass(found, Operator)):
        raise PipelineError(
            f"{path!r} is no operator", hint="subclass Transform or Learner of headrace.transforms.base"
        )
    return found
