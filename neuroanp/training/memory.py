"""The memory of the machine: how much of it a run may take, and that what is freed stays in the process."""

from __future__ import annotations

import ctypes
import platform
from pathlib import Path

import torch

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_MMAP_THRESHOLD = 32 << 20
CGROUPS = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))
"""Limit and use in the control groups of Linux, version 2 and 1."""


def keep_freed_memory(limit: int = 1 << 30) -> bool:
    """Tell the C library to hand freed blocks out again instead of returning them to the system.

    An update makes the same arrays of a few MB again and again. Where each is mapped anew, the
    system zeroes and maps its pages every time, which took a third of an update (hidden 256,
    batch 32, T = 100). The setting holds for the whole process; it changes no result.

    Args:
        limit: bytes of free memory the process may keep.

    Returns: whether the C library is one that takes the setting (glibc); elsewhere nothing happens.

    Source: mallopt(3), Linux manual pages.

    >>> keep_freed_memory() == (platform.libc_ver()[0] == "glibc")
    True
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    blocks = mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
    return bool(mallopt(M_TRIM_THRESHOLD, min(limit, (1 << 31) - 1)) and blocks)


def available_memory(device: str = "cpu") -> int | None:
    """Return how many bytes can still be had on a torch device, or None where the system does not tell."""
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(torch.device(device))[0])
    found = [_meminfo(Path("/proc/meminfo")), *map(_left_in, (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory")))]
    return min((size for size in found if size is not None), default=None)


def _meminfo(path: Path) -> int | None:
    """Return what Linux says is available for new work without swapping."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)


def _left_in(group: Path) -> int | None:
    """Return what a control group still gives, its page cache that can be dropped included; None without a limit."""
    for limit, used in CGROUPS:
        try:
            most, now = (group / limit).read_text().strip(), int((group / used).read_text())
            facts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        except (OSError, ValueError):
            continue
        if most.isdigit():
            return max(0, int(most) - now + int(facts.get("inactive_file", 0)))
    return None


def fair_share(available: int | None, threads: int, cores: int) -> int:
    """Return the bytes that one of many runs may take: half of what can be had, by the share of the cores it uses.

    Runs that keep all cores busy so never take more than that half between them.

    Args:
        available: bytes that can be had; None where nobody knows. threads: of the run. cores: of the machine.

    >>> fair_share(8 << 30, threads=1, cores=4) == 1 << 30
    True
    """
    return (available or 0) // 2 * min(threads, cores) // cores
