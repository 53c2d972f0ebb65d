"""Fault trials, one command: kills, full disks, torn and hostile files, mutants, limits, clocks that jump.

Kills are of one machine (kills), of sweeps on Dask (clusters), and of runs that processes share (shared).

    python -m benchmarks.faults all --write
    python -m benchmarks.faults kills --trials 20 --seed 0
    python -m benchmarks.faults hostile --of nir,csv --trials 60

Every kind prints a row: trials, how many passed, what failed; the exit code is 1 if anything did, or if fewer trials
were made than asked for. Mutated equations have a table of their own (python -m benchmarks.faults.equations).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial

from benchmarks.common import keep_parts, table
from benchmarks.faults import clocks, damage, disks, hostile, kills, limits, mutants, torn
from benchmarks.faults.outcome import Budget, Clock, Outcome

KINDS: dict[str, Callable[[Budget], list[Outcome]]] = {
    "kills": kills.trials, "clusters": partial(kills.of_commands, commands=kills.CLUSTERS),
    "shared": partial(kills.of_commands, commands=kills.SHARED_RUNS),
    "disks": disks.trials, "torn": torn.trials, "damage": damage.trials,
    "hostile": hostile.trials,
    "mutants": mutants.trials, "limits": limits.trials, "clocks": clocks.trials,
}  # fmt: skip
HEADERS = ("what", "trials", "passed", "what failed")
TITLE = "Faults: kills, full disks, torn and hostile files, mutants, limits, clocks"


def main(words: list[str] | None = None) -> int:
    """Make the trials that the command line asks for; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kinds", nargs="+", choices=[*KINDS, "all"], metavar="KIND", help=f"{', '.join(KINDS)} or all")
    parser.add_argument("--trials", type=int, help="so many of each (default: as many as the table quotes)")
    parser.add_argument("--seed", type=int, default=0, help="of all random choices (default %(default)s)")
    parser.add_argument("--of", help="hostile files of these kinds alone, such as nir,csv")
    parser.add_argument("--quick", action="store_true", help="start no command as a process of its own: forks alone")
    parser.add_argument("--write", action="store_true", help="write the rows into benchmarks/results/faults.md")
    options = parser.parse_args(words)
    if options.trials is not None and options.trials < 1:
        parser.error("--trials: one at least")
    chosen = [name for name in KINDS if name in options.kinds or "all" in options.kinds]
    if options.quick and (processes := [name for name in chosen if name in ("limits", "clocks", "clusters", "shared")]):
        parser.error(f"--quick: {', '.join(processes)} start commands as processes; leave them out")
    if unknown := [kind for kind in (options.of or "").split(",") if kind and kind not in hostile.KINDS]:
        parser.error(f"--of: no hostile files of kind {', '.join(unknown)}; there are: {', '.join(hostile.KINDS)}")
    if options.write and (options.of or options.quick):
        parser.error("--write: the table is of all trials; leave --of and --quick out")
    good = True
    for name in chosen:
        trial, clock = KINDS[name], Clock()
        if name == "kills" and options.quick:
            trial = partial(kills.trials, commands=())
        if name == "hostile" and options.of:
            trial = partial(hostile.trials, kinds=options.of.split(","))
        outcomes = trial(Budget(options.trials, options.seed, _tell))
        good &= all(one.good for one in outcomes)
        text = _text(outcomes, str(clock))
        if options.write:
            call = ["--trials", str(options.trials)] if options.trials is not None else []
            words_said = [name, *call, "--seed", str(options.seed)]
            keep_parts("faults", TITLE, {name: text}, list(KINDS), "benchmarks.faults", words_said)
        else:
            print(f"{text}\n", flush=True)
    return 0 if good else 1


def _text(outcomes: list[Outcome], took: str) -> str:
    """Return the rows of a kind with what else is to be known of them."""
    notes = [f"- {outcomes_note}" for one in outcomes for outcomes_note in one.notes]
    return "\n\n".join([table(HEADERS, [one.cells() for one in outcomes]), "\n".join([*notes, f"- all took {took}"])])


def _tell(line: str) -> None:
    print(" ".join(line.split())[:1000], file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
