"""One try of a task in a worker: what comes back as a result, and what Dask sees."""

from __future__ import annotations

import gc
import pickle
import weakref
from importlib import metadata

import pytest

from headrace.engines.remote import Refused, attempt
from headrace.schemas.errors import CapabilityError, GpuMemoryError, RunError

VERSION = metadata.version("headrace")


def full(_: int) -> None:
    try:
        raise MemoryError("std::bad_alloc")
    except MemoryError as problem:
        raise GpuMemoryError("the device has no memory left", hint="smaller partitions", where="a.parquet") from problem


def lost(_: int) -> None:
    raise RunError("a disk is full")


def test_a_full_device_is_a_result_so_that_dask_does_not_try_again() -> None:
    refused = attempt(full, 0, VERSION)
    assert isinstance(refused, Refused)
    assert isinstance(refused.error, GpuMemoryError)
    assert "std::bad_alloc" in refused.trace


def test_what_the_task_held_is_not_held_by_its_error() -> None:
    refused = attempt(full, 0, VERSION)
    assert isinstance(refused, Refused)
    error = refused.error
    assert (error.__traceback__, error.__cause__, error.__context__) == (None, None, None)


class Rows:
    """What a task holds on a device."""


@pytest.mark.parametrize("kind", [RunError, ValueError])
def test_nor_by_one_that_dask_keeps_in_the_worker_which_still_says_where(kind: type[Exception]) -> None:
    alive: list[weakref.ref[Rows]] = []

    def holding(_: int) -> None:
        rows = Rows()
        alive.append(weakref.ref(rows))
        try:
            raise RuntimeError("cudaErrorIllegalAddress")
        except RuntimeError as problem:
            raise kind("the GPU engine failed") from problem

    gc.disable()  # by counting references alone
    try:
        with pytest.raises(kind) as caught:
            attempt(holding, 0, VERSION)
        assert alive[0]() is None
    finally:
        gc.enable()
    assert [frame.name for frame in caught.traceback][-1] == "holding"
    assert str(caught.value.__cause__) == "cudaErrorIllegalAddress"


def test_an_error_reaches_the_client_with_its_type_and_words() -> None:
    refused = pickle.loads(pickle.dumps(attempt(full, 0, VERSION)))
    assert type(refused.error) is GpuMemoryError
    assert (refused.error.message, refused.error.hint, refused.error.where) == (
        "the device has no memory left",
        "smaller partitions",
        "a.parquet",
    )
    assert (refused.error.code, refused.error.exit_code) == ("gpu-memory", 1)


def test_an_error_that_another_try_may_mend_is_for_dask() -> None:
    with pytest.raises(RunError, match="a disk is full"):
        attempt(lost, 0, VERSION)


def test_a_worker_of_another_version_refuses() -> None:
    refused = attempt(lost, 0, "9.9.9")
    assert isinstance(refused, Refused)
    assert isinstance(refused.error, CapabilityError)
    assert refused.error.message == f"this worker runs headrace {VERSION}, the client 9.9.9"
