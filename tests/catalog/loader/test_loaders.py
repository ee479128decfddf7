"""The options of loaders are the same wherever they are written down."""

from __future__ import annotations

import inspect
from dataclasses import fields

import pytest

from headrace import Dataset
from headrace.catalog.loader.options import Asked, Options


def test_both_loaders_take_the_same_options_with_the_same_defaults() -> None:
    signature = inspect.signature(Dataset.torch_loader).parameters
    given = {name: parameter.default for name, parameter in signature.items() if name not in {"dataset", "split"}}
    assert given.pop("device") == "cpu"
    assert given == {field.name: field.default for field in fields(Options)}
    asked = {name: known.__forward_arg__ for name, known in Asked.__annotations__.items()}
    assert asked == {field.name: field.type for field in fields(Options) if field.name != "columns"}


def test_an_option_that_is_not_known_is_named() -> None:
    with pytest.raises(TypeError, match=r"numpy_loader\(\) got an unexpected keyword argument 'device'"):
        Dataset.numpy_loader(None, "train", device="cpu")  # type: ignore[arg-type,call-arg]
