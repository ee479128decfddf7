from __future__ import annotations

import os
import subprocess
import sys

import pytest
from tests.engines import fake_nvml
from tests.engines.fake_nvml import GIB, Device, FakeNvml, put

from headrace.engines import detect, obstacles
from headrace.engines.detect import Gpu, choose, gpus, visible
from headrace.engines.gpu import requirements
from headrace.engines.gpu.requirements import Problem
from headrace.engines.nvml import look
from headrace.schemas.errors import CapabilityError

TWO = (Gpu(0, "GPU-aaa-1", "H200", 1 << 37), Gpu(1, "GPU-bbb-2", "H200", 1 << 37))
SMALL = [Device(f"MIG-{letter}", "NVIDIA H200 MIG 1g.18gb", 16 * GIB, 15 * GIB) for letter in "abc"]


def refusal(pool: float = 0.8) -> tuple[str, str]:
    """The message and the hint of `--engine gpu`; `auto` gives the CPU with the message's first line."""
    with pytest.raises(CapabilityError) as caught:
        choose("gpu", pool, patience_seconds=0)
    message = caught.value.message.removeprefix("the GPU engine cannot run here: ")
    chosen = choose("auto", pool, patience_seconds=0)
    assert chosen.engine == "cpu"
    assert "\n" not in chosen.reason
    assert chosen.reason.startswith(message.partition("\n")[0])
    assert choose("cpu", pool) == ("cpu", "asked for")
    assert "--engine cpu" in caught.value.hint
    return message, caught.value.hint


@pytest.mark.parametrize(
    ("setting", "indexes"),
    [
        (None, [0, 1]),
        ("0,1", [0, 1]),
        ("1", [1]),
        ("1, 0", [1, 0]),
        ("", []),
        ("-1", []),
        ("0,-1,1", [0]),
        ("7,0", []),
        ("GPU-bbb", [1]),
        ("GPU-bbb-2,GPU-aaa-1", [1, 0]),
        ("GPU-", []),
    ],
)
def test_cuda_visible_devices(setting: str | None, indexes: list[int]) -> None:
    assert [g.index for g in visible(TWO, setting)] == indexes


def test_a_gpu_is_all_that_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = put(monkeypatch, FakeNvml(Device(), Device("GPU-bbbb-2")))
    assert choose("auto") == ("gpu", "2 GPU(s): NVIDIA H200, NVIDIA H200")
    assert choose("gpu", count=1).reason == "1 GPU(s): NVIDIA H200"
    assert choose("cpu") == ("cpu", "asked for")
    assert nvml.open == 0  # as often shut down as started


def test_what_nvml_says_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(processes={41: 3 * GIB, 42: None})
    put(monkeypatch, FakeNvml(device, names={41: "/usr/bin/python3 -m training"}))
    (gpu,) = gpus()
    assert (gpu.index, gpu.uuid, gpu.name, gpu.device) == (0, "GPU-aaaa-1", "NVIDIA H200", "0")
    assert (gpu.memory_bytes, gpu.free_bytes, gpu.capability, gpu.mig) == (140 * GIB, 139 * GIB, (9, 0), False)
    assert [(p.pid, p.name, p.memory_bytes) for p in gpu.processes] == [(41, "python3", 3 * GIB), (42, "", None)]
    assert (look().driver, look().cuda) == ("580.65.06", (13, 0))


def test_the_functions_of_pynvml_are_those_that_it_has() -> None:
    pynvml = pytest.importorskip("pynvml")
    called = [name for name in vars(FakeNvml) if name.startswith("nvml")]
    errors = [name for name in vars(fake_nvml) if name.startswith("NVMLError")]
    assert len(called) == 15
    assert [name for name in (*called, *errors) if not hasattr(pynvml, name)] == []


def test_the_cpu_is_chosen_without_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detect, "look", lambda: pytest.fail("NVML is asked"))
    assert choose("cpu") == ("cpu", "asked for")
    assert choose("gpu", elsewhere=True) == ("gpu", "asked for, on other machines")


def test_no_binding(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, FakeNvml())
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert gpus() == ()
    what, remedy = refusal()
    assert what == "GPUs cannot be looked for: nvidia-ml-py is not installed"
    assert remedy.startswith("pip install 'headrace[cuda13]'")


