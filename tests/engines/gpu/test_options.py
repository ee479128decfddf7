"""What --gpu takes, and what it says of the rest."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from headrace.engines.gpu.options import GpuOptions, parse_gpu_options
from headrace.schemas.errors import UsageError


def test_nothing_given_keeps_the_defaults() -> None:
    assert parse_gpu_options([]) == GpuOptions(pool=0.8, spill=True, protocol="tcp", device_memory="", interface="")


def test_words_set_fields() -> None:
    words = ["pool=0.5", "spill=off", "protocol = ucxx", "device-memory=20GB", "interface=ib0"]
    assert parse_gpu_options(words) == GpuOptions(
        pool=0.5, spill=False, protocol="ucxx", device_memory="20GB", interface="ib0"
    )


@pytest.mark.parametrize("size", ["20GB", "20 GiB", "1.5TB", "5000MB", "0.5", ".5", "1.0", "auto", "default", "1000B"])
def test_sizes_are_those_of_dask_cuda(size: str) -> None:
    assert parse_gpu_options([f"device_memory={size}"]).device_memory == size


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("pool", "--gpu takes KEY=VALUE, got 'pool'"),
        ("=1", "--gpu takes KEY=VALUE, got '=1'"),
        ("memory=1", "unknown option --gpu memory: got 'memory=1'"),
        ("pool=0", "--gpu pool: got '0', expected a fraction of the device's memory over 0 and at most 0.95"),
        ("pool=1", "--gpu pool: got '1', expected a fraction of the device's memory over 0 and at most 0.95"),
        ("pool=nan", "--gpu pool: got 'nan', expected a fraction of the device's memory over 0 and at most 0.95"),
        ("spill=perhaps", "--gpu spill: got 'perhaps', expected true or false"),
        ("protocol=ucx", "--gpu protocol: got 'ucx', expected tcp or ucxx"),
        (
            "device_memory=lots",
            "--gpu device_memory: got 'lots', expected a size such as 20GB, a fraction such as 0.5, auto or default",
        ),
        (
            "device_memory=2",
            "--gpu device_memory: got '2', expected a size such as 20GB, a fraction such as 0.5, auto or default",
        ),
        ("interface=a b", "--gpu interface: got 'a b', expected the name of a network interface, such as eth0"),
    ],
)
def test_what_does_not_fit_is_a_wrong_call(word: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_gpu_options([word])
    assert caught.value.message == message


def test_a_near_name_is_suggested() -> None:
    with pytest.raises(UsageError) as caught:
        parse_gpu_options(["protocoll=tcp"])
    assert caught.value.hint == ("did you mean protocol? there are pool, spill, protocol, device_memory, interface")


def test_a_key_given_twice_is_a_wrong_call() -> None:
    with pytest.raises(UsageError, match=r"--gpu pool is given twice: '0\.5' and '0\.6'"):
        parse_gpu_options(["pool=0.5", "pool=0.6"])


def test_options_are_values() -> None:
    options = GpuOptions(pool=0.5)
    assert options == GpuOptions.model_validate_json(options.model_dump_json())
    with pytest.raises(ValidationError):
        options.pool = 0.6  # type: ignore[misc]
