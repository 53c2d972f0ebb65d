"""Short forms of the fault scripts: kills, damaged directories, full disks; the long ones are benchmarks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize(("script", "count", "what"), [
    ("kills", 4, "kills: 4"), ("damage", 10, "damaged directories: 10"), ("full_disk", 3, "full disks: 3"),
])  # fmt: skip
def test_nothing_is_wrong_after(script, count, what):
    command = [sys.executable, "-m", f"benchmarks.faults.{script}", "--count", str(count), "--seed", "7"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=900)
    assert what in done.stdout, done.stderr
    assert "wrong: 0" in done.stdout, done.stdout
    assert done.returncode == 0