@pytest.mark.parametrize(
    ("error", "what", "remedy"),
    [
        ("LibraryNotFound", "there is no NVIDIA driver: libnvidia-ml.so.1 is not there", "docker run --gpus all"),
        ("DriverNotLoaded", "the NVIDIA driver is not loaded", "modprobe nvidia"),
        ("LibRmVersionMismatch", "library and its kernel module are of different versions", "start the machine again"),
        ("NoPermission", "this user may not ask the NVIDIA driver", "/dev/nvidiactl"),
        ("GpuIsLost", "NVML does not start: said NVML", "nvidia-smi"),
    ],
)
def test_no_driver(monkeypatch: pytest.MonkeyPatch, error: str, what: str, remedy: str) -> None:
    put(monkeypatch, FakeNvml(start=getattr(fake_nvml, f"NVMLError_{error}")("said NVML")))
    found = refusal()
    assert what in found[0]
    assert remedy in found[1]
    assert gpus() == ()


def test_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, FakeNvml())
    assert refusal()[0] == "there is a driver, but NVML finds no GPU"


def test_a_lost_gpu_is_named_and_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = FakeNvml(Device(), Device(lost=True))
    put(monkeypatch, nvml)
    what, remedy = refusal()
    assert what == "1 GPU(s) cannot be asked\n  GPU 1: GPU is lost"
    assert "CUDA_VISIBLE_DEVICES=0;" in remedy
    put(monkeypatch, nvml, setting="0")
    assert choose("gpu").engine == "gpu"
    put(monkeypatch, nvml, setting="1")
    assert refusal()[0].startswith("CUDA_VISIBLE_DEVICES is '1', and '1' names no GPU here (GPU is lost)")
    put(monkeypatch, FakeNvml(Device(lost=True)))
    assert refusal()[0] == "NVML cannot ask any GPU\n  GPU 0: GPU is lost"


@pytest.mark.parametrize("setting", ["", "-1", "NoDevFiles", " "])
def test_cuda_visible_devices_hides_all(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    put(monkeypatch, FakeNvml(Device(), Device("GPU-bbbb-2")), setting=setting)
    what, remedy = refusal()
    assert what == (
        f"CUDA_VISIBLE_DEVICES is {setting!r}, which hides the 2 GPU(s) of this machine\n"
        "  there is 0 (NVIDIA H200), GPU-aaaa-1\n"
        "  there is 1 (NVIDIA H200), GPU-bbbb-2"
    )
    assert remedy.startswith("unset it, or name GPUs that are there, such as CUDA_VISIBLE_DEVICES=0,1;")


@pytest.mark.parametrize(
    ("setting", "what"),
    [
        ("7", "'7' names no GPU here"),
        ("0,7", "'7' names no GPU here"),
        ("all", "'all' names no GPU here"),
        ("GPU-cc", "'GPU-cc' names no GPU here"),
        ("MIG-x", "'MIG-x' names no GPU here"),
        ("GPU-", "'GPU-' fits 2 GPUs"),
    ],
)
def test_cuda_visible_devices_is_wrong(monkeypatch: pytest.MonkeyPatch, setting: str, what: str) -> None:
    put(monkeypatch, FakeNvml(Device(), Device("GPU-bbbb-2")), setting=setting)
    assert refusal()[0].startswith(f"CUDA_VISIBLE_DEVICES is {setting!r}, and {what}\n  there is 0 (NVIDIA H200)")


def test_cuda_visible_devices_names_a_gpu_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, FakeNvml(Device(), Device("GPU-bbbb-2")), setting="0,GPU-aaaa")
    assert refusal()[0].startswith("CUDA_VISIBLE_DEVICES is '0,GPU-aaaa', which names GPU-aaaa-1 more than once\n")


def test_the_list_may_be_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, FakeNvml(Device(), Device("GPU-bbbb-2", "NVIDIA L4")), setting="1,-1,0")
    assert choose("gpu") == ("gpu", "1 GPU(s): NVIDIA L4")


def test_a_gpu_in_mig_mode_is_not_used_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, FakeNvml(Device(instances=[SMALL[0], None, SMALL[1]])))
    what, remedy = refusal()
    assert what == (
        "GPU 0 (NVIDIA H200) is in MIG mode, and cannot be used as a whole; 2 instance(s) of it can be seen\n"
        "  MIG-a: NVIDIA H200 MIG 1g.18gb, 16.0 GiB\n"
        "  MIG-b: NVIDIA H200 MIG 1g.18gb, 16.0 GiB"
    )
    assert remedy.startswith("name instances in full, such as CUDA_VISIBLE_DEVICES=MIG-a; or turn MIG off")
    put(monkeypatch, FakeNvml(Device(instances=[None])))
    assert refusal()[1].startswith("make instances (nvidia-smi mig -cgi ...)")
    put(monkeypatch, FakeNvml(Device(instances=SMALL), Device("GPU-bbbb-2")))
    assert refusal()[1].startswith("leave it out: CUDA_VISIBLE_DEVICES=1; name instances in full")


