"""What this machine offers, as the one node of an `Inventory`. Limits of a container count as the machine's size."""

import os
import platform
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from inferry_runtime.hardware import Accelerator, Hardware, Inventory, Vendor

NODE_NAME = "local"
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True, kw_only=True)
class NvidiaDevice:
    index: int
    """In the order of PCI buses, which is NVML's and, with CUDA_DEVICE_ORDER=PCI_BUS_ID, CUDA's."""
    product: str
    memory_bytes: int
    compute_capability: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    inventory: Inventory
    devices: tuple[int, ...]
    """Indices of its NVIDIA devices."""


def machine() -> Inventory:
    """What a process with our environment may use. Takes as long as `survey`."""
    return survey(os.environ).inventory


def survey(environment: Mapping[str, str]) -> Machine:
    """Takes milliseconds without a GPU driver, up to seconds while one wakes up; call it in a thread."""
    memory_bytes = _memory_bytes()
    devices = nvidia_devices(environment)
    node = Hardware(
        name=NODE_NAME,
        system=sys.platform,
        machine=platform.machine(),
        cpus=_cpus(),
        memory_bytes=memory_bytes,
        accelerators=_nvidia(devices) or _apple(memory_bytes),
    )
    return Machine(inventory=Inventory(nodes=(node,)), devices=tuple(device.index for device in devices))


def given(devices: Sequence[int]) -> Mapping[str, str]:
    """Environment of a process that may use these NVIDIA devices and no others; nothing when it needs none."""
    if not devices:
        return {}
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": ",".join(map(str, devices))}


def cpu_quota(root: Path) -> float | None:
    """CPUs a control group (version 2, then 1) may use; None without a limit."""
    both = _words(root / "cpu.max")
    if len(both) == 2 and both[0] != "max":
        return int(both[0]) / int(both[1])
    quota, period = _words(root / "cpu/cpu.cfs_quota_us"), _words(root / "cpu/cpu.cfs_period_us")
    if quota and period and int(quota[0]) > 0:
        return int(quota[0]) / int(period[0])
    return None


def memory_limit(root: Path) -> int | None:
    """Bytes a control group may use; None without a limit."""
    for path in (root / "memory.max", root / "memory/memory.limit_in_bytes"):
        words = _words(path)
        if words and words[0] != "max":
            return int(words[0])
    return None


def _cpus() -> float:
    usable = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    quotas = [quota for root in _own_groups() if (quota := cpu_quota(root)) is not None]
    return min([usable, *quotas])


def _memory_bytes() -> int:
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [limit for root in _own_groups() if (limit := memory_limit(root)) is not None]
    # Version 1 says "no limit" with a number near 2^63, which the minimum drops.
    return min([physical, *limits])


def _own_groups() -> tuple[Path, ...]:
    """The mounted root, which is a container's own group, and our group and its parents below it."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except FileNotFoundError:
        return (_CGROUP,)
    unified = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    own = _CGROUP / unified
    return (_CGROUP, *(path for path in (own, *own.parents) if path.is_relative_to(_CGROUP) and path != _CGROUP))


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def visible(setting: str | None, uuids: Sequence[str]) -> tuple[int, ...]:
    """Pure: indices of the devices `CUDA_VISIBLE_DEVICES` leaves us; all of them when it is not set. As CUDA does, a
    UUID may be cut short, and the first entry that names no device ends the list."""
    if setting is None:
        return tuple(range(len(uuids)))
    chosen: list[int] = []
    for word in filter(None, map(str.strip, setting.split(","))):
        index = int(word) if word.isdecimal() else next((i for i, one in enumerate(uuids) if one.startswith(word)), -1)
        if not 0 <= index < len(uuids):
            break
        chosen.append(index)
    return tuple(sorted(chosen))


def nvidia_devices(environment: Mapping[str, str]) -> tuple[NvidiaDevice, ...]:
    """By NVML, in its order. No driver, no library and no device all mean none."""
    try:
        import pynvml  # type: ignore[import-untyped]  # the package has no stubs
    except ImportError:
        return ()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        uuids = [_text(pynvml.nvmlDeviceGetUUID(handle)) for handle in handles]
        chosen = visible(environment.get("CUDA_VISIBLE_DEVICES"), uuids)
        return tuple(_nvidia_device(index, handles[index]) for index in chosen)
    finally:
        pynvml.nvmlShutdown()


def _nvidia_device(index: int, handle: object) -> NvidiaDevice:
    import pynvml

    major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
    return NvidiaDevice(
        index=index,
        product=_text(pynvml.nvmlDeviceGetName(handle)),
        memory_bytes=int(pynvml.nvmlDeviceGetMemoryInfo(handle).total),
        compute_capability=f"{major}.{minor}",
    )


def _text(said: str | bytes) -> str:
    return said.decode() if isinstance(said, bytes) else said


def _nvidia(devices: Sequence[NvidiaDevice]) -> tuple[Accelerator, ...]:
    """Equal devices together."""
    kinds = Counter((one.product, one.memory_bytes, one.compute_capability) for one in devices)
    return tuple(
        Accelerator(
            vendor=Vendor.NVIDIA, product=product, count=count, memory_bytes=memory, compute_capability=capability
        )
        for (product, memory, capability), count in sorted(kinds.items())
    )


def _apple(memory_bytes: int) -> tuple[Accelerator, ...]:
    """Apple silicon shares all its memory with the GPU."""
    if sys.platform != "darwin" or platform.machine() != "arm64":
        return ()
    asked = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False)
    product = asked.stdout.strip() or "Apple silicon"
    return (Accelerator(vendor=Vendor.APPLE, product=product, count=1, memory_bytes=memory_bytes),)
