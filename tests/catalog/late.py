"""A store whose answer to a commit is lost: the record comes, comes later, or never does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import obstore
import pytest
from obstore.exceptions import GenericError

from headrace.catalog.log import record_name


class Late:
    """The requests that are under way."""

    def __init__(self) -> None:
        self.under_way: list[Callable[[], Any]] = []

    def arrive(self) -> None:
        """Now the store does what it was asked."""
        for request in self.under_way:
            request()


@contextmanager
def lost_answer(
    patching: pytest.MonkeyPatch,
    version: int = 1,
    *,
    arrives: bool = False,
    deaf: bool = False,
    error: type[BaseException] = GenericError,
) -> Iterator[Late]:
    """The answer to the record of a version is lost.

    Parameters
    ----------
    arrives
        The record is there all the same; else it is under way until `Late.arrive`.
    deaf
        Nor can the record be read then.
    error
        What the publisher sees instead of an answer.
    """
    late, put, get = Late(), obstore.put, obstore.get

    def losing(store: Any, name: str, *rest: Any, **options: Any) -> Any:
        if name != record_name(version):
            return put(store, name, *rest, **options)
        if arrives:
            put(store, name, *rest, **options)
        else:
            late.under_way.append(lambda: put(store, name, *rest, **options))
        raise error("operation timed out")

    def reading(store: Any, name: str, *rest: Any, **options: Any) -> Any:
        if deaf and late.under_way and name == record_name(version):
            raise GenericError("503 Service Unavailable")
        return get(store, name, *rest, **options)

    with patching.context() as patch:
        patch.setattr(obstore, "put", losing)
        patch.setattr(obstore, "get", reading)
        yield late
