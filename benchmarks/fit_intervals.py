"""How often the intervals of fits hold the truth: of pulses, with reads that scatter little and much, and a telegraph.

python -m benchmarks.fit_intervals [--of exponential_step] [--records 100] [--seed 0] [--workers 2]

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
from neuroanp.devices.exponential_step import ExponentialStep
from neuroanp.devices.protocol import Span
from neuroanp.devices.pulsed import PulsedLaw
from neuroanp.devices.rram import SoftBounds
from neuroanp.devices.rtn import RtnSource
from neuroanp.errors import InputError
from neuroanp.fitting import Fit, Options, fit_file
from neuroanp.fitting.result import LEVEL

SPAN = Span(20e-6, 80e-6)
STEPS = LinearStep(
    dw=0.006, bound_up=1.0, bound_down=1.0, gamma_up=0.1153, gamma_down=0.5085, noise="multiplicative", c2c=0.6,
    tolerance=0.02, max_pulses=1000,
)  # fmt: skip
SOURCE = RtnSource(tau_high=9e-6, tau_low=5e-6, amplitude=4e-3, n_sources=1, kappa=0.5, volts_per_unit=0.3)
SCATTERS = (0.01, 0.03, 0.08)
"""Standard deviation of a read, in parts of the range of conductance, which is 2 in device units."""
SOFT = SoftBounds(dw=0.05, bound_up=1.0, bound_down=1.0, up_down=0.2, c2c=0.4, tolerance=0.1, max_pulses=100)
BENT = ExponentialStep(
    dw=0.012, bound_up=1.0, bound_down=1.0, A_up=0.2, A_down=0.15, gamma_up=1.5, gamma_down=2.0, a=1.0, b=0.0, c2c=0.3,
    tolerance=0.02, max_pulses=1000,
)  # fmt: skip
SAMPLES, DT, MEAN, WHITE = 4000, 4e-6, 42e-3, 0.9e-3


@dataclass(frozen=True)
class Measurement:
    """One kind of record: its name, kind of fit, what draws it, true parameters, options of the fit."""

    name: str
    kind: str
    draw: Callable[[np.random.Generator], synthesize.Columns]
    truth: dict[str, float]
    options: Options


def scattered(
    name: str, law: PulsedLaw, scatter: float, trains: int, pulses: int, keys: tuple[str, ...]
) -> Measurement:
    """Return the record of one device whose reads scatter by so much of the range."""
    seen = law.model_copy(update={"write_noise": 2 * scatter / law.dw})
    return Measurement(
        f"{name}, {trains} x {pulses} pulses each way, reads scatter by {scatter:g} of the range", "pulse",
        lambda rng: synthesize.pulse(seen, 1, trains, pulses, SPAN, rng),
        {key: vars(seen)[key] for key in ("dw", "up_down", "c2c", "write_noise", *keys)},
        Options(law=name, g_min=SPAN.g_min, g_max=SPAN.g_max, anyway=True),
    )  # fmt: skip


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
    *(
        scattered("linear_step", STEPS.model_copy(update={"c2c": 0.3}), scatter, 2, 250, ("gamma_up", "gamma_down"))
        for scatter in SCATTERS
    ),
    *(scattered("soft_bounds", SOFT, scatter, 4, 60, ("bound_up", "bound_down")) for scatter in SCATTERS),
)  # fmt: skip

EXPONENTIAL = tuple(
    scattered("exponential_step", BENT, scatter, 2, 250, ("A_up", "A_down", "gamma_up", "gamma_down"))
    for scatter in SCATTERS
)
SETS = {"fit_intervals": MEASUREMENTS, "fit_intervals_exponential_step": EXPONENTIAL}
"""By the name of their results."""


def held(seed: int, name: str, task: tuple[int, int]) -> dict[str, bool] | None:
    """Draw and fit one record; return which intervals hold the truth, or None where the fit is refused."""
    torch.set_num_threads(1)
    which, record = task
    measurement = SETS[name][which]
    columns = measurement.draw(np.random.default_rng((seed, which, record)))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "record.csv"
        path.write_text(synthesize.as_csv(columns, digits=10))
        try:
            fit = fit_file(path, measurement.kind, measurement.options)
        except InputError:
            return None
    return {key: fit[key].low <= referred(fit, key, true) <= fit[key].high for key, true in measurement.truth.items()}


def referred(fit: Fit, key: str, true: float) -> float:
    """Return a true number as the fit counts it: gamma is lost at the bound that the fit states, not at 1."""
    if fit.law != "linear_step" or not key.startswith("gamma_"):
        return true
    return true * float({choice.key: choice.value for choice in fit.choices}[f"update.bound_{key[6:]}"])


def main() -> None:
    """Print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--of", choices=["exponential_step"], help="these records alone, with results of their own")
    parser.add_argument("--records", type=int, default=100, help="of each kind (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of all draws (default %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default %(default)s)")
    options = parser.parse_args()
    name = "fit_intervals" + (f"_{options.of}" if options.of else "")
    tasks = [(which, record) for which in range(len(SETS[name])) for record in range(options.records)]
    with ProcessPoolExecutor(options.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = []
        for one in pool.map(partial(held, options.seed, name), tasks):
            found.append(one)
            print(f"\r{len(found)} of {len(tasks)} records", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    rows = []
    for which, measurement in enumerate(SETS[name]):
        mine = found[which * options.records : (which + 1) * options.records]
        fitted = [one for one in mine if one is not None]
        for key in measurement.truth:
            rows.append([measurement.name, key, *counted([one[key] for one in fitted]), str(len(mine) - len(fitted))])
    header = ["record", "parameter", "held", f"share (expected {100 * LEVEL:g} %)", "refused"]
    keep(
        name,
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
