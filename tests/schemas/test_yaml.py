from __future__ import annotations

import pytest
import yaml

from headrace.schemas.yaml import read_yaml


def test_words_of_yaml_1_1_that_are_booleans_there_are_words() -> None:
    assert read_yaml("[on, off, yes, no, y, n, On, NO]") == ["on", "off", "yes", "no", "y", "n", "On", "NO"]
    assert read_yaml("{on: 1, no: 2}") == {"on": 1, "no": 2}


def test_true_and_false_are_booleans() -> None:
    assert read_yaml("[true, False, TRUE, 'true']") == [True, False, True, "true"]


def test_the_rest_is_as_in_safe_yaml() -> None:
    text = "{a: 1, b: 0.5, c: null, d: 2024-05-01, e: ~, f: [x]}"
    assert read_yaml(text) == yaml.safe_load(text)
    with pytest.raises(yaml.YAMLError):
        read_yaml("!!python/object/apply:os.getcwd []")


def test_what_pyyaml_writes_is_read_back() -> None:
    value = {"on": ["y", "true", True, None, "no"]}
    assert read_yaml(yaml.safe_dump(value)) == value
