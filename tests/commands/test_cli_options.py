from __future__ import annotations

import pytest

from headrace.commands.options import dataset_uri, overrides
from headrace.schemas.errors import UsageError


def test_overrides_split_at_the_first_equals_sign() -> None:
    assert overrides(["source=/data", "steps.0.Filter.where=a = 1"]) == {
        "source": "/data",
        "steps.0.Filter.where": "a = 1",
    }


@pytest.mark.parametrize("words", [["source"], ["=1"], ["a=1", "a=2"]])
def test_overrides_refuse(words: list[str]) -> None:
    with pytest.raises(UsageError):
        overrides(words)


def test_a_bare_name_is_in_the_catalog_and_a_path_is_a_path() -> None:
    assert dataset_uri("flights@3", "published") == "published/flights@3"
    assert dataset_uri("./flights", "published") == "./flights"
    assert dataset_uri("/data/published/flights", "published") == "/data/published/flights"
