"""Contracts as YAML in the Open Data Contract Standard 3.1: what of it is read, and how it is written.

Of a property: ``name`` (``physicalName``, where given, is the name in the files), ``physicalType`` (exact, such as
``Int64`` or ``timestamp[us, tz=UTC]``) or else ``logicalType`` with its ``format`` (an integer is Int64, a number
Float64 and a timestamp Datetime[us] unless they say otherwise), ``required``, ``unique``, ``primaryKey`` with
``primaryKeyPosition``, bounds, lengths and pattern from ``logicalTypeOptions``, allowed values and patterns from
``quality`` (``metric: invalidValues`` with ``arguments: {validValues: [...]}`` or ``{pattern: ...}``), and the
``customProperties`` ``role`` and ``allowNonFinite``.

Of a table: ``quality`` rules across columns, in either form,

    - {name: lands_after_takeoff, type: custom, engine: headrace, implementation: "arr_time >= dep_time"}
    - {name: lands_after_takeoff, type: sql, mustBe: 0,
       query: "SELECT COUNT(*) FROM flights WHERE NOT (arr_time >= dep_time)"}

and the custom property ``extraColumns``: ``refuse`` or ``ignore``. Text for people, and custom rules for other engines,
are passed over; a check that headrace would have to leave out is an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml
from pydantic import BaseModel, ValidationError

from headrace.schemas.contract import Contract
from headrace.schemas.errors import CapabilityError, ContractError
from headrace.schemas.odcs_read import read_table
from headrace.schemas.odcs_write import write_table
from headrace.schemas.yaml import Loader

if TYPE_CHECKING:
    from open_data_contract_standard.model import OpenDataContractStandard

API_VERSION: Final = "v3.1.0"
_READABLE: Final = ("v3.0.0", "v3.0.1", "v3.0.2", "v3.1.0", "v3.2.0")
_SHOWN: Final = 8


def load_contract(path: str | Path, *, table: str | None = None) -> Contract:
    """Read a contract from a YAML file.

    Parameters
    ----------
    path
        The file, usually ``<name>.odcs.yaml``.
    table
        Which schema object; needed where the contract describes several.

    Raises
    ------
    ContractError
        The file is missing or not what the standard says; names the property, what it got and what it expected.
    CapabilityError
        The library that reads the standard is not installed.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ContractError(f"the contract cannot be read: {reason}", where=str(path)) from error
    return parse_contract(text, table=table, where=str(path))


def parse_contract(text: str, *, table: str | None = None, where: str = "contract") -> Contract:
    """Read a contract from YAML text; `load_contract` says more."""
    document = _document(text, where)
    tables = document.schema_ or []
    named = [item for item in tables if table is None or item.name == table]
    if len(named) != 1:
        names = ", ".join(str(item.name) for item in tables) or "none"
        wanted = "one" if table is None else f"'{table}'"
        raise ContractError(f"schema: got {names}, expected {wanted}", where=where, hint="name one of its tables")
    about = document.description.purpose if document.description else None
    fields = {
        "name": document.name or document.id,
        "version": document.version,
        "description": about or "",
    } | read_table(named[0], where)
    try:
        return Contract.model_validate(fields)
    except ValidationError as error:
        raise _wrong(error, where) from error
    except ContractError as error:
        raise ContractError(error.message, hint=error.hint, where=f"{where}: {error.where}") from error


def dump_contract(contract: Contract) -> str:
    """Write a contract as YAML that `parse_contract`, and any other reader of the standard, reads back.

    Raises
    ------
    CapabilityError
        The library that writes the standard is not installed.
    """
    document = _library()(
        apiVersion=API_VERSION,
        kind="DataContract",
        id=contract.name,
        name=contract.name,
        version=contract.version,
        status="active",
        description={"purpose": contract.description} if contract.description else None,
        schema=[write_table(contract)],
    )
    return document.to_yaml()


def _library() -> type[OpenDataContractStandard]:
    try:
        from open_data_contract_standard.model import OpenDataContractStandard
    except ImportError as error:
        raise CapabilityError(
            "contracts as YAML need the package open-data-contract-standard",
            hint='install it: pip install "headrace[build]"',
        ) from error
    return OpenDataContractStandard


def _document(text: str, where: str) -> OpenDataContractStandard:
    library = _library()
    try:
        data = yaml.load(text, Loader=_UniqueKeys)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ContractError(f"not YAML: {getattr(error, 'problem', None) or error}", where=f"{where}{line}") from error
    if not isinstance(data, dict):
        raise ContractError(f"got {type(data).__name__}, expected a mapping with apiVersion, kind, id", where=where)
    version = data.get("apiVersion")
    if data.get("kind") != "DataContract" or version not in _READABLE:
        raise ContractError(
            f"kind, apiVersion: got {data.get('kind')!r}, {version!r}, expected 'DataContract', {API_VERSION!r}",
            where=where,
            hint=f"this is about files of the Open Data Contract Standard; versions read: {', '.join(_READABLE)}",
        )
    try:
        document = library.model_validate(data)
    except ValidationError as error:
        raise _wrong(error, where) from error
    for index, item in enumerate(document.schema_ or []):
        _refuse_unknown(data["schema"][index], item, f"schema[{item.name or index}]", where)
    missing = [key for key in ("id", "version", "schema") if not data.get(key)]
    if missing:
        raise ContractError(f"missing: {', '.join(missing)}", where=where)
    return document


def _refuse_unknown(data: dict[str, Any], model: BaseModel, place: str, where: str) -> None:
    """The library's model passes over keys that it does not know: a misspelt check would be no check."""
    known = {field.alias or name: name for name, field in type(model).model_fields.items()}
    unknown = [str(key) for key in data if key not in known]
    if unknown:
        raise ContractError(
            f"{place}: the standard has no {', '.join(unknown)}",
            where=where,
            hint=f"it has: {', '.join(sorted(known))}",
        )
    for key, value in data.items():
        parsed = getattr(model, known[key])
        pairs = (
            zip(value, parsed, strict=True)
            if isinstance(value, list) and isinstance(parsed, list)
            else [(value, parsed)]
        )
        for index, (inner, item) in enumerate(pairs):
            if isinstance(item, BaseModel) and isinstance(inner, dict):
                step = f"[{inner.get('name', index)}]" if isinstance(value, list) else ""
                _refuse_unknown(inner, item, f"{place}.{key}{step}", where)


def _wrong(error: ValidationError, where: str) -> ContractError:
    findings = [
        f"{'.'.join(str(step) for step in finding['loc'])}: got {_short(finding['input'])}, {finding['msg'].lower()}"
        for finding in error.errors()
    ]
    more = [f"and {len(findings) - _SHOWN} more"] if len(findings) > _SHOWN else []
    head = findings[0] if len(findings) == 1 else "\n".join([f"{len(findings)} findings", *findings[:_SHOWN], *more])
    return ContractError(head, where=where)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


class _UniqueKeys(Loader):
    """The loader, which takes the last of two equal keys, made to refuse them."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key is no text", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key}' stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)
