"""What a device costs beside exact weights: one update of a learner on each, in turn in one process.

python benchmarks/device_speed.py [--repeats 15] [--only pcm]

Two passes, return-to-go, T = 100, hidden 256 (32 where every device of an array is drawn), one thread, float32, process
CPU time: from a batch to dW, the state of the arrays read and the ledger booked. `ideal` is the profile without effects
whose weights are exact. Writes: 256x256 weights by write-and-verify against in-situ pulses, the same change of a tenth
of the range's spread. Ratios are of neighbours in time: a device against `ideal` just before it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import torch
from common import keep, table, verdict

from neuroanp.devices.device import Device
from neuroanp.noise import PassStreams
from neuroanp.profiles import load
from neuroanp.substrates.crossbar import Crossbar
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.lab import Lab
from neuroanp.training.memory import keep_freed_memory

STEPS = 100
Update = Callable[[int], object]


@dataclass(frozen=True)
class Row:
    """One line of the table: a device, the size it is timed at, and the ratio to reach, if one is set."""

    label: str
    hardware: dict[str, Any]
    batch: int
    hidden: int = 256
    most: float | None = None


ROWS = [
    Row("pcm", {"profile": "pcm"}, 32, most=2.0),
    Row("pcm", {"profile": "pcm"}, 1, most=3.0),
    Row("pcm_tiles", {"profile": "pcm_tiles"}, 32, most=3.0),
    Row("pcm_tiles", {"profile": "pcm_tiles"}, 1, most=3.0),
    Row("smtj_koenders", {"profile": "smtj_koenders"}, 32, most=1.4),
    Row("smtj_koenders", {"profile": "smtj_koenders"}, 1, most=1.4),
    Row("smtj_telegraph", {"profile": "smtj_telegraph"}, 32),
    Row("rram_hfo2", {"profile": "rram_hfo2"}, 32),
    Row("rram_wan", {"profile": "rram_wan"}, 32),
    Row("sonos_flash", {"profile": "sonos_flash"}, 32),
    Row("ecram", {"profile": "ecram"}, 32),
    Row("rram_rtn", {"profile": "rram_rtn"}, 32),
    Row("rram_rtn, N=32", {"profile": "rram_rtn"}, 32, 32),
    Row("rram_rtn, sampled, N=32", {"profile": "rram_rtn", "read": "sampled"}, 32, 32, most=8.0),
    Row("pcm, sampled, N=32", {"profile": "pcm", "read": "sampled"}, 32, 32),
]
WRITE = 2.5
NOTES = """## What was tried, predicted and measured

- Steps of a layer that sees itself in one compiled loop, or between two products of torch: predicted to save the
  calls, four fifths of a read of one sequence. pcm, B=1: 4.8 -> 3.3 times ideal.
- Drift and read noise of pcm in one loop each, powers as exponentials of logarithms: predicted .5 ms for 131,072
  devices instead of 1.75; measured .6. pcm, B=1: 3.3 -> 2.8.
- Noise of reads drawn a megabyte at a time: predicted that converters find it in the near cache. They take half as
  long (29 -> 13 us a step of 32 sequences), the products 4 % less. pcm, B=32: 2.10 -> 1.95.
- Tiles solved one by one in a compiled loop, the small system eliminated in place: predicted .6 ms for 34 tiles
  instead of 4; measured 1.0. pcm_tiles: 3.3 -> 3.05 (B=32), 6.6 -> 4.6 (B=1).
- Arrays with noise and junctions in the compiled update of exact arrays, which had made these twice as fast: predicted
  to leave what reads and draws cost. pcm 2.2 -> 1.95 (B=32), 5.2 -> 3.4 (B=1); pcm_tiles 3.4 -> 2.9, 7.9 -> 6.4;
  smtj_koenders 1.4 -> 1.25, 2.8 -> 2.0, and 1.5 once junctions draw as they run.
- pcm's drift and both noises in one pass over its devices, weights and variances of pairs in another: predicted .9 ms
  less of 1.8 (B=1); measured .4, for powers and logarithms take .45 ms, normals of the frozen noise .15, memory the
  rest.
- What a read of pcm_tiles cannot do without, of 57 ms at B=32: products of weights and variances 21 ms, 9.8 million
  normals (one for each of four conversions, one for each driver) 10 ms, outer products 5 ms. With one sequence each
  update still reads the state of 131,072 devices once (drift, frozen noise, wires: 4 ms beside 1 ms of the whole update
  on exact weights), however few reads share it: <= 3 is out of reach at B=1 unless the state is kept from update to
  update, which writes undo.
- Sampled reads draw a uniform for each of 2,048 devices, 64 reads a step: 16.4 million an update with both other
  arrays. The words alone are 6.1 ms (.37 ns each), states 3.1, products 1.3, beside 1.5 ms of the whole update on exact
  weights. One call of the loops a step for all streams, then all steps in one call: 13.3 -> 10.5 times updates of the
  general path; drawn as many steps at once as other noise allows: 18 -> 13 times the compiled ones. Drawing the steps
  between two changes of a device instead (most change rarely) would need few draws, and another definition of noise.
