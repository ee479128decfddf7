"""How the GPU workers of a run are set up; light, so that a command line can check it without a GPU."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Annotated, Final, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from headrace.schemas.errors import UsageError

Protocol = Literal["tcp", "ucxx"]

_SIZE: Final = re.compile(r"(?:\d+(?:\.\d+)? ?(?:[kMGT]i?)?B|0?\.\d+|1\.0|auto|default)")


def _size(text: str) -> str:
    if text and not _SIZE.fullmatch(text):
        raise ValueError("not a size")
    return text


class GpuOptions(BaseModel):
    """How each GPU worker that headrace starts uses its device. One worker has one GPU.

    Parameters
    ----------
    pool
        The part of the device's memory that a worker takes for its pool at the start, over 0 to 0.95: what CUDA and
        its libraries need beside it has to fit into the rest.
    spill
        Let cuDF move what its own frames hold to the host when the device is full. The tables of a query are not
        cuDF frames, and stay.
    protocol
        How workers talk: `tcp`, or `ucxx` over NVLink or InfiniBand, which needs distributed-ucxx.
    device_memory
        Dask-CUDA's `device_memory_limit`: bytes that Dask keeps on the device, such as `20GB`, a fraction such as
        `0.5`, `auto` or `default`. Empty: its default.
    interface
        The network interface to listen on, such as `ib0`. Anyone who reaches it can run code in the workers. Empty:
        the loopback address, which only this machine reaches.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pool: float = Field(0.8, gt=0, le=0.95, allow_inf_nan=False)
    spill: bool = True
    protocol: Protocol = "tcp"
    device_memory: Annotated[str, AfterValidator(_size)] = ""
    interface: str = Field("", pattern=r"^[A-Za-z0-9_.:@-]{0,64}$")


_EXPECTED: Final = {
    "pool": "a fraction of the device's memory over 0 and at most 0.95",
    "spill": "true or false",
    "protocol": " or ".join(get_args(Protocol)),
    "device_memory": "a size such as 20GB, a fraction such as 0.5, auto or default",
    "interface": "the name of a network interface, such as eth0",
}
_SUCH_AS: Final = {
    "pool": "0.7",
    "spill": "false",
    "protocol": "tcp",
    "device_memory": "20GB",
    "interface": "eth0",
}


def parse_gpu_options(words: Sequence[str]) -> GpuOptions:
    """The options that `KEY=VALUE` words name; the others keep their defaults.

    Raises
    ------
    UsageError
        A word without `=`, an unknown key, a key given twice, or a value that does not fit.
    """
    given: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key:
            raise UsageError(f"--gpu takes KEY=VALUE, got {word!r}", hint="such as --gpu pool=0.7")
        if key not in _EXPECTED:
            near = get_close_matches(key, _EXPECTED, n=1)
            meant = f"did you mean {near[0]}? " if near else ""
            raise UsageError(
                f"unknown option --gpu {key}: got {word!r}", hint=f"{meant}there are {', '.join(_EXPECTED)}"
            )
        if key in given:
            raise UsageError(f"--gpu {key} is given twice: {given[key]!r} and {value!r}")
        given[key] = value.strip()
    try:
        return GpuOptions.model_validate(given)
    except ValidationError as problem:
        key = str(problem.errors()[0]["loc"][0])
        raise UsageError(
            f"--gpu {key}: got {given[key]!r}, expected {_EXPECTED[key]}", hint=f"such as --gpu {key}={_SUCH_AS[key]}"
        ) from None
