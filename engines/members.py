"""Who the workers of a cluster are: whether there are any, their versions, and the GPU of each."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Final

from headrace.engines import detect
from headrace.schemas.errors import CapabilityError, RunError

_SAME_EVERYWHERE: Final = ("headrace", "polars", "python")
_SAME_ON_GPUS: Final = ("cudf-polars", "pylibcudf", "cuml")
_VARIANTS: Final = ("-cu13", "-cu12", "")


@dataclass(frozen=True)
class Member:
    """What a worker says of itself.

    Parameters
    ----------
    uuids
        The GPUs that its CUDA_VISIBLE_DEVICES leaves visible; the first is the one it works on.
    versions
        Of the packages that have to be the same on all workers with a GPU, in a fixed order.
    """

    uuids: tuple[str, ...]
    versions: tuple[str, ...]


def member() -> Member:
    """In a worker: who it is. NVML is asked, so no CUDA context is made."""
    return Member(tuple(gpu.uuid for gpu in detect.gpus()), _gpu_versions())


def compare_versions(client: Any, cluster: str) -> None:
    """Check that all workers have the headrace, Polars and Python of this process.

    Raises
    ------
    CapabilityError
        They have not, or a worker cannot import headrace; each difference is named.
    """
    versions = client.get_versions(packages=list(_SAME_EVERYWHERE[:2]))
    expected = {name: _text(versions["client"]["packages"], name) for name in _SAME_EVERYWHERE}
    found = []
    for worker, answer in sorted(versions["workers"].items()):
        for name in _SAME_EVERYWHERE:
            got = _text(answer["packages"], name)
            if got != expected[name]:
                found.append(f"worker {worker}: {name}: got {got}, expected {expected[name]}")
    if not found:
        # Source text is the one thing that any Python can take without our modules.
        answers = client.run(exec, "import headrace.engines.members, headrace.engines.remote", on_error="return")
        found = [
            f"worker {worker}: cannot import headrace: {answer!r}"
            for worker, answer in sorted(answers.items())
            if answer is not None
        ]
    if found:
        raise CapabilityError(
            f"{len(found)} difference(s) between this client and the workers:\n  " + "\n  ".join(found),
            hint=f"install headrace {expected['headrace']} with polars {expected['polars']} "
            f"on Python {expected['python']} on every worker, and start them again",
            where=cluster,
        )


def check_gpus(client: Any, cluster: str, start: str) -> None:
    """Check that each worker has a GPU of its own, one thread, and the RAPIDS packages of this process.

    Parameters
    ----------
    start
        What to do about workers that were started in another way.

    Raises
    ------
    CapabilityError
        One has not; the workers, their GPUs and versions are named.
    """
    answers = dict(sorted(client.run(member, on_error="return").items()))
    failed = [f"worker {worker}: {answer!r}" for worker, answer in answers.items() if not isinstance(answer, Member)]
    members = {worker: answer for worker, answer in answers.items() if isinstance(answer, Member)}
    threads = client.nthreads()
    expected = _gpu_versions()
    without = [f"worker {worker}" for worker, m in members.items() if not m.uuids]
    on_gpu = defaultdict(list)
    for worker, found in members.items():
        on_gpu[found.uuids[:1]].append(f"worker {worker}")
    sharing = [f"{uuid[0]}: {', '.join(names)}" for uuid, names in on_gpu.items() if uuid and len(names) > 1]
    busy = [f"worker {worker}: got {n} threads, expected 1" for worker, n in sorted(threads.items()) if n != 1]
    other = [
        f"worker {worker}: {name}: got {got}, expected {wanted}"
        for worker, m in members.items()
        for name, got, wanted in zip(_SAME_ON_GPUS, m.versions, expected, strict=True)
        if got != wanted
    ]
    same = "install the same versions on every worker, and start them again"
    for problem, lines, hint in (
        ("worker(s) cannot be asked for their GPU", failed, start),
        ("worker(s) have no GPU", without, start),
        ("GPU(s) with more than one worker, each needs its own", sharing, start),
        ("worker(s) run several tasks at once on a GPU", busy, start),
        ("difference(s) between this client and the workers", other, same),
    ):
        if lines:
            raise CapabilityError(f"{len(lines)} {problem}:\n  " + "\n  ".join(lines), hint=hint, where=cluster)


def wait_for_worker(client: Any, cluster: str, start: str, deadline: float, seconds: float) -> None:
    """Return when a worker is there.

    Raises
    ------
    CapabilityError
        None is, at the deadline (of `time.monotonic`), which was so many seconds away.
    """
    while not client.nthreads():
        if time.monotonic() > deadline:
            raise CapabilityError(
                f"the scheduler has no workers, and none joined in {seconds:.0f} s", hint=start, where=cluster
            )
        time.sleep(0.05)


class WorkersLeft:
    """A watch over workers that someone else starts again: they may become fewer, but not none for long."""

    def __init__(self, client: Any, address: str, hint: str, patience_seconds: float) -> None:
        self._client = client
        self._address = address
        self._hint = hint
        self._patience = patience_seconds
        self._empty_since: float | None = None

    def __call__(self) -> int:
        try:
            threads = int(sum(self._client.nthreads().values()))
        except Exception:  # a connection that breaks shows up in the tasks' own results
            return 1
        if threads:
            self._empty_since = None
            return threads
        now = time.monotonic()
        self._empty_since = self._empty_since or now
        if now - self._empty_since > self._patience:
            raise RunError(
                f"no worker is left, and none came back in {self._patience:.0f} s",
                hint=self._hint,
                where=self._address,
            )
        return 1


def _gpu_versions() -> tuple[str, ...]:
    return tuple(_installed(name) for name in _SAME_ON_GPUS)


def _installed(name: str) -> str:
    for variant in _VARIANTS:
        try:
            return metadata.version(name + variant)
        except metadata.PackageNotFoundError:
            continue
    return "not installed"


def _text(packages: dict[str, str | None], name: str) -> str:
    version = packages.get(name) or "not installed"
    return ".".join(version.split(".")[:2]) if name == "python" else version
