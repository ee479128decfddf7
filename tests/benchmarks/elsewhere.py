"""A stand-in for CuPy: arrays over NumPy that refuse to become NumPy arrays, in a module that notes every call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


class Elsewhere(np.lib.mixins.NDArrayOperatorsMixin):
    """An array that is not in the host's memory: ufuncs and indexing work, conversion does not."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("implicit conversion to a NumPy array, which CuPy refuses")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        assert method == "__call__"
        assert not kwargs
        return Elsewhere(ufunc(*(_bare(value) for value in inputs)))

    def __array_function__(self, function: Any, *_: Any) -> Any:
        raise TypeError(f"numpy.{function.__name__} of an array that is elsewhere")

    def __getitem__(self, key: Any) -> Elsewhere:
        return Elsewhere(self.values[_bare(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self.values[_bare(key)] = _bare(value)

    def __len__(self) -> int:
        return len(self.values)

    def astype(self, dtype: Any) -> Elsewhere:
        return Elsewhere(self.values.astype(dtype))

    def reshape(self, *shape: int) -> Elsewhere:
        return Elsewhere(self.values.reshape(*shape))

    def min(self) -> Elsewhere:
        return Elsewhere(self.values.min())

    def max(self) -> Elsewhere:
        return Elsewhere(self.values.max())

    def __float__(self) -> float:
        return float(self.values)

    def __int__(self) -> int:
        return int(self.values)


class Module:
    """An array module; `calls` has the name and arguments of each call, with arrays as None."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def asnumpy(self, values: Elsewhere) -> Any:
        return values.values

    def __getattr__(self, name: str) -> Callable[..., Elsewhere]:
        function = getattr(np, name)

        def call(*arguments: Any, **keywords: Any) -> Elsewhere:
            self.calls.append((name, arguments, keywords))
            plain = {key: _bare(value) for key, value in keywords.items()}
            return Elsewhere(function(*(_bare(value) for value in arguments), **plain))

        return call


def _bare(value: Any) -> Any:
    if isinstance(value, Elsewhere):
        return value.values
    return tuple(_bare(item) for item in value) if isinstance(value, tuple) else value
