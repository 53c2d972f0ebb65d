"""How far the conductance of each device was from its mean in a presentation: what its own noise had made of it.

A synapse knows that by reading its device, which is compared with the mean that it was programmed for. In simulation
the noise has an address: what the presentation was read with is drawn again, to the bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from neuroanp.substrates.periphery import X_MAX

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.substrates.device_noise import DeviceNoise
    from neuroanp.training.lab import Lab
    from neuroanp.trajectory import PassPlan


def standing(lab: Lab) -> dict[str, Tensor]:
    """Return what stands still of the read noise of the arrays that learn, for all presentations of an update.

    The reads of the update against those without noise, theta - mu of each weight, (n, m); each device is read once
    for it, word line after word line, which is booked.
    """
    silent = lab.substrate.prepare(lab.window_s, lab.streams, noise=False)
    found = {name: read.W - silent[name].W for name, read in lab.reads.items() if lab.learns(name)}
    for name in found:
        book(lab, name, times=1)
    return found


class Realised:
    """The noise of one presentation of arrays whose devices are drawn in time (hardware.read: sampled).

    Args:
        lab: of the update. plan: of the one pass. dt: seconds a step, of the simulator that presents it.
    """

    def __init__(self, lab: Lab, plan: PassPlan, dt: float) -> None:
        self.lab, apart = lab, lab.steps * dt  # presentations follow one another, as simulators have it
        self.devices: dict[str, DeviceNoise] = {
            name: lab.substrate.device_noise(name, read, plan.of_devices, lab.batch, lab.streams, apart)
            for name, read in lab.reads.items()
            if read.process is not None and lab.learns(name)
        }

    def draw(self, t0: int, steps: int, at_once: int) -> Iterator[dict[str, Tensor]]:
        """Yield theta - mu of each weight, (steps, B, n, m) by array, in stretches of at most `at_once` numbers.

        Each device is read at every step, word line after word line, which is booked.
        """
        a_step = sum(2 * self.lab.batch * devices.sigma.numel() for devices in self.devices.values())
        most = max(1, at_once // max(a_step, 1))
        for start in range(t0, t0 + steps, most):
            many = min(most, t0 + steps - start)
            # both devices of a pair come with the sign of their plane
            yield {name: devices.draw(start, many)[:, 0].sum(2) for name, devices in self.devices.items()}
        for name in self.devices:
            book(self.lab, name, times=steps * self.lab.batch)


def book(lab: Lab, name: str, times: int) -> None:
    """Book that every device of an array was read so many times, one word line at full scale in each read.

    Its current is converted on the bit line of its tile, as an output is. What it takes of the chip's time is not
    booked: the reads lie beside those of the presentation.
    """
    if not lab.books:
        return
    read = lab.reads[name]
    W, (n, m) = read.W, read.W.shape
    load = torch.full((m,), times * X_MAX**2 if lab.substrate.weighs_reads else 0.0, dtype=W.dtype, device=W.device)
    lab.substrate.book_reads(name, load, times * m, 0, events=float(times * n * m))
    if read.adc is not None:
        lab.substrate.ledger.book_conversions(0, times * m * n * max(read.bits, 1))
