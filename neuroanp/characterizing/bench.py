"""What every experiment is given: a profile, named random streams and how many devices to sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from neuroanp.devices.device import Device
from neuroanp.noise import Streams

if TYPE_CHECKING:
    from neuroanp.devices.protocol import Cells
    from neuroanp.profiles import HardwareProfile


@dataclass(frozen=True)
class Bench:
    """A test bench for the devices of one profile.

    Args:
        profile: the hardware.
        seed: of all random streams; an experiment's draws do not depend on which others run.
        devices: how many devices are sampled under each condition.
    """

    profile: HardwareProfile
    seed: int = 0
    devices: int = 10_000

    def rng(self, name: str, *index: int) -> np.random.Generator:
        """Return the generator of a named stream."""
        return Streams(self.seed).generator(f"characterize/{name}", *index)

    def device(self, *effects: str) -> Device:
        """Return the device with these non-idealities alone."""
        return Device(self.profile, frozenset(effects))

    def levels(self, count: int) -> Tensor:
        """Return `count` conductances from g_min to g_max, (count,) siemens."""
        span = self.profile.conductance
        return torch.linspace(span.g_min, span.g_max, count, dtype=torch.float64)

    def fresh(self, device: Device, rows: int, rng: np.random.Generator) -> Cells:
        """Return new devices before their first write: `rows` rows with self.devices of them, both planes counted."""
        return device.sample((rows, -(-self.devices // device.planes)), rng, torch.float64)

    @staticmethod
    def by_row(values: Tensor, planes: int) -> Tensor:
        """Return a value for each row as one for every device, (planes, rows, 1)."""
        return values[None, :, None].expand(planes, -1, 1)

    @staticmethod
    def rows(cells: Tensor) -> np.ndarray:
        """Return (planes, rows, n) as (rows, planes * n): all devices of a row side by side."""
        return cells.transpose(0, 1).reshape(cells.shape[1], -1).numpy()
