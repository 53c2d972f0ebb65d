"""Measurements drawn from the library's own laws, and the parameters behind them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from examples.data import synthesize
from neuroanp.devices.ecram import LinearStep
from neuroanp.devices.gaussian import GaussianProgramming, GaussianRead
from neuroanp.devices.protocol import Span
from neuroanp.devices.rram import SoftBounds
from neuroanp.devices.rtn import RtnSource
from neuroanp.fitting import Fit, Options, fit_file
from neuroanp.profiles import load


class Case(NamedTuple):
    """A kind of measurement with known parameters.

    Args:
        kind: of the fit.
        law: that the fit should find.
        draw: measurements for a generator.
        truth: of each parameter, SI.
        options: of the fit.
    """

    kind: str
    law: str
    draw: Callable[[np.random.Generator], synthesize.Columns]
    truth: dict[str, float]
    options: Options = Options()


PCM = load("pcm")
SPAN = Span(30e-6, 70e-6)
RANGE = Options(g_min=SPAN.g_min, g_max=SPAN.g_max)
SOURCE = RtnSource(tau_high=9e-6, tau_low=5e-6, amplitude=4e-3, n_sources=1, kappa=0.5, volts_per_unit=0.3)
KOENDERS = load("smtj_koenders").stochastic
SOFT = SoftBounds(
    dw=0.0949, bound_up=1.0, bound_down=1.0, dw_d2d=0.3, up_down=0.1, up_down_d2d=0.05, bound_up_d2d=0.15,
    bound_down_d2d=0.15, c2c=0.4158, tolerance=0.1, max_pulses=100,
)  # fmt: skip
LINEAR = LinearStep(
    dw=0.006, bound_up=1.0, bound_down=1.0, gamma_up=0.1153, gamma_down=0.5085, noise="multiplicative", dw_d2d=0.1,
    up_down_d2d=0.05, c2c=0.3, write_noise=1.0, tolerance=0.02, max_pulses=1000,
)  # fmt: skip
QUIET = PCM.read.model_copy(update={"q": 0.001})
TIMES = np.geomspace(20, 20_000, 8)


def _koenders(rng: np.random.Generator) -> synthesize.Columns:
    """Draw a bank of one junction, one sample a microsecond."""
    n = 4000
    uniform = torch.from_numpy(rng.random((n + 1, 1, 1)))
    start = torch.where(uniform[0] < 0.5, -1.0, 1.0).double()
    s = KOENDERS.states(start, uniform[1:])
    noise = KOENDERS.noise(s, torch.from_numpy(rng.standard_normal((n, 1))))
    volts = KOENDERS.mean + noise[:, 0].numpy() * KOENDERS.volts_per_unit / KOENDERS.kappa
    return {"time_us": np.arange(n, dtype=float), "voltage_mV": 1e3 * volts}


def _rtn_read(rng: np.random.Generator) -> synthesize.Columns:
    """Draw one device of 20 uS mean whose conductance steps by a tenth."""
    law = RtnSource(tau_high=3e-3, tau_low=3e-3, amplitude=0.1, n_sources=1, kappa=1.0, volts_per_unit=1.0)
    made = synthesize.telegraph(law, 4000, 1e-3, 1.0, 0.03, rng)
    return {"time_ms": 1e-3 * made["time_us"], "conductance_uS": 20 * 1e-3 * made["voltage_mV"]}


def _gaussian_read(rng: np.random.Generator) -> synthesize.Columns:
    law = GaussianRead(sigma_absolute=0.1e-6, sigma_relative=0.01)
    g = torch.from_numpy(np.geomspace(1e-6, 24e-6, 40))
    fresh, _ = law.split(g, g, 25e-6, torch.tensor(1.0), 1e-3)
    reads = g[:, None] + fresh[:, None] * torch.from_numpy(rng.standard_normal((40, 30)))
    return {"device": np.repeat(np.arange(40), 30), "conductance_uS": 1e6 * reads.numpy().ravel()}


def _gaussian_programming(rng: np.random.Generator) -> synthesize.Columns:
    law = GaussianProgramming(sigma_absolute=0.2e-6, sigma_relative=0.05)
    return synthesize.programming(law, 25e-6, 1500, rng)


def _of(law: object, *names: str) -> dict[str, float]:
    return {name: getattr(law, name) for name in names}


_STEPS = ("dw", "dw_d2d", "up_down", "up_down_d2d", "c2c")
_BOUNDS = ("bound_up", "bound_down", "bound_up_d2d", "bound_down_d2d")
_DRIFT = ("mu_slope", "mu_offset", "mu_min", "s_slope", "s_offset", "s_min")

CASES = {
    "rtn": Case(
        "telegraph", "rtn", lambda rng: synthesize.telegraph(SOURCE, 4000, 4e-6, 42e-3, 0.9e-3, rng),
        {**_of(SOURCE, "tau_high", "tau_low", "amplitude", "tau_c"), "sigma_white": 0.9e-3, "occupancy": SOURCE.p},
    ),
    "koenders": Case(
        "telegraph", "koenders", _koenders, _of(KOENDERS, "mean", "sigma_white", "amplitude", "flip"),
        Options(law="koenders"),
    ),
    "rtn_read": Case("telegraph", "rtn", _rtn_read, {"tau_high": 3e-3, "tau_low": 3e-3, "amplitude": 0.1}),
    "soft_bounds": Case(
        "pulse", "soft_bounds", lambda rng: synthesize.pulse(SOFT, 12, 3, 60, SPAN, rng), _of(SOFT, *_STEPS, *_BOUNDS),
        RANGE,
    ),
    "linear_step": Case(
        "pulse", "linear_step", lambda rng: synthesize.pulse(LINEAR, 6, 1, 250, SPAN, rng),
        _of(LINEAR, *_STEPS, "write_noise", "gamma_up", "gamma_down"), RANGE,
    ),
    "read_pcm": Case(
        "read_noise", "pcm", lambda rng: synthesize.read_noise(PCM.read, 25e-6, 30, 40, 1000.0, 1e-3, rng),
        _of(PCM.read, "q", "exponent"),
    ),
    "read_gaussian": Case("read_noise", "gaussian", _gaussian_read, {"sigma_absolute": 1e-7, "sigma_relative": 0.01}),
    "drift": Case(
        "drift", "pcm", lambda rng: synthesize.drift(PCM.drift, QUIET, Span(0.0, 25e-6), 800, TIMES, rng),
        _of(PCM.drift, *_DRIFT),
    ),
    "programming_pcm": Case(
        "programming", "pcm", lambda rng: synthesize.programming(PCM.programming, 25e-6, 2100, rng),
        _of(PCM.programming, "c0", "c1", "c2"),
    ),
    "programming_gaussian": Case(
        "programming", "gaussian", _gaussian_programming, {"sigma_absolute": 2e-7, "sigma_relative": 0.05},
        Options(law="gaussian"),
    ),
}  # fmt: skip


def fitted(case: Case, seed: int, folder: Path) -> Fit:
    """Return the fit of one draw, by way of a CSV file."""
    path = folder / "measured.csv"
    path.write_text(synthesize.as_csv(case.draw(np.random.default_rng(seed)), digits=10), encoding="utf-8")
    return fit_file(path, case.kind, case.options)


def truth_of(case: Case, fit: Fit, name: str) -> float:
    """Return the true value of a parameter; a linear step's gamma refers to the bound the fit states."""
    true = case.truth[name]
    if name.startswith("gamma_"):
        stated = {choice.key: choice.value for choice in fit.choices}
        return true * float(stated[f"update.bound_{name[6:]}"])
    return true
