"""SIGKILL at random moments: every run, taken up again, ends bit for bit as one that nobody disturbed.

python -m benchmarks.faults.kills --count 60 --seed 0
"""

from __future__ import annotations

import random
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.faults.common import SETUPS, arguments, final, in_child, report, run_below, trained, unlike


def main() -> None:
    options = arguments(__doc__ or "", 60, "kills that strike")
    rng, faults, struck, trials = random.Random(options.seed), [], 0, 0
    kinds: set[str] = set()
    with TemporaryDirectory() as place:
        home = Path(place)
        whole = {}
        while struck < options.count and trials < 10 * options.count:
            setup = SETUPS[trials % len(SETUPS)]
            if setup.label not in whole:
                started = time.monotonic()
                ended = in_child(trained(setup.config(), home / "whole" / setup.label), home / "log")
                directory = run_below(home / "whole" / setup.label)
                if ended.code != 0 or directory is None:
                    faults.append(f"{setup.label}: undisturbed it ended with {ended.code}: {ended.output[-300:]}")
                    break
                whole[setup.label] = final(directory), time.monotonic() - started
            wanted, takes_s = whole[setup.label]
            root = home / f"cut-{trials}"
            for _ in range(rng.choice((1, 1, 2, 3))):
                if struck < options.count:
                    ended = in_child(
                        trained(setup.config(), root), home / "log", kill_after=rng.uniform(0, 1.05 * takes_s)
                    )
                    struck += ended.code == -9
            trials += 1
            kinds.add(setup.label)
            ended = in_child(trained(setup.config(), root), home / "log")
            directory = run_below(root)
            if ended.code != 0 or directory is None:
                faults.append(f"trial {trials}, {setup.label}: ended with {ended.code}: {ended.output[-300:]}")
                continue
            wrong = unlike(final(directory), wanted)
            if wrong or (directory / "damaged").exists():
                faults.append(
                    f"trial {trials}, {setup.label}: differs in {', '.join(wrong) or 'nothing'}; told of damage"
                )
    report("kills", options, [("kills", struck), ("runs", trials), ("kinds of runs", len(kinds))], faults)


if __name__ == "__main__":
    main()
