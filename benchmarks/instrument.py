"""An instrument in the loop, played by PyVISA-sim: what it learns, whether its limits hold, whether a cut link matters.

python benchmarks/instrument.py [--only learn|limits|cuts] [--seeds 5] [--writes 100000]

learn    copy 2 with 20 units; each seed has an instrument, and devices, of its own. Beside it the frozen recurrence of
         the simulated profile, and training on the simulated profile by the same configuration.
limits   random reads and updates as wild as floats allow, through the guard; the played instrument counts by itself
         what it is sent beyond the limits that it was told.
cuts     the same run, its link cut at random, half of the times after what was asked was done; no attempt to connect
         again is made (`retries: 0`), so that every cut ends the run, and `resume` goes on. Until it is over.

The devices are those of profile ecram with 1 % read noise (assumed). The learning rate is that of
examples/rram_pulses.yaml, which nothing here was tuned for.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from common import keep_parts, spread, table, verdict

import neuroanp as na
from neuroanp.errors import RunError
from neuroanp.instruments.guard import Guard
from neuroanp.instruments.played import array_of
from neuroanp.instruments.protocol import InstrumentError, Limits, Pulse
from neuroanp.instruments.visa import VisaInstrument
from neuroanp.network.compose import Stacked, stack
from neuroanp.network.tanh import Tanh
from neuroanp.noise import Streams
from neuroanp.profiles.loader import load
from neuroanp.substrates.chip import DeviceChip
from neuroanp.training.on_bench import Bench
from neuroanp.training.sections import Hardware
from neuroanp.trajectory import Weights, WeightUpdate

PROFILE = """extends: ecram
meta: {name: bench_ecram, summary: ecram with read noise}
read: {law: gaussian, sigma_absolute: 0 S, sigma_relative: {value: 0.01, source: assumed, status: illustrative}}
"""
HEADINGS = {"learn": "Copy 2, 20 units", "limits": "Limits", "cuts": "A link that is cut"}
LIMITS = {"voltage": "0.25 V", "write_voltage": "1.5 V", "current": "100 uA", "pulses": 2000}
PULSE = {"up": "1.2 V", "down": "-1.2 V", "width": "100 ns"}
RESOURCE = "TCPIP::bench::INSTR"


def config(folder: Path, seed: int, bench: bool, **options: Any) -> dict[str, Any]:
    """Return the configuration of a run, on an instrument or simulated."""
    profile = str(folder / "bench_ecram.yaml")
    on_bench = {
        "substrate": "visa",
        "resource": RESOURCE,
        "options": {"library": f"played:{profile}", "seed": seed, "lines": 64, "bits": 20, **options},
        "limits": LIMITS,
        "pulse": PULSE,
    }
    return {
        "task": {"name": "copy", "length": 2, "delay": 2, "symbols": 2},
        "network": {"hidden": 20},
        "profile": profile,
        "rule": {"name": "anp", "reference": "mean", "K": 7},
        "optimizer": {"lr": 4e-3},
        "hardware": on_bench if bench else {"write": "verify"},
        "training": {"updates": 300, "batch": 16, "evaluate_every": 100, "checkpoint_every": 10},
        "seed": seed,
    }


def learn(options: argparse.Namespace, folder: Path) -> str:
    """Train on instruments, and beside them on the simulated profile."""
    losses: dict[str, list[float]] = {"instrument": [], "simulated": [], "frozen recurrence, simulated": []}
    passes = pulses = 0
    for seed in range(options.seeds):
        found = {bench: na.train(config(folder, seed, bench), runs=folder / "runs").result for bench in (True, False)}
        losses["instrument"].append(found[True]["test_loss"])
        losses["simulated"].append(found[False]["test_loss"])
        losses["frozen recurrence, simulated"].append(found[False]["controls"]["frozen_recurrence"])
        passes, pulses = 8 * 300, found[True]["pulses"]
        print(f"seed {seed}: {[of[-1] for of in losses.values()]}", flush=True)
    below = median(losses["instrument"]) < median(losses["frozen recurrence, simulated"])
    each = all(a < b for a, b in zip(losses["instrument"], losses["frozen recurrence, simulated"], strict=True))
    lines = [[name, spread(of)] for name, of in losses.items()]
    said = f"300 updates of 16 sequences, {passes:,} passes; about {pulses:,} pulses (last seed)."
    verdicts = [verdict("the median on instruments is below that of the frozen recurrence", below)]
    verdicts.append(verdict("so it is on every seed", each))
    return (
        f"{said}\n\n" + table(["weights held by", "test loss"], lines) + "\n\n" + "\n".join(f"- {v}" for v in verdicts)
    )


def limits(options: argparse.Namespace, folder: Path) -> str:
    """Send wild reads and updates through the guard, and ask the instrument what broke its limits."""
    profile = load(str(folder / "bench_ecram.yaml"))
    driver = VisaInstrument(
        RESOURCE, {"library": f"played:{folder}/bench_ecram.yaml", "seed": 9, "lines": 12, "bits": 4}
    )
    of = Limits.model_validate({"voltage": 0.25, "write_voltage": 1.5, "current": 2e-5, "pulses": 7})
    guard = Guard(driver, of, Pulse.model_validate({"up": 1.2, "down": -1.2, "width": 1e-7}), retries=0)
    guard.open()
    played = array_of(f"{folder}/bench_ecram.yaml", "TCPIP0::bench::inst0::INSTR", driver.options)
    network, streams = stack(2, [Stacked(Tanh(), 4)], 2), Streams(0)
    shapes = network.shapes
    first = Weights({name: torch.zeros(shape) for name, shape in shapes.items()}, network)
    model = DeviceChip.build(profile, first, streams=streams, dt=1e-6)
    hardware = Hardware.model_construct(
        substrate="visa", resource=RESOURCE, limits=of, pulse=guard.pulse, write="pulse", read_backs=1
    )
    chip = Bench(guard, None, fresh=True).chip(hardware, False, model, first, streams)
    rng, refused, index = np.random.default_rng(0), 0, 0
    start = played.written
    while played.written - start < options.writes:
        index += 1
        scale = 10.0 ** rng.uniform(-3, 6)
        if index % 500 == 0:  # each way to write in turn
            chip.write = "verify" if chip.write == "pulse" else "pulse"
        arrays = {name: torch.from_numpy(scale * rng.standard_normal(s)).float() for name, s in shapes.items()}
        chip.apply(WeightUpdate(arrays), 1.0, streams, index)
        if index % 50 == 0:  # beside them what goes round the substrate: the guard alone stands before the driver
            wild = rng.integers(-30_000, 30_000, (12, 4))
            try:
                guard.write(wild)
            except InstrumentError:
                refused += 1
            for most in (2.0, 0.25):  # beyond the voltage, and within it at all word lines at once
                try:
                    guard.read(rng.uniform(most / 2, most, (3, 12)), played.siemens)
                except InstrumentError:
                    refused += 1
    worn = max(int(array.cells["wear"].max()) for array in chip.arrays.values())
    said = (
        f"{played.written - start:,} writes were carried out, {index:,} updates of 1e-3 to 1e6 times the weights; "
        f"{refused:,} reads and writes that would have been beyond a limit were refused by the guard, before anything "
        f"was sent; the most worn device has had {worn:,} pulses."
    )
    return f"{said}\n\n- " + verdict(
        f"{played.beyond} messages beyond a limit reached the instrument", not played.beyond
    )


def cuts(options: argparse.Namespace, folder: Path) -> str:
    """Train while the link is cut at random, resuming each time."""
    lines = []
    for seed in range(options.seeds):
        plain = config(folder, 100 + seed, True, cut_rate=options.cut_rate)
        plain["hardware"]["retries"] = 0
        stopped, run = 0, None
        while run is None:
            try:
                run = na.train(plain, runs=folder / "cuts")
            except RunError as error:
                stopped += 1
                print(f"seed {seed}: {str(error)[:90]}", flush=True)
        of_control = run.result["controls"]["frozen_recurrence"]
        lines.append([str(100 + seed), str(stopped), f"{run.result['test_loss']:.3g}", f"{of_control:.3g}"])
        print(lines[-1], flush=True)
    enough = all(int(line[1]) >= 10 for line in lines)
    heads = ["seed", "ended by a cut, and resumed", "test loss", "frozen recurrence, simulated"]
    said = f"A share of {options.cut_rate:g} of the messages cuts the link."
    return (
        f"{said}\n\n" + table(heads, lines) + "\n\n- " + verdict("each run was cut 10 times or more, and ended", enough)
    )


def main() -> None:
    """Run one part or all, and keep the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=[*HEADINGS])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--writes", type=int, default=100_000)
    parser.add_argument("--cut-rate", type=float, default=2.5e-3)
    options = parser.parse_args()
    logging.getLogger("neuroanp").setLevel(logging.ERROR)
    for name, part in {"learn": learn, "limits": limits, "cuts": cuts}.items():
        if options.only in (None, name):
            with TemporaryDirectory() as folder:
                (Path(folder) / "bench_ecram.yaml").write_text(PROFILE)
                found = part(options, Path(folder))
            keep_parts("instrument", "An instrument in the loop", {HEADINGS[name]: found}, [*HEADINGS.values()])


if __name__ == "__main__":
    main()
