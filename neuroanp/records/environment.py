"""Say where a run was computed: versions, machine, commit."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import neuroanp
from neuroanp.records.identity import PACKAGE, code_version


def environment() -> dict[str, str]:
    """Collect the facts about software and machine that a manifest holds.

    Returns: neuroanp, code, python, torch, numpy, brian2, platform, host, and commit where the package
    runs from a git checkout of its own.

    >>> facts = environment()
    >>> [name for name in ("neuroanp", "code", "python", "torch", "numpy", "platform", "host") if name not in facts]
    []
    """
    facts = {
        "neuroanp": neuroanp.__version__,
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