def test_named_mig_instances_of_one_size_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, FakeNvml(Device(instances=SMALL), Device("GPU-bbbb-2")), setting="MIG-c,MIG-a")
    assert choose("gpu").reason == "2 GPU(s): NVIDIA H200 MIG 1g.18gb, NVIDIA H200 MIG 1g.18gb"
    assert [(g.device, g.index, g.memory_bytes, g.is_instance) for g in gpus()] == [
        ("MIG-c", 0, 16 * GIB, True),
        ("MIG-a", 0, 16 * GIB, True),
    ]


@pytest.mark.parametrize(
    ("setting", "what"),
    [
        ("MIG-a,MIG-z", "the MIG instances differ in memory; each worker gets a pool of the same size"),
        ("MIG-a,1", "CUDA_VISIBLE_DEVICES names GPUs beside MIG instances"),
    ],
)
def test_mig_instances_that_do_not_go_together(monkeypatch: pytest.MonkeyPatch, setting: str, what: str) -> None:
    large = Device("MIG-z", "NVIDIA H200 MIG 3g.71gb", 70 * GIB, 70 * GIB)
    put(monkeypatch, FakeNvml(Device(instances=[*SMALL, large]), Device("GPU-bbbb-2")), setting=setting)
    assert refusal()[0].startswith(f"{what}\n  MIG-a: NVIDIA H200 MIG 1g.18gb, 16.0 GiB\n")


@pytest.mark.parametrize(
    ("driver", "cuda", "installed", "what", "remedy"),
    [
        (
            "570.86.15",
            12080,
            "13",
            "driver 570.86.15 does CUDA 12.8; RAPIDS 26.10 for CUDA 13 needs driver 580 or newer, which does CUDA 13.0",
            "install driver 580 or newer, or make a new environment with 'headrace[cuda12]'; or run with --engine cpu",
        ),
        (
            "525.147.05",
            12000,
            "12",
            "driver 525.147.05 does CUDA 12.0; RAPIDS 26.10 for CUDA 12 needs driver 535 or newer, "
            "which does CUDA 12.2",
            "install driver 580 or newer; or run with --engine cpu",
        ),
        (
            "470.256.02",
            11040,
            None,
            "driver 470.256.02 does CUDA 11.4; RAPIDS 26.10 for CUDA 12 needs driver 535 or newer, "
            "which does CUDA 12.2",
            "install driver 580 or newer; or run with --engine cpu",
        ),
    ],
)
def test_too_old_a_driver(
    monkeypatch: pytest.MonkeyPatch, driver: str, cuda: int, installed: str | None, what: str, remedy: str
) -> None:
    put(monkeypatch, FakeNvml(Device(), driver=driver, cuda=cuda), cuda=installed)
    assert refusal() == (what, remedy)


@pytest.mark.parametrize(("cuda", "installed"), [(13000, "13"), (13030, "13"), (13000, "12"), (12020, "12")])
def test_a_driver_that_is_new_enough(monkeypatch: pytest.MonkeyPatch, cuda: int, installed: str) -> None:
    put(monkeypatch, FakeNvml(Device(), cuda=cuda), cuda=installed)
    assert choose("gpu").engine == "gpu"


def test_a_driver_without_libcuda(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, FakeNvml(Device(), cuda=None))
    what, remedy = refusal()
    assert what == "the CUDA library of driver 580.65.06 is not there (libcuda.so.1)"
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,utility" in remedy


@pytest.mark.parametrize(
    ("cuda", "capability", "extra"),
    [(13000, (9, 0), "cuda13"), (12040, (9, 0), "cuda12"), (13000, (7, 0), "cuda12")],
)
def test_the_extra_that_is_missing_suits_driver_and_gpu(
    monkeypatch: pytest.MonkeyPatch, cuda: int, capability: tuple[int, int], extra: str
) -> None:
    put(monkeypatch, FakeNvml(Device(capability=capability), cuda=cuda), cuda=None)
    assert refusal() == (
        f"the extra {extra} is not installed",
        f"pip install 'headrace[{extra}]'; or run with --engine cpu",
    )


def test_packages_of_other_versions_are_each_named(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, FakeNvml(Device()))
    wrong = (Problem("cudf-cu13", "26.8.1", "==26.10.*"), Problem("rmm-cu13", "", "==26.10.*"))
    monkeypatch.setattr(requirements, "problems", lambda cuda: wrong if cuda == "13" else ())
    what, remedy = refusal()
    assert what == (
        "2 package(s) are not those that headrace is pinned to\n"
        "  cudf-cu13: got 26.8.1, expected 26.10.*\n"
        "  rmm-cu13: got not installed, expected 26.10.*"
    )
    assert remedy == "pip install --upgrade 'headrace[cuda13]'; or run with --engine cpu"
    one_line = "cudf-cu13: got 26.8.1, expected 26.10.*; rmm-cu13: got not installed, expected 26.10.*"
    assert choose("auto").reason.endswith(one_line)


