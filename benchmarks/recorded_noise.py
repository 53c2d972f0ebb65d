"""Learning under a recorded trace and under the law fitted to it: copy 3, noise of the nodes alone.

python -m benchmarks.recorded_noise TRACES [--seeds 5] [--workers 2] [--levels 0 8 16 24 31]

TRACES is techA_tsdata.min.tsv.gz of github.com/akashlevy/RRAM-Relaxation-Master-Model (MIT licence): rows of level,
cell and 100,000 conductances, siemens, 400 a second, of resistive memory. Each is taken as a voltage, 1 mV a
microsiemens, and drives the units of a network whose weights are digital and exact, once replayed (law measured), once
by the law that `profiles fit --kind telegraph` finds (several fluctuators on a 1/f background). One gain for both:
the trace's standard deviation is SIGMA of a pre-activation. A step is a sample, 2.5 ms, so that the memory of the
noise counts.

The learning rate is chosen under the replay of the first level, on seeds 100 and 101, and is that of all rows; seeds
from 200 on are reported. The median test loss of each must lie in the range that the other's seeds span.
"""

from __future__ import annotations

import argparse
import gzip
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.common import Case, keep, run_cases, spread, table, values, verdict
from neuroanp.fitting import Options, fit_file, profile_text
from neuroanp.units import format_quantity

TUNING, REPORTED = 100, 200
RATES = (1e-3, 2e-3, 4e-3)
SIGMA, INTERVAL = 0.02, 2.5e-3
LEVELS = (0, 8, 16, 24, 31)
COPY3: dict[str, Any] = {
    "task": {"name": "copy", "length": 3, "delay": 3, "symbols": 4},
    "network": {"hidden": 32},
    "dt": "2.5 ms",
    "rule": "anp",
    "training": {"updates": 300, "batch": 8, "controls": False, "evaluate_every": 100, "validation": 32},
}
HEAD = """extends: smtj_koenders
meta: {{name: {name}, summary: a trace, source: techA_tsdata of RRAM-Relaxation-Master-Model, status: measured}}
stochastic:
  law: measured
  file: {file}
  sampling_time: 2.5 ms
  mode: replay
  n_sources: 1
  kappa: 1
  volts_per_unit: {volts}
"""


def traces_of(path: Path) -> dict[int, np.ndarray]:
    """Return the traces of a file by level, volts."""
    found = {}
    with gzip.open(path, "rt") as rows:
        for row in rows:
            level, _, *cells = row.split("\t")
            found[int(level)] = 1e3 * np.array(cells, dtype=float)  # 1 mV a microsiemens
    return found


def profiles_of(level: int, v: np.ndarray, folder: Path) -> dict[str, str]:
    """Write the profiles of the replay and of the law; return their paths by name, and what the fit says of itself."""
    volts = float(f"{v.std() / SIGMA:.6g}")
    trace, table_of = folder / f"trace{level}.npz", folder / f"trace{level}.csv"
    np.savez(trace, voltage_V=v)
    rows = np.column_stack([INTERVAL * np.arange(len(v)), v])
    np.savetxt(table_of, rows, delimiter=",", header="time_s,voltage_V", comments="", fmt="%.9g")
    replay, law = folder / f"replay{level}.yaml", folder / f"law{level}.yaml"
    replay.write_text(HEAD.format(name=f"replay{level}", file=trace, volts=format_quantity(volts, "V", None)))
    fit = fit_file(table_of, "telegraph", Options(volts_per_unit=volts))
    law.write_text(profile_text(fit, f"law{level}", "2026-11-29"))
    count = sum(p.key.endswith("tau_high") for p in fit.parameters)
    distance, decibels, _ = (test.value for test in fit.goodness)
    return {
        "replay": str(replay), "law": str(law), "fluctuators": str(count), "distance": f"{distance:.3f}",
        "dB": f"{decibels:.2f}",
    }  # fmt: skip


def rate_of(level: int, replay: str, options: Namespace) -> float:
    """Return the learning rate of the lowest median test loss under the replay."""
    cases = [Case(f"{level}, {lr:g}", COPY3, {"profile": replay, "optimizer.lr": lr}) for lr in RATES]
    found = run_cases(cases, Namespace(**{**vars(options), "seeds": 2}), TUNING)
    return min(RATES, key=lambda lr: median(values(found[f"{level}, {lr:g}"], "test_loss")))


def within(one: Sequence[float], other: Sequence[float]) -> bool:
    """Return whether each median lies in the range that the other's seeds span."""
    return min(other) <= median(one) <= max(other) and min(one) <= median(other) <= max(one)


def rows_of(
    levels: Sequence[int], traces: Mapping[int, np.ndarray], options: Namespace
) -> tuple[list[list[str]], bool]:
    """Measure every level; return the table's rows and whether all medians are within the seeds' spread."""
    rows, good = [], True
    lr = None
    with TemporaryDirectory() as folder:
        for level in levels:
            made = profiles_of(level, traces[level], Path(folder))
            lr = lr or rate_of(level, made["replay"], options)
            cases = [
                Case(name, COPY3, {"profile": made[name], "optimizer.lr": lr}) for name in ("replay", "law")
            ]  # fmt: skip
            found = run_cases(cases, options, REPORTED)
            replay, law = (values(found[name], "test_loss") for name in ("replay", "law"))
            good = good and within(law, replay)
            row = [str(level), made["fluctuators"], made["distance"], made["dB"], f"{lr:g}", spread(replay)]
            rows.append([*row, spread(law), "yes" if within(law, replay) else "no"])
            print(rows[-1], file=sys.stderr, flush=True)
    return rows, good


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser("python -m benchmarks.recorded_noise", description=__doc__)
    parser.add_argument("traces", type=Path, help="techA_tsdata.min.tsv.gz")
    parser.add_argument("--levels", type=int, nargs="+", default=LEVELS, help="(default: all five)")
    parser.add_argument("--seeds", type=int, default=5, help="200 .. 200 + n-1 (default %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default %(default)s)")
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmarks"), help="store (default %(default)s)")
    options = parser.parse_args()
    rows, good = rows_of(options.levels, traces_of(options.traces), options)
    heads = ["level", "fluctuators", "KS", "dB an octave", "lr", "test loss, replay", "test loss, law", "within"]
    said = verdict("each median test loss lies in the range of the other's seeds, on every level", good)
    words = ["TRACES", *sys.argv[2:]]
    keep("recorded_noise", "A recorded trace and the law fitted to it: copy 3", f"{table(heads, rows)}\n\n- {said}",
         "benchmarks.recorded_noise", words)  # fmt: skip


if __name__ == "__main__":
    main()
