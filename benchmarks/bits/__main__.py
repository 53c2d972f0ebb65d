"""The bits of many small runs: record them before a change of the code, compare after it.

python -m benchmarks.bits                     # record: benchmarks/results/bits.json
python -m benchmarks.bits --check             # compare with it; exit code 1 if anything differs
python -m benchmarks.bits --check --only pcm  # cases with "pcm" in their label, or a pattern: "rule*lif*float64"

Every example (shortened), every shipped profile with every way of writing on every backend, every rule, and what else
decides how a run computes, in both precisions; some are looked at again and exported to every format. Of each run there
is a digest a part (`digests.py`), without its path and its identity, which has the code in it; of one that is refused,
what is said.

The same code gives the same bits on the same machine. With other libraries, another processor or more threads last bits
differ, and it says so. To compare there, record the code before the change first: in a checkout of it
`python -m benchmarks.bits --file /tmp/before.json`, here `python -m benchmarks.bits --check --file /tmp/before.json`.
Set OMP_NUM_THREADS, MKL_NUM_THREADS and OPENBLAS_NUM_THREADS to 1, as `make` does.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.bits.cases import cases
from benchmarks.bits.record import compare, machine, matches, summary, write
from benchmarks.bits.running import outcomes
from benchmarks.common import HERE, Case
from neuroanp.errors import InputError, NeuroanpError
from neuroanp.records.environment import differences
from neuroanp.records.json_io import read_object

RECORD = HERE / "results" / "bits.json"


def main(words: Sequence[str] | None = None) -> int:
    """Record or compare; return the exit code: 1 if anything differs, 2 for what cannot be done."""
    options = _arguments(words)
    try:
        chosen = [case for case in cases() if matches(case.label, options.only)]
        if not chosen:
            raise InputError(f"--only: no case matches '{options.only}'; one is: {cases()[0].label}")
        return _check(chosen, options) if options.check else _record(chosen, options)
    except NeuroanpError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def _record(chosen: Sequence[Case], options: argparse.Namespace) -> int:
    if options.only and options.file.resolve() == RECORD.resolve():
        raise InputError("--only: a part would replace the whole record; name another file with --file")
    found = outcomes(chosen)
    write(found, options.file)
    print(f"{summary(found)}: {options.file}")
    return 0


def _check(chosen: Sequence[Case], options: argparse.Namespace) -> int:
    recorded = read_object(options.file)
    for line in differences(recorded["machine"], machine()):
        print(f"not the machine of the record, last bits may differ: {line}", flush=True)
    wanted = {label: found for label, found in recorded["cases"].items() if matches(label, options.only)}
    found = outcomes(chosen)
    told = compare(wanted, found)
    print("\n".join([*told, f"{summary(found)}: {f'{len(told)} not as recorded' if told else 'all as recorded'}"]))
    return int(bool(told))


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.bits", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare with the record, and leave it as it is")
    parser.add_argument("--only", default="", metavar="PATTERN", help="part of a label, or a shell pattern of a part")
    parser.add_argument("--file", type=Path, default=RECORD, help="the record (default: benchmarks/results/bits.json)")
    return parser.parse_args(words)


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main())