"""


def update_on(hardware: dict[str, Any], hidden: int, batch: int) -> Update:
    """Return one dW of the package as a function of the update's number, the arrays read, its reads booked."""
    task = {"name": "mackey_glass", "steps": STEPS}
    config: dict[str, Any] = {
        "task": task, "network": {"hidden": hidden}, "training": {"batch": batch, "chunk": 128, "controls": False},
        "profile": hardware["profile"],
    }  # fmt: skip
    changed = {f"hardware.{key}": value for key, value in hardware.items() if key != "profile"}
    trainer = build_trainer(Experiment.of(configure(config, changed)))
    context = trainer.lab()

    def step(number: int) -> object:
        streams = PassStreams(trainer.streams, "train", number)
        reads = trainer.substrate.prepare(trainer.window(), streams)
        return trainer.learner.learn(trainer.learned, Lab(**{**vars(context), "streams": streams, "reads": reads}))

    return step


def cpu(function: Update, number: int) -> float:
    """Return the seconds of processor time that one call takes."""
    start = time.process_time()
    function(number)
    return time.process_time() - start


def in_turn(a: Update, b: Update, repeats: int, warm: int = 3) -> tuple[list[float], list[float]]:
    """Time a and b in turn, the first calls left out."""
    pairs = [(cpu(a, number), cpu(b, number)) for number in range(repeats + warm)][warm:]
    return [x for x, _ in pairs], [y for _, y in pairs]


def updates(rows: list[Row], repeats: int) -> tuple[str, list[str]]:
    """Time each device against exact weights of the same size."""
    body, claims = [], []
    for row in rows:
        mine, its = in_turn(
            update_on(row.hardware, row.hidden, row.batch), update_on({"profile": "ideal"}, row.hidden, row.batch),
            repeats,
        )  # fmt: skip
        ratios = [a / b for a, b in zip(mine, its, strict=True)]
        numbers = STEPS * 2 * row.batch * row.hidden
        body.append([
            row.label, str(row.hidden), str(row.batch), f"{median(mine) * 1e3:.2f}", f"{median(its) * 1e3:.2f}",
            f"{(median(mine) - median(its)) / numbers * 1e9:.1f}", spread_of(ratios),
        ])  # fmt: skip
        if row.most is not None:
            claim = f"{row.label}, B={row.batch}: {median(ratios):.2f} times ideal, <= {row.most:g}"
            claims.append(verdict(claim, median(ratios) <= row.most))
    headers = ["device", "N", "B", "update (ms)", "ideal (ms)", "more, ns a pre-activation", "ratio, median [range]"]
    return table(headers, body), claims


def spread_of(ratios: list[float]) -> str:
    """Write median [lowest .. highest]."""
    return f"{median(ratios):.2f} [{min(ratios):.2f} .. {max(ratios):.2f}]"


def written(profile: str) -> tuple[Update, Update]:
    """Return writes of one array of 256x256, by write-and-verify and by pulses in place, each from the same state."""
    loaded, size = load(profile), 256
    array = Crossbar(loaded, Device(loaded), (size, size), np.random.default_rng(0))
    normals = np.random.default_rng(1).standard_normal((2, size, size), dtype=np.float32)
    weights, change = (torch.from_numpy(scale * array.w_s * x) for scale, x in zip((0.3, 0.03), normals, strict=True))
    array.program(array.to_conductance(array.clip(weights)[0]), 0.0, np.random.default_rng(2))
    cells, target = array.cells, array.to_conductance(array.clip(weights + change)[0])

    def verify(number: int) -> object:
        return array.device.program(cells, target, None, 1.0, np.random.default_rng(number))

    def pulse(number: int) -> object:
        return array.device.pulse(cells, array.to_change(change), 1.0, np.random.default_rng(number))

    return verify, pulse


def writes(repeats: int) -> tuple[str, list[str]]:
    """Time write-and-verify against pulses."""
    body, claims = [], []
    for profile in ("rram_hfo2", "rram_hfo2_om", "ecram"):
        verify, pulse = written(profile)
        mine, its = in_turn(verify, pulse, repeats)
        ratios = [a / b for a, b in zip(mine, its, strict=True)]
        body.append([profile, f"{median(mine) * 1e3:.2f}", f"{median(its) * 1e3:.2f}", spread_of(ratios)])
        if profile == "rram_hfo2":
            claim = f"{profile}: write-and-verify takes {median(ratios):.2f} times pulses, <= {WRITE:g}"
            claims.append(verdict(claim, median(ratios) <= WRITE))
    return table(["device", "write-and-verify (ms)", "pulses (ms)", "ratio, median [range]"], body), claims


def main() -> None:
    """Print both tables and say which numbers are reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--only", default="", help="rows with this in their label, or 'writes'; nothing is kept")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as every run does
    parts: list[str] = []
    claims: list[str] = []
    rows = [row for row in ROWS if options.only in row.label]
    for found in ([updates(rows, options.repeats)] if rows else []) + (
        [writes(options.repeats)] if options.only in ("", "writes") else []
    ):
        parts.append(found[0])
        claims += found[1]
    body = "\n\n".join(parts) + "\n\n" + "\n".join(f"- {claim}" for claim in claims) + "\n\n" + NOTES.rstrip()
    if options.only:
        print(body)
    else:
        keep("device_speed", "Devices beside exact weights: T = 100, two passes, float32, one thread", body)


if __name__ == "__main__":
    main()