def test_packages_for_two_versions_of_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, FakeNvml(Device()))
    monkeypatch.setattr(requirements, "installed_for", lambda: ("13", "12"))
    monkeypatch.setattr(requirements, "installed_of", lambda cuda: (f"cudf-cu{cuda}",))
    what, remedy = refusal()
    assert what.splitlines()[1:] == ["  cudf-cu13", "  cudf-cu12"]
    assert remedy.startswith("make a new environment, and there pip install 'headrace[cuda13]'")


@pytest.mark.parametrize(
    ("capability", "installed", "oldest", "remedy"),
    [
        ((7, 0), "13", "7.5", "make a new environment with 'headrace[cuda12]', leave them out of CUDA_VISIBLE_DEVICES"),
        ((6, 1), "12", "7.0", "leave them out of CUDA_VISIBLE_DEVICES"),
    ],
)
def test_too_old_a_gpu(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], installed: str, oldest: str, remedy: str
) -> None:
    put(monkeypatch, FakeNvml(Device(), Device("GPU-old", "Tesla", capability=capability)), cuda=installed)
    found = refusal()
    assert found[0] == (
        f"1 GPU(s) have a compute capability under {oldest}, which RAPIDS 26.10 for CUDA {installed} needs\n"
        f"  GPU 1 (Tesla): {capability[0]}.{capability[1]}"
    )
    assert found[1].startswith(remedy)


def test_a_gpu_that_no_extra_suits(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, FakeNvml(Device(name="Tesla P100", capability=(6, 0))), cuda=None)
    assert "\n  GPU 0 (Tesla P100): 6.0" in refusal()[0]


def test_a_busy_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = Device("GPU-bbbb-2", free=77 * GIB, processes={4242: 60 * GIB, 4243: None})
    put(monkeypatch, FakeNvml(Device(), busy, names={4242: "/opt/python"}))
    what, remedy = refusal()
    assert what == (
        "1 GPU(s) are busy\n"
        "  GPU 1 (NVIDIA H200): 77.0 GiB free, 112.0 GiB asked for (pool=0.8 of 140.0 GiB)\n"
        "    process 4242 (python) holds 60.0 GiB\n"
        "    process 4243"
    )
    assert remedy.startswith("ask for less (--gpu pool=0.5), end what runs there, choose other GPUs")
    assert choose("gpu", 0.5).engine == "gpu"
    assert choose("gpu", count=1).engine == "gpu"


def test_a_gpu_with_next_to_nothing_free(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, FakeNvml(Device(free=3 * GIB)))
    assert refusal()[1].startswith("wait until it is free, end what runs there")


def test_a_gpu_that_becomes_free_in_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = put(monkeypatch, FakeNvml(Device(free=GIB)))
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            nvml.devices[0] = Device()

    monkeypatch.setattr(detect.time, "sleep", sleep)
    assert choose("gpu", patience_seconds=60).engine == "gpu"
    assert waited == [0.1] * 3


def test_what_this_process_holds_is_its_own_to_use(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Device(free=20 * GIB, processes={os.getpid(): 112 * GIB})
    put(monkeypatch, FakeNvml(held))
    assert choose("gpu").engine == "gpu"
    # In a container NVML lists no process: with an engine open here, nothing can be said.
    put(monkeypatch, FakeNvml(Device(free=20 * GIB)))
    assert refusal()[0].startswith("1 GPU(s) are busy")
    monkeypatch.setitem(sys.modules, "headrace.engines.gpu.memory", obstacles)
    assert choose("gpu").engine == "gpu"


def test_a_gpu_without_memory_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, FakeNvml(Device(name="NVIDIA GB10", own_memory=False)))
    assert refusal()[0].endswith("have no memory of their own, which a pool could be a part of\n  GPU 0 (NVIDIA GB10)")


def test_a_long_list_is_cut_in_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, FakeNvml(Device()))
    wrong = tuple(Problem(f"lib{n}", "1", "==26.10.*") for n in range(9))
    monkeypatch.setattr(requirements, "problems", lambda _: wrong)
    assert choose("auto").reason.endswith("lib2: got 1, expected 26.10.*; 6 more")


@pytest.mark.slow
def test_to_choose_imports_nothing_of_rapids() -> None:
    code = (
        "from headrace.engines.detect import choose; choose('auto'); import sys; "
        "print(sorted({'pylibcudf', 'cudf', 'cudf_polars', 'rmm', 'dask_cuda', 'cuml', 'cuda'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout == "[]\n"
