"""SIGKILL at random moments: every run, taken up again, ends bit for bit as one that nobody disturbed.

python -m benchmarks.faults.kills --count 60 --seed 0
"""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.faults.common import SETUPS, arguments, final, in_child, report, taken_up, trained, undisturbed


def main() -> None:
    options = arguments(__doc__ or "", 60, "kills that strike")
    rng, faults, struck, trials = random.Random(options.seed), [], 0, 0
    with TemporaryDirectory() as place:
        home = Path(place)
        whole = {}
        while struck < options.count and trials < 10 * options.count:
            setup = SETUPS[trials % len(SETUPS)]
            if setup.label not in whole:
                started = time.monotonic()
                path = undisturbed(setup, home / "whole" / setup.label, home / "log")
                whole[setup.label] = final(path), time.monotonic() - started
            wanted, takes_s = whole[setup.label]
            root = home / f"cut-{trials}"
            for _ in range(rng.choice((1, 1, 2, 3))):
                if struck < options.count:
                    ended = in_child(
                        trained(setup.config(), root), home / "log", kill_after=rng.uniform(0, 1.05 * takes_s)
                    )
                    struck += ended.code == -signal.SIGKILL
            trials += 1
            said = taken_up(setup, root, home / "log", f"trial {trials}, {setup.label}", wanted)
            faults += [said] if said else []
    report("kills", options, [("kills", struck), ("runs", trials), ("kinds of runs", len(whole))], faults)


if __name__ == "__main__":
    main()
