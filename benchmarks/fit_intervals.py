"""How often the intervals of fits hold the truth: of one device whose steps wander, and of a telegraph signal.

python -m benchmarks.fit_intervals [--records 100] [--seed 0] [--workers 2]

Records are drawn from the library's own laws, and fitted by way of a file, as a user's are. A record whose fit is
refused is counted by itself.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from benchmarks.common import keep, table
from examples.data import synthesize
from neuroanp.devices.ecram import LinearStep
from neuroanp.devices.protocol import Span
from neuroanp.devices.rtn import RtnSource
from neuroanp.errors import InputError
from neuroanp.fitting import Options, fit_file
from neuroanp.fitting.result import LEVEL

SPAN = Span(20e-6, 80e-6)
STEPS = LinearStep(
    dw=0.006, bound_up=1.0, bound_down=1.0, gamma_up=0.1153, gamma_down=0.5085, noise="multiplicative", c2c=0.6,
    tolerance=0.02, max_pulses=1000,
)  # fmt: skip
SOURCE = RtnSource(tau_high=9e-6, tau_low=5e-6, amplitude=4e-3, n_sources=1, kappa=0.5, volts_per_unit=0.3)
SAMPLES, DT, MEAN, WHITE = 4000, 4e-6, 42e-3, 0.9e-3


@dataclass(frozen=True)
class Measurement:
    """One kind of record: its name, kind of fit, what draws it, true parameters, options of the fit."""

    name: str
    kind: str
    draw: Callable[[np.random.Generator], synthesize.Columns]
    truth: dict[str, float]
    options: Options


MEASUREMENTS = (
    Measurement(
        "one device, 3 x 130 pulses each way, c2c 0.6", "pulse",
        lambda rng: synthesize.pulse(STEPS, 1, 3, 130, SPAN, rng),
        {name: getattr(STEPS, name) for name in ("dw", "up_down", "c2c")},
        Options(law="linear_step", g_min=SPAN.g_min, g_max=SPAN.g_max, anyway=True),
    ),
    Measurement(
        f"telegraph signal, {SAMPLES:,} samples", "telegraph",
        lambda rng: synthesize.telegraph(SOURCE, SAMPLES, DT, MEAN, WHITE, rng),
        {name: getattr(SOURCE, name) for name in ("tau_high", "tau_low", "amplitude")},
        Options(law="rtn", anyway=True),
    ),
)  # fmt: skip


def held(seed: int, task: tuple[int, int]) -> dict[str, bool] | None:
    """Draw and fit one record; return which intervals hold the truth, or None where the fit is refused."""
    torch.set_num_threads(1)
    which, record = task
    measurement = MEASUREMENTS[which]
    columns = measurement.draw(np.random.default_rng((seed, which, record)))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "record.csv"
        path.write_text(synthesize.as_csv(columns, digits=10))
        try:
            fit = fit_file(path, measurement.kind, measurement.options)
        except InputError:
            return None
    return {key: fit[key].low <= true <= fit[key].high for key, true in measurement.truth.items()}


def main() -> None:
    """Print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100, help="of each kind (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of all draws (default %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default %(default)s)")
    options = parser.parse_args()
    tasks = [(which, record) for which in range(len(MEASUREMENTS)) for record in range(options.records)]
    with ProcessPoolExecutor(options.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = []
        for one in pool.map(partial(held, options.seed), tasks):
            found.append(one)
            print(f"\r{len(found)} of {len(tasks)} records", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    rows = []
    for which, measurement in enumerate(MEASUREMENTS):
        mine = found[which * options.records : (which + 1) * options.records]
        fitted = [one for one in mine if one is not None]
        for key in measurement.truth:
            rows.append([measurement.name, key, *counted([one[key] for one in fitted]), str(len(mine) - len(fitted))])
    header = ["record", "parameter", "held", f"share (expected {100 * LEVEL:g} %)", "refused"]
    keep(
        "fit_intervals",
        f"Intervals of fits, {options.records} records of each kind",
        table(header, rows),
        __spec__.name,
    )


def counted(hits: list[bool]) -> tuple[str, str]:
    """Return how many intervals hold the truth, and their share with its standard error."""
    n, share = len(hits), float(np.mean(hits)) if hits else math.nan
    error = math.sqrt(LEVEL * (1 - LEVEL) / n) if n else math.nan  # if the level is the truth
    return f"{sum(hits)} of {n}", f"{100 * share:.1f} % +- {100 * error:.1f} %"


if __name__ == "__main__":
    main()
