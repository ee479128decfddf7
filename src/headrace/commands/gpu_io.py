"""How bytes get to a GPU: GPUDirect Storage, and the memory that processes share."""

from __future__ import annotations

import os
from ctypes.util import find_library
from pathlib import Path
from typing import Final

from headrace.commands.findings import Finding
from headrace.commands.layout import bytes_in_words
from headrace.engines.distributions import installed

_CUFILE_WHEELS: Final = ("nvidia-cufile", "nvidia-cufile-cu12")
_LITTLE_SHARED: Final = 1 << 30
"""What RAPIDS' own containers are started with (--shm-size=1g); a container has 64 MiB where nobody says."""
_ON: Final = ("ON", "TRUE", "YES", "1")
_OFF: Final = ("OFF", "FALSE", "NO", "0")


def storage() -> Finding:
    """Whether files can be read into a GPU's memory without a way through the host's; runs do without.

    Source of the conditions: KvikIO's runtime settings, https://docs.nvidia.com/kvikio/26.10/runtime_settings/
    """
    module = _exists("/proc/driver/nvidia-fs")
    library = next((f"{name} {v}" for name in _CUFILE_WHEELS if (v := installed(name))), "") or find_library("cufile")
    config = os.environ.get("CUFILE_ENV_PATH_JSON") or "/etc/cufile.json"
    mode = os.environ.get("KVIKIO_COMPAT_MODE", "")
    udev = os.access("/run/udev", os.R_OK)
    words = ", ".join(
        (
            f"kernel module nvidia-fs {'loaded' if module else 'not loaded'}",
            f"libcufile from {library}" if library else "no libcufile",
            config if _exists(config) else f"no {config}",
            f"KVIKIO_COMPAT_MODE {mode or 'not set'}",
            *(() if udev else ("/run/udev cannot be read",)),
        )
    )
    if mode.upper() in _OFF and not (module and library):
        return Finding("GDS", "warning", words, "unset KVIKIO_COMPAT_MODE: OFF makes reads fail where GDS is not whole")
    if module and library and udev and mode.upper() not in _ON:
        return Finding("GDS", "ok", words)
    return Finding("GDS", "absent", f"{words}; files go through the host's memory")


def shared_memory(*, gpu: bool) -> Finding:
    """The size of /dev/shm, through which NCCL and UCX pass data between processes."""
    try:
        size = os.statvfs("/dev/shm")
    except OSError as error:
        return Finding("shared memory", "warning" if gpu else "absent", f"/dev/shm: {error.strerror}")
    total, free = size.f_blocks * size.f_frsize, size.f_bavail * size.f_frsize
    words = f"{bytes_in_words(free)} free of {bytes_in_words(total)} at /dev/shm"
    if gpu and free < _LITTLE_SHARED:
        advice = "several GPUs pass data through it: give it 1 GiB or more; in a container, docker run --shm-size=8g"
        return Finding("shared memory", "warning", words, advice)
    return Finding("shared memory", "ok", words)


def _exists(path: str) -> bool:
    return Path(path).exists()
