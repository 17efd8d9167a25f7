"""What this machine offers, as the one node of an `Inventory`. Limits of a container count as the machine's size."""

import os
import platform
import subprocess
import sys
from collections import Counter
from pathlib import Path

from inferry_runtime.hardware import Accelerator, Hardware, Inventory, Vendor

NODE_NAME = "local"
_CGROUP = Path("/sys/fs/cgroup")


def machine() -> Inventory:
    """Takes milliseconds without a GPU driver, up to seconds while one wakes up; call it in a thread."""
    memory_bytes = _memory_bytes()
    accelerators = _nvidia() or _apple(memory_bytes)
    node = Hardware(
        name=NODE_NAME,
        system=sys.platform,
        machine=platform.machine(),
        cpus=_cpus(),
        memory_bytes=memory_bytes,
        accelerators=accelerators,
    )
    return Inventory(nodes=(node,))


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


def _nvidia() -> tuple[Accelerator, ...]:
    """By NVML. No driver, no library and no device all mean no accelerator."""
    try:
        import pynvml  # type: ignore[import-untyped]  # the package has no stubs
    except ImportError:
        return ()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        devices = Counter(_nvidia_device(index) for index in range(pynvml.nvmlDeviceGetCount()))
    finally:
        pynvml.nvmlShutdown()
    return tuple(
        Accelerator(
            vendor=Vendor.NVIDIA, product=product, count=count, memory_bytes=memory, compute_capability=capability
        )
        for (product, memory, capability), count in sorted(devices.items())
    )


def _nvidia_device(index: int) -> tuple[str, int, str]:
    import pynvml

    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    name = pynvml.nvmlDeviceGetName(handle)
    major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
    product = name.decode() if isinstance(name, bytes) else str(name)
    return product, int(pynvml.nvmlDeviceGetMemoryInfo(handle).total), f"{major}.{minor}"


def _apple(memory_bytes: int) -> tuple[Accelerator, ...]:
    """Apple silicon shares all its memory with the GPU."""
    if sys.platform != "darwin" or platform.machine() != "arm64":
        return ()
    asked = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False)
    product = asked.stdout.strip() or "Apple silicon"
    return (Accelerator(vendor=Vendor.APPLE, product=product, count=1, memory_bytes=memory_bytes),)
