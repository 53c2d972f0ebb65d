"""Whether a worker may do runs: what it reports, held to what the driver is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CLOCK_S = 60.0
"""Clocks that differ more are told: which run is stale, and which control is new, is decided by them."""
SAME = "use the same environment on all machines"


def refusal(report: Mapping[str, Any], ours: Mapping[str, str]) -> str:
    """Say why a worker gets no run; "": it may.

    Args:
        report: of the worker, see `neuroanp.comparing.remote.report`. ours: versions of the driver.

    >>> ours = {"python": "3.11.4", "neuroanp": "0.1.0+aa"}
    >>> refusal({"versions": {"python": "3.11.9", "neuroanp": "0.1.0+aa"}, "store": ""}, ours)
    ''
    >>> print(refusal({"versions": {"python": "3.12.1", "neuroanp": "0.1.0+aa"}, "store": ""}, ours))
    it has python 3.12.1, and the driver 3.11.4; use the same environment on all machines
    """
    theirs = report["versions"]
    unlike = [
        name
        for name, cut in (("python", _minor), ("neuroanp", str))
        if cut(theirs.get(name, "none")) != cut(ours[name])
    ]
    if unlike:
        has = " and ".join(f"{name} {theirs.get(name, 'none')}" for name in unlike)
        return f"it has {has}, and the driver {' and '.join(ours[name] for name in unlike)}; {SAME}"
    return str(report["store"])


def differences(report: Mapping[str, Any], ours: Mapping[str, str], asked: float, answered: float) -> list[str]:
    """Say in what a worker that gets runs differs: versions that may change last bits, and its clock.

    Args: asked, answered: when it was asked and its answer came, by the driver's clock.

    >>> print(*differences({"versions": {"torch": "2.6"}, "time": 100.0}, {"torch": "2.7"}, 9.0, 11.0), sep="\\n")
    has torch 2.6, and the driver 2.7: runs may differ in their last bits
    its clock is 89 s ahead of the driver: which run is stale is decided by clocks; set them right
    """
    theirs = report["versions"]
    said = []
    for name, version in ours.items():
        if (other := theirs.get(name, "none")) != version:
            what = "runs may differ in their last bits" if name in ("torch", "numpy", "python") else "it may fail"
            said.append(f"has {name} {other}, and the driver {version}: {what}")
    ahead = max(report["time"] - answered, 0.0) - max(asked - report["time"], 0.0)
    if abs(ahead) > CLOCK_S:
        said.append(
            f"its clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the driver: which run is stale "
            "is decided by clocks; set them right"
        )
    return said


def _minor(version: str) -> str:
    """Return the first two numbers of a version: what compiled modules are made for."""
    return ".".join(version.split(".")[:2])
