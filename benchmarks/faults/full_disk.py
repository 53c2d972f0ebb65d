"""Full disks: a run that ran out of room, once there is some, ends bit for bit as one that never did.

    python -m benchmarks.faults.full_disk --count 20 --seed 0

Each trial trains on a small file system (tmpfs) of its own, which is full at some moment; then it is enlarged. Where no
file system may be mounted, os.write says that the disk is full once so many bytes were written.
"""

from __future__ import annotations

import errno
import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.faults.common import SETUPS, arguments, final, in_child, report, taken_up, trained, undisturbed

ROOM = 64 << 20


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


def main() -> None:
    options = arguments(__doc__ or "", 20, "full disks")
    rng, faults, full, trials, mounts = random.Random(options.seed), [], 0, 0, 0
    with TemporaryDirectory() as place:
        home, whole, sizes = Path(place), {}, {}
        while full < options.count and trials < 10 * options.count:
            setup = SETUPS[trials % len(SETUPS)]
            trials += 1
            if setup.label not in whole:
                path = undisturbed(setup, home / "whole" / setup.label, home / "log")
                whole[setup.label], sizes[setup.label] = final(path), used(path)
            disk = home / f"disk-{trials}"
            disk.mkdir()
            size = rng.randrange(16384, int(1.1 * sizes[setup.label]))
            small = mounted(disk, size)
            mounts += small
            try:
                work = trained(setup.config(), disk / "runs")
                ended = in_child(work if small else with_room_for(work, 8 * size), home / "log")
                if ended.code == 0:
                    continue  # it had room enough
                full += 1
                if "disk is full" not in ended.output or "this is a bug" in ended.output:
                    faults.append(f"trial {trials}, {setup.label}, {size} bytes: {ended.output[-300:]}")
                if small and not mounted(disk, ROOM, again=True):
                    faults.append(f"trial {trials}: cannot be enlarged")
                    continue
                label = f"trial {trials}, {setup.label}, {size} bytes"
                said = taken_up(setup, disk / "runs", home / "log", label, whole[setup.label])
                faults += [said] if said else []
            finally:
                if small:
                    subprocess.run(["umount", disk], check=True)
    how = "small file systems" if mounts else "os.write that counts, for want of the right to mount"
    report("full_disk", options, [("full disks", full), ("runs", trials), (f"made by {how}", mounts or full)], faults)


if __name__ == "__main__":
    main()
