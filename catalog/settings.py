"""How a pipeline was set up, as it is kept with what it made; and which settings of two versions differ.

Builds from before it was kept have none: what was set up otherwise there is not known.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any, Final

from headrace.catalog.build import Build
from headrace.catalog.reader import Dataset
from headrace.catalog.records import FileRef, Record
from headrace.schemas.errors import DataError

FILE: Final = "state/settings.json"

_LONGEST: Final = 60
_NOTHING: Final = "-"

_TREE: Final = "polars"
"""The one field of an expression that is kept as a tree, which nobody reads."""


class SettingChange(Record):
    """A setting of the pipeline that is not as it was: where it stands, and both values in few words."""

    setting: str
    first: str
    second: str


def save_settings(build: Build, settings: Mapping[str, Any]) -> FileRef:
    """Write the settings of a pipeline, as JSON has them, into its build."""
    return build.write(FILE, (json.dumps(settings, indent=1) + "\n").encode())


def load_settings(dataset: Dataset) -> dict[str, Any] | None:
    """The settings of the pipeline that made a version, None if they were not kept. Raises DataError if damaged."""
    ref = next((file for file in dataset.manifest.files if file.path == FILE), None)
    if ref is None:
        return None
    path = dataset.local(ref)
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"the settings of the pipeline cannot be read: {error}", where=str(path)) from None
    return found if isinstance(found, dict) else None


def setting_changes(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[SettingChange, ...]:
    """What differs: in the steps, one after the other, then in the rest.

    >>> one, two = ({"steps": [{"Clip": {"columns": ["delay"], "upper": upper}}]} for upper in (60, 240))
    >>> setting_changes(one, two)[0].setting
    'step 1 Clip upper'
    """
    found = [*_steps(first.get("steps", ()), second.get("steps", ()))]
    rest = ({name: value for name, value in side.items() if name != "steps"} for side in (first, second))
    return (*found, *_differences("", *rest))


def _steps(first: list[Any], second: list[Any]) -> Iterator[SettingChange]:
    """Steps are paired where their names agree, so that one that was put between others is one change."""
    names = [[_name(step) for step in side] for side in (first, second)]
    matched = SequenceMatcher(None, names[0], names[1], autojunk=False)
    for tag, a, b, c, d in matched.get_opcodes():
        if tag == "equal":
            for number, one, two in zip(range(c + 1, d + 1), first[a:b], second[c:d], strict=True):
                name = _name(two)
                yield from _differences(f"step {number} {name} ", one[name], two[name])
            continue
        for number in range(a, b):
            yield _change(f"step {number + 1} {names[0][number]}", first[number][names[0][number]], None)
        for number in range(c, d):
            yield _change(f"step {number + 1} {names[1][number]}", None, second[number][names[1][number]])


def _differences(where: str, one: Any, two: Any) -> Iterator[SettingChange]:
    one, two = _by_name(one), _by_name(two)
    if one == two:
        return
    if not (isinstance(one, dict) and isinstance(two, dict)) or _TREE in {*one, *two}:
        yield _change(where.strip(" ."), one, two)
        return
    for name in dict.fromkeys((*one, *two)):
        yield from _differences(f"{where}{name}.", one.get(name), two.get(name))


def _by_name(value: Any) -> Any:
    """A list of things that have names, such as columns and baselines, by name; anything else as it is."""
    if not (isinstance(value, list) and value and all(isinstance(one, dict) for one in value)):
        return value
    names = [one.get("name") or one.get("estimator") for one in value]
    return dict(zip(names, value, strict=True)) if all(names) and len({*names}) == len(names) else value


def _change(setting: str, one: Any, two: Any) -> SettingChange:
    return SettingChange(setting=setting, first=_words(one), second=_words(two))


def _words(value: Any) -> str:
    if value is None:
        return _NOTHING
    if isinstance(value, dict) and _TREE in value:
        return "a Polars expression"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _name(step: Any) -> str:
    return str(next(iter(step)))
