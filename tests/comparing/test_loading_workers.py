"""Workers that still load when their parent is killed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from neuroanp.comparing.process import START as OF_COMPARISONS
from neuroanp.training.crew import START as OF_CREWS
from neuroanp.training.processes import WITH_PARENT


def test_a_worker_that_still_loads_ends_with_its_parent() -> None:
    """The parent is killed while the worker imports, which may take longer than a person waits."""

    assert OF_COMPARISONS.startswith(f"{WITH_PARENT}; ")
    assert OF_CREWS.startswith(f"{WITH_PARENT}; ")
    code = (
        "import sys, time; from neuroanp.training.processes import WITH_PARENT, Child; "
        "child = Child(WITH_PARENT + '; print(1, flush=True); import time; time.sleep(60)', ''); "
        "end = time.time() + 30\n"
        "while not child.written() and time.time() < end: time.sleep(0.01)\n"
        "print(child.process.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    assert Path(f"/proc/{worker}").exists()
    parent.kill()
    parent.wait()
    until = time.monotonic() + 5
    while _lives(worker) and time.monotonic() < until:
        time.sleep(0.02)
    assert not _lives(worker)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
