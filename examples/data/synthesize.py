"""Make measurements to try `neuroanp profiles fit` on: synthetic, drawn from the library's own laws.

    python examples/data/synthesize.py          # writes the CSV files beside this script

Each function draws what an instrument would record of devices that follow a law exactly. The
parameters behind the shipped files stand in `main`; a fit should find them again.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from neuroanp.devices.pcm import PcmDrift, PcmProgramming, PcmRead
from neuroanp.devices.protocol import Span
from neuroanp.devices.pulsed import PulsedLaw
from neuroanp.devices.rtn import RtnSource
from neuroanp.profiles import load

HERE = Path(__file__).resolve().parent
Columns = dict[str, np.ndarray]


def telegraph(law: RtnSource, samples: int, dt: float, mean: float, white: float, rng: np.random.Generator) -> Columns:
    """Record the voltage of one source: its mean, the telegraph signal, white noise of the instrument (volts)."""
    u = torch.from_numpy(rng.random((samples, law.n_sources, 1)))
    state = law.start(torch.from_numpy(rng.random((law.n_sources, 1))))
    noise, _ = law.run(state, u, None, dt)
    volts = mean + noise[:, 0].numpy() * law.volts_per_unit / law.kappa + white * rng.standard_normal(samples)
    return {"time_us": 1e6 * dt * np.arange(samples), "voltage_mV": 1e3 * volts}


def pulse(law: PulsedLaw, devices: int, trains: int, pulses: int, span: Span, rng: np.random.Generator) -> Columns:
    """Record devices after each pulse of trains up and down in turn, starting near the lower bound."""
    shape = (1, 1, devices)
    normal = lambda: torch.from_numpy(rng.standard_normal(shape))  # noqa: E731
    cells = law.sample(shape, rng, frozenset({"d2d"}), torch.empty(0, dtype=torch.float64))
    w, own = 0.9 * cells["w_min"], [cells[name] for name in ("up", "down", "w_max", "w_min")]
    directions, seen = [0], [w + law.write_noise * law.dw * normal()]
    for sign in [1, -1] * trains:
        for _ in range(pulses):
            w = law.step(w, torch.full(shape, float(sign)), *own, normal())
            seen.append(w + law.write_noise * law.dw * normal())
            directions.append(sign)
    v = torch.stack(seen).reshape(-1, devices).T.numpy()
    return {
        "device": np.repeat(np.arange(devices), len(directions)),
        "direction": np.tile(directions, devices),
        "conductance_uS": 1e6 * (span.middle + 0.5 * span.width * v).ravel(),
    }


def read_noise(
    law: PcmRead, g_max: float, devices: int, reads: int, age: float, spacing: float, rng: np.random.Generator
) -> Columns:
    """Record repeated reads, `spacing` seconds apart, of devices programmed `age` seconds before."""
    g = torch.from_numpy(g_max * np.geomspace(0.05, 0.95, devices))
    window = spacing * reads
    t = age + spacing * np.arange(reads)
    fresh, frozen = law.split(g, g, g_max, torch.tensor(t[-1], dtype=torch.float64), window)
    still = g + frozen * torch.from_numpy(rng.standard_normal(devices))
    seen = still[:, None] + fresh[:, None] * torch.from_numpy(rng.standard_normal((devices, reads)))
    return {
        "device": np.repeat(np.arange(devices), reads),
        "time_s": np.tile(t, devices),
        "conductance_uS": 1e6 * seen.numpy().ravel(),
    }


def drift(
    law: PcmDrift, read: PcmRead, span: Span, devices: int, times: np.ndarray, rng: np.random.Generator
) -> Columns:
    """Record devices of many conductances at some times after their write, each read with its own noise."""
    xi = lambda *shape: torch.from_numpy(rng.standard_normal(shape))  # noqa: E731
    target = torch.from_numpy(span.g_max * np.geomspace(0.02, 1.0, devices))
    nu = law.draw(target, span.g_max, xi(devices))
    seen = []
    for t in times:
        age = torch.tensor(t, dtype=torch.float64)
        now = law.conductance(target, nu, age, target, span)
        fresh, frozen = read.split(target, now, span.g_max, age, float(t))
        seen.append(now + torch.hypot(fresh, frozen) * xi(devices))
    return {
        "device": np.repeat(np.arange(devices), len(times)),
        "time_s": np.tile(times, devices),
        "conductance_uS": 1e6 * torch.stack(seen, 1).numpy().ravel(),
        "target_uS": np.repeat(1e6 * target.numpy(), len(times)),
    }


def programming(law: PcmProgramming, g_max: float, writes: int, rng: np.random.Generator) -> Columns:
    """Record writes to targets from 0 to g_max."""
    target: Tensor = torch.from_numpy(np.resize(np.linspace(0.0, g_max, 21), writes))
    actual = law.write(target, g_max, torch.from_numpy(rng.standard_normal(writes)))
    return {"target_uS": 1e6 * target.numpy(), "actual_uS": 1e6 * actual.numpy()}


def as_csv(columns: Columns, comment: str = "", digits: int = 7) -> str:
    """Return the columns as CSV text, numbers with so many significant digits."""
    text = io.StringIO()
    text.writelines(f"# {line}\n" for line in comment.splitlines())
    formats = ["%d" if np.issubdtype(values.dtype, np.integer) else f"%.{digits}g" for values in columns.values()]
    rows = np.column_stack([*columns.values()])
    np.savetxt(text, rows, fmt=formats, delimiter=",", header=",".join(columns), comments="")
    return text.getvalue()


def main() -> None:
    """Write the example files."""
    rng = np.random.default_rng(20)
    pcm = load("pcm")
    span = Span(0.0, pcm.conductance.g_max)
    quiet = pcm.read.model_copy(update={"q": 0.002})
    source = RtnSource(tau_high=12e-6, tau_low=8e-6, amplitude=11.9e-3, n_sources=1, kappa=1.0, volts_per_unit=0.3)
    steps = load("ecram").update.model_copy(update={"dw": 0.01})
    files = {
        "telegraph.csv": telegraph(source, 4000, 1e-6, 42e-3, 0.9e-3, rng),
        "pulse.csv": pulse(steps, 4, 1, 150, Span(2e-6, 12e-6), rng),
        "read_noise.csv": read_noise(pcm.read, span.g_max, 24, 50, 1000.0, 1e-3, rng),
        "drift.csv": drift(pcm.drift, quiet, span, 250, np.geomspace(20, 20_000, 8), rng),
        "programming.csv": programming(pcm.programming, span.g_max, 2100, rng),
    }
    for name, columns in files.items():
        kind = name.removesuffix(".csv")
        said = "Synthetic: drawn by synthesize.py from a law of neuroanp, not measured."
        text = as_csv(columns, f"{said}\nneuroanp profiles fit {name} --kind {kind}", 9 if kind == "read_noise" else 6)
        (HERE / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
