"""What writing a page takes: of one run, and of a comparison of 15 runs, apart from loading the libraries that draw.

python -m benchmarks.reporting [--repeats 5] [--updates 200] [--runs DIR]

The runs are made first, short ones: three profiles, five seeds. A page is then written in a process that has loaded
what draws (warm), and for the first time in one of its own (first), which says what loading took. Wall and CPU time:
on a machine that others use too the CPU time is the one to compare.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import neuroanp as na
from neuroanp.records.run_dir import RunDir
from neuroanp.reporting.html import render

PROFILES, SEEDS = ("ideal", "pcm", "smtj_koenders"), 5
LIMIT_S = 1.0
"""What writing a page may take."""
FIRST = """
import json, sys, time
def timed(work):
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    return (time.perf_counter() - wall, time.process_time() - cpu), found
def records():
    import torch  # which training has loaded
    from neuroanp.records.run_dir import RunDir
    return RunDir
def loads():
    import matplotlib.backends.backend_svg, matplotlib.colors, matplotlib.figure, matplotlib.patheffects
    import jinja2
    import neuroanp.reporting.html
    return neuroanp.reporting.html
_, RunDir = timed(records)
loading, html = timed(loads)
runs = [RunDir.open(path, check_code=False) for path in sys.argv[2:]]
writing, _ = timed(lambda: html.render(runs, sys.argv[1], None))
print(json.dumps({"loading": loading, "writing": writing}))
"""

Times = tuple[float, float]


def main() -> int:
    """Make the runs, write their pages again and again, and print a table; exit code 1 beyond the limit."""
    options = _arguments()
    with TemporaryDirectory() as folder:
        store = options.runs or Path(folder) / "runs"
        paths = _made(store, options.updates)
        slow = False
        print(f"{'page':<24}{'':<10}{'wall s: min':>12}{'median':>9}{'CPU s: min':>12}{'median':>9}")
        for name, some in (("one run (pcm)", paths[SEEDS : SEEDS + 1]), (f"compare, {len(paths)} runs", paths)):
            page = Path(folder) / "page.html"
            first = [_first(page, some) for _ in range(options.repeats)]
            runs = [RunDir.open(path, check_code=False) for path in some]
            render(runs, page, None)
            warm = [_timed(lambda runs=runs, page=page: render(runs, page, None)) for _ in range(options.repeats)]
            _say(name, "warm", warm)
            _say("", "first", [times for _, times in first])
            _say("", "loading", [times for times, _ in first])
            print(f"{'':<24}{page.stat().st_size / 1e6:.2f} MB")
            slow |= min(cpu for _, cpu in warm) > LIMIT_S
    print(f"limit: {LIMIT_S:g} s of a warm page, the least CPU time: {'MISSED' if slow else 'kept'}")
    return int(slow)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="pages of each kind (default %(default)s)")
    parser.add_argument("--updates", type=int, default=200, help="of each run (default %(default)s)")
    parser.add_argument("--runs", type=Path, help="store to make the runs in, or to find them (default: one that goes)")
    return parser.parse_args()


def _made(store: Path, updates: int) -> list[Path]:
    """Return the directories of the runs, those of a profile beside one another."""
    task = {"name": "copy", "length": 3, "delay": 3}
    config = {"task": task, "network": {"hidden": 50}, "training": {"updates": updates}}
    found = na.compare(config, profiles=PROFILES, seeds=SEEDS, runs=store, workers=1, report=False, progress=False)
    rows = sorted(found.results, key=lambda row: (PROFILES.index(row["profile"]), row["seed"]))
    return [Path(row["run"]) for row in rows]


def _timed(work: Callable[[], object]) -> Times:
    """Return wall and CPU time of something, in seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def _first(page: Path, runs: Sequence[Path]) -> tuple[Times, Times]:
    """Return what loading the libraries, and then writing a first page took, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", FIRST, str(page), *map(str, runs)], check=True, capture_output=True, text=True
    )
    found = json.loads(done.stdout)
    return tuple(found["loading"]), tuple(found["writing"])


def _say(name: str, kind: str, times: Sequence[Times]) -> None:
    walls, cpus = zip(*times, strict=True)
    numbers = (min(walls), median(walls), min(cpus), median(cpus))
    print(f"{name:<24}{kind:<10}{numbers[0]:>12.2f}{numbers[1]:>9.2f}{numbers[2]:>12.2f}{numbers[3]:>9.2f}")


if __name__ == "__main__":
    sys.exit(main())
