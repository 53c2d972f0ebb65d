"""Full disks: a run that ran out of room, once there is some, ends bit for bit as one that never did.

Four of five trials train on a small file system (tmpfs) of their own,
which is full at some moment; then it is enlarged.
Elsewhere, and where no file system may be mounted, os.write says that the disk is full once so many bytes were written.
"""

from __future__ import annotations

import errno
import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.faults.common import SETUPS, Setup, final, in_child, load_all, taken_up, trained, undisturbed
from benchmarks.faults.outcome import Budget, Outcome

USUAL, ROOM = 20, 64 << 20
ROOM_ENOUGH = "it had room enough"


def mounted(place: Path, size: int, again: bool = False) -> bool:
    """Mount a tmpfs of `size` bytes, or give one that is mounted another size; False where that is not allowed."""
    kind = f"{'remount,' * again}size={size}"
    return (
        subprocess.run(["mount", "-t", "tmpfs", "-o", kind, "none", place], capture_output=True, check=False).returncode
        == 0
    )


def used(root: Path) -> int:
    """Return how many bytes a tree takes on a tmpfs, in whole pages."""
    return sum(-(-path.lstat().st_size // 4096) * 4096 for path in root.rglob("*"))


def with_room_for(work: Callable[[], object], size: int) -> Callable[[], object]:
    """Return work that finds the disk full after `size` bytes."""

    def done() -> None:
        write, left = os.write, [size]

        def counted(handle: int, data: bytes) -> int:
            left[0] -= len(data)
            if left[0] < 0 and handle > 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return write(handle, data)

        os.write = counted
        work()

    return done


def trials(budget: Budget) -> list[Outcome]:
    """Train on disks that are full at some moment, and go on once there is room."""
    rng, outcome = random.Random(budget.seed), Outcome("full disks", budget.count(USUAL))
    runs = mounts = 0
    load_all()
    with TemporaryDirectory() as place:
        home, whole, sizes = Path(place), dict[str, Any](), dict[str, int]()
        while outcome.trials < outcome.asked and runs < 10 * outcome.asked:
            setup = SETUPS[runs % len(SETUPS)]
            runs += 1
            if setup.label not in whole:
                path = undisturbed(setup, home / "whole" / setup.label, home / "log")
                whole[setup.label], sizes[setup.label] = final(path), used(path)
            disk = home / f"disk-{runs}"
            disk.mkdir()
            size = rng.randrange(16384, int(1.1 * sizes[setup.label]))
            small = rng.random() < 0.8 and mounted(disk, size)
            mounts += small
            label = f"run {runs}, {setup.label}, {size} bytes"
            try:
                fault = _trial(setup, disk, size, small, home / "log", label, whole[setup.label])
            finally:
                if small:
                    subprocess.run(["umount", disk], check=True)
            if fault != ROOM_ENOUGH:
                outcome.add(fault)
                if fault:
                    budget.tell(fault)
    outcome.notes = [f"{runs} runs, {mounts} of them on small file systems, the others told by os.write"]
    return [outcome]


def _trial(
    setup: Setup, disk: Path, size: int, small: bool, log: Path, label: str, wanted: dict[str, Any]
) -> str | None:
    """Train without room, then with; say what is wrong, None, or that it had room enough."""
    work = trained(setup.config(), disk / "runs")
    ended = in_child(work if small else with_room_for(work, 8 * size), log)
    if ended.code == 0:
        return ROOM_ENOUGH
    if "disk is full" not in ended.output or "this is a bug" in ended.output:
        return f"{label}: {ended.output[-300:]}"
    if small and not mounted(disk, ROOM, again=True):
        return f"{label}: cannot be enlarged"
    return taken_up(setup, disk / "runs", log, label, wanted)
