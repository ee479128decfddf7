from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import Result

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


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--gpu", "pol=0.5"], 2, "unknown option --gpu pol: got 'pol=0.5'"),
        (["--gpu", "pool=lots"], 2, "--gpu pool: got 'lots', expected a fraction of the device's memory"),
        (["--cluster", "cloud"], 2, "unknown cluster 'cloud'"),
        (["--engine", "cpu", "--cluster", "cuda:2"], 2, "--cluster cuda:2 starts workers for the GPU engine"),
        (["--engine", "gpu", "--cluster", "local"], 2, "--cluster local starts workers for the CPU engine"),
        (["--cluster", "cuda"], 3, "the GPU engine cannot run here"),
    ],
)
def test_where_a_run_computes_is_looked_at_first(
    words: list[str], code: int, said: str, invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    result = invoke("run", "nothing.yaml", *words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert said in result.stderr
