"""YAML whose only booleans are true and false: `on`, `off`, `yes`, `no` and `y` are words, such as names of fields."""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

_BOOLEAN: Final = "tag:yaml.org,2002:bool"


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the booleans of YAML 1.2's core schema; YAML 1.1 has 22 spellings."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in known if tag != _BOOLEAN]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver(_BOOLEAN, re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


def read_yaml(text: str) -> Any:
    """The value of a document. Raises yaml.YAMLError.

    >>> read_yaml("on: {item: y}")
    {'on': {'item': 'y'}}
    """
    return yaml.load(text, Loader=Loader)
