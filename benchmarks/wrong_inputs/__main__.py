"""Give every wrong input, and judge the answers: one message, the right exit code, nothing left behind.

python -m benchmarks.wrong_inputs --write
python -m benchmarks.wrong_inputs --of tables,calls --show
python -m benchmarks.wrong_inputs --processes 40
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.common import keep
from benchmarks.wrong_inputs import calls, commands, going_on, memory
from benchmarks.wrong_inputs.case import Case, flat
from benchmarks.wrong_inputs.giving import judge

CASES: list[Case] = [*commands.CASES, *memory.CASES, *going_on.CASES, *calls.CASES]
WIDE = 240
"""Characters of a message in the table."""


def main(words: list[str] | None = None) -> int:
    """Give what the command line asks for; return its exit code."""
    kinds = [*dict.fromkeys(case.kind for case in CASES)]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.wrong_inputs", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--of", help=f"kinds: {', '.join(kinds)} (default: all)")
    parser.add_argument(
        "--processes", type=int, metavar="N", help="so many commands, evenly chosen, each its own process"
    )
    parser.add_argument("--show", action="store_true", help="print every message, not only those that are wrong")
    parser.add_argument("--write", action="store_true", help="write the table into benchmarks/results/wrong_inputs.md")
    options = parser.parse_args(words)
    wanted = kinds if options.of is None else options.of.split(",")
    if unknown := {*wanted} - {*kinds}:
        parser.error(f"--of: no kind {', '.join(unknown)}; there are: {', '.join(kinds)}")
    chosen = [case for case in CASES if case.kind in wanted]
    if options.processes:
        those = [case for case in chosen if isinstance(case.do, str) and case.what == case.do]
        chosen = those[:: max(1, len(those) // options.processes)][: options.processes]
    os.environ.setdefault("COLUMNS", "110")
    began, wrong, rows = time.monotonic(), 0, []
    with TemporaryDirectory() as folder:
        for case, answer, found in judge(chosen, Path(folder), bool(options.processes)):
            message = flat(answer.message).replace(f"{folder}/place/", "").replace(f"{folder}/place", ".")
            wrong += bool(found)
            rows.append([case.kind, f"`{case.what}`", _cell(message), "; ".join(found) or "-"])
            if options.show or found:
                print(f"{case.kind}: {case.what}", *(f"  WRONG: {one}" for one in found), f"  {message}", sep="\n")
    counts = Counter(case.kind for case in chosen)
    right = "one message that says what is wrong, the right exit code, nothing left"
    total = f"{len(chosen) - wrong} of {len(chosen)}: {right}"
    summary = "\n".join([total, "", *(f"- {kind}: {counts[kind]}" for kind in wanted), ""])
    print(summary, f"{time.monotonic() - began:.0f} s", sep="")
    if options.write:
        lines = [("kind", "given", "the message", "wrong"), ("--",) * 4, *rows]  # columns that line up would be 200 KB
        body = summary + "\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)
        keep("wrong_inputs", "Wrong inputs", body, "benchmarks.wrong_inputs", words)
    return int(wrong > 0)


def _cell(message: str) -> str:
    text = message.replace("|", "\\|").replace("[", "\\[")
    return text if len(text) <= WIDE else f"{text[:WIDE]}…"


if __name__ == "__main__":
    sys.exit(main())
