"""What it costs to begin: `import neuroanp` and short commands, each in a process of its own.

    python -m benchmarks.startup               # some 2 minutes on a free core
    python -m benchmarks.startup --repeats 40
    python -m benchmarks.startup --clean FOLDER --wheel dist/neuroanp-0.1.0-py3-none-any.whl   # to the first report

Prints the least and the median over processes of CPU time (of all threads, user and system) and of wall time. What
Python itself takes to begin is the first row, and part of all others; what a dry run imports and cannot leave out, as
it times compiled updates, stands above it. The least is what the code costs; how far the median is above it says how
busy the machine was. Targets: `import neuroanp` .1 s, `neuroanp --help` .4 s, `train --dry-run` 2 s of CPU.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

LIBRARIES = "import torch, numba, scipy.linalg"
LOOP = "import numpy; from neuroanp.kernels.copying import put; put(numpy.zeros(1), numpy.ones(1))"
"""Numba loads what it knows of types and functions with the first loop that it calls."""
CASES = {
    "python": ["-c", "pass"],
    "import neuroanp": ["-c", "import neuroanp"],
    "neuroanp --version": ["-m", "neuroanp", "--version"],
    "neuroanp --help": ["-m", "neuroanp", "--help"],
    "neuroanp train --help": ["-m", "neuroanp", "train", "--help"],
    "neuroanp examples": ["-m", "neuroanp", "examples"],
    "import torch": ["-c", "import torch"],
    "import torch, numba, scipy.linalg": ["-c", LIBRARIES],
    "these, and call one compiled loop": ["-c", f"{LIBRARIES}; {LOOP}"],
    "neuroanp train --dry-run": ["-m", "neuroanp", "train", "--task", "copy", "--dry-run"],
}


def once(words: Sequence[str]) -> tuple[float, float]:
    """Return CPU and wall time of a process of Python, in seconds; raises CalledProcessError where it fails.

    It keeps bytecode, as an installed package has it, whatever the shell says.
    """
    own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return timed([sys.executable, *words], env=own)


def timed(command: Sequence[str], **how: Any) -> tuple[float, float]:
    """Run a command without its output; return CPU and wall time, in seconds."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **how)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.perf_counter() - began


def table(times: dict[str, list[tuple[float, float]]]) -> str:
    """Return a Markdown table of times, (CPU, wall) of each process by case.

    >>> print(table({"python": [(0.01, 0.02), (0.02, 0.02), (0.03, 0.05)]}))
    | process | CPU least, s | CPU median, s | wall least, s | wall median, s |
    |---|---|---|---|---|
    | python | 0.010 | 0.020 | 0.020 | 0.020 |
    """
    lines = ["| process | CPU least, s | CPU median, s | wall least, s | wall median, s |", "|---|---|---|---|---|"]
    for name, each in times.items():
        cpu, wall = zip(*each, strict=True)
        cells = [f"{value:.3f}" for of in (cpu, wall) for value in (min(of), median(of))]
        lines.append(f"| {' | '.join([name, *cells])} |")
    return "\n".join(lines)


def clean(folder: Path, wheel: Path) -> str:
    """Go from nothing to the demo's report in a folder that does not exist yet; return a table of what each step took.

    Packages are those that pip has in its cache, or fetches; so a second call in another folder is the one that counts.
    """
    folder.mkdir(parents=True)
    home, python = folder / "environment", folder / "environment" / "bin" / "python"
    steps = {
        "environment": [sys.executable, "-m", "venv", str(home)],
        "install": [str(python), "-m", "pip", "install", "--quiet", str(wheel.resolve())],
        "demo": [str(home / "bin" / "neuroanp"), "demo", "--no-progress"],
    }
    lines = ["| step | CPU, s | wall, s |", "|---|---|---|"]
    own = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    for name, words in steps.items():
        cpu, wall = timed(words, cwd=folder, env=own)
        lines.append(f"| {name} | {cpu:.1f} | {wall:.1f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=10, help="processes of each case, in turn")
    parser.add_argument("--clean", type=Path, metavar="FOLDER", help="a new folder: install there and run the demo")
    parser.add_argument("--wheel", type=Path, help="what --clean installs (python -m hatchling build -t wheel)")
    options = parser.parse_args()
    if options.clean is not None:
        if options.wheel is None:
            parser.error("--clean needs --wheel FILE")
        print(clean(options.clean, options.wheel))
        return
    repeats = options.repeats
    for words in CASES.values():
        once(words)  # bytecode is compiled, files are in memory
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in CASES}
    for _ in range(repeats):
        for name, words in CASES.items():
            times[name].append(once(words))
    print(f"{repeats} processes each, Python {sys.version.split()[0]}\n\n{table(times)}")


if __name__ == "__main__":
    main()
