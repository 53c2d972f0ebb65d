"""Say where a run was computed: versions, machine, commit."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from neuroanp.records.identity import PACKAGE, code_version
from neuroanp.version import __version__

_DECIDE = (
    "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "MKL_DEBUG_CPU_TYPE", "MKL_THREADING_LAYER", "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "OPENBLAS_CORETYPE", "NVIDIA_TF32_OVERRIDE", "CUBLAS_WORKSPACE_CONFIG",
)  # fmt: skip
"""Variables by which the libraries choose a branch."""
_WIDE = ("sse4", "avx", "fma", "amx", "asimd", "sve")


def environment() -> dict[str, str]:
    """Collect the facts about software and machine that a manifest holds.

    Returns: neuroanp, code, python, torch, numpy, brian2, platform, host, and commit where the package
    runs from a git checkout of its own.

    >>> facts = environment()
    >>> [name for name in ("neuroanp", "code", "python", "torch", "numpy", "platform", "host") if name not in facts]
    []
    """
    facts = {
        "neuroanp": __version__,
        "code": code_version(),
        "python": platform.python_version(),
        "torch": _version("torch"),  # asked of the metadata: importing torch takes seconds
        "numpy": _version("numpy"),
        "brian2": _version("brian2"),
        "platform": platform.platform(),
        "host": socket.gethostname(),
    }
    commit = git_commit(PACKAGE.parent)
    return facts | ({"commit": commit} if commit else {})


def arithmetic(device: str, threads: int) -> dict[str, str]:
    """Collect what decides the last bits of a sum: libraries, the instructions they choose, and threads.

    A library adds in another order with wider registers, and on another number of threads. Which branch it takes is
    decided by the processor and by variables such as MKL_CBWR.

    Args:
        device: where the run computes, "cpu" or "cuda".
        threads: of torch.

    >>> [name for name in ("torch", "blas", "processor", "instructions", "threads") if name not in arithmetic("cpu", 1)]
    []
    """
    import numpy as np
    import torch

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]  # pyright: ignore
    built = [
        line.strip(" -") for line in torch.__config__.show().splitlines() if "Kernel Library" in line or "DNN" in line
    ]
    facts = {
        "torch": torch.__version__,
        "torch built with": "; ".join(built) or "no library named",
        "numpy": np.__version__,
        "blas": f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip(),
        "processor": _processor("model name"),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "processor's instructions": " ".join(w for w in _processor("flags").split() if w.startswith(_WIDE))
        or "unknown",
        "threads": str(threads),
        "blas threads": _blas_threads(),
        **{name: os.environ[name] for name in _DECIDE if name in os.environ},
    }
    if device.startswith("cuda") and torch.cuda.is_available():
        facts |= {"cuda": str(torch.version.cuda), "gpu": torch.cuda.get_device_name(device)}
    return facts


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Say in what two `arithmetic` differ.

    >>> differences({"instructions": "AVX512"}, {"instructions": "AVX2", "MKL_CBWR": "COMPATIBLE"})
    ['MKL_CBWR was not set, is COMPATIBLE', 'instructions was AVX512, is AVX2']
    """
    names = sorted({*before, *now})
    unlike = [name for name in names if before.get(name) != now.get(name)]
    return [f"{name} was {before.get(name, 'not set')}, is {now.get(name, 'not set')}" for name in unlike]


def _blas_threads() -> str:
    """Return how many threads numpy's library takes, which torch's settings do not reach."""
    asked = os.environ.get("OPENBLAS_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS") or ""
    cores = usable_cores()
    return str(min(int(asked), cores) if asked.isascii() and asked.isdigit() and int(asked) else cores)


def _processor(fact: str) -> str:
    """Return a line of /proc/cpuinfo, of the first core; elsewhere what Python knows of the machine."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == fact:
                return value.strip()
    except OSError:  # not Linux
        pass
    return platform.processor() or platform.machine()


def usable_cores() -> int:
    """Return how many cores this process may use, or all there are where the system does not tell (macOS, Windows)."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def git_commit(checkout: Path) -> str | None:
    """Return the commit of the checkout whose root is `checkout`, with "-dirty" if files differ, or None.

    Only the root counts: a package installed inside someone else's repository has no commit of its own.
    """
    if not (checkout / ".git").exists():
        return None
    try:
        head = _git(checkout, "rev-parse", "--verify", "HEAD").strip()
        changed = _git(checkout, "status", "--porcelain", "--untracked-files=no").strip()
    except (OSError, subprocess.SubprocessError):  # no git here, or no commit yet: there is none to name
        return None
    return f"{head}-dirty" if changed else head


def _git(checkout: Path, *words: str) -> str:
    command = ["git", "--no-optional-locks", "-C", str(checkout), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
