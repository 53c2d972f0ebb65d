"""Read one array of a network on an instrument: inputs to volts, amperes to outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from neuroanp.errors import InputError
from neuroanp.substrates.periphery import X_MAX

if TYPE_CHECKING:
    from neuroanp.instruments.guard import Guard
    from neuroanp.instruments.layout import Place
    from neuroanp.profiles import HardwareProfile


def refuse_model(profile: HardwareProfile) -> None:
    """Raise InputError where the profile models what is in every measurement of an instrument already."""
    found = []
    if profile.periphery is not None and profile.periphery.drift_compensation is not None:
        found.append("periphery.drift_compensation: outputs of an instrument are as it reads them")
    if profile.array.wires is not None:
        found.append("array.wires: the resistance of its lines is in what an instrument measures")
    if profile.conductance.v_0 is not None:
        found.append("conductance.v_0: how currents bend is in what an instrument measures at its read voltage")
    if found:
        raise InputError(f"profile '{profile.name}' cannot model the devices of an instrument; leave out", found)


@dataclass(frozen=True)
class Port:
    """Reads through the guard.

        V_j = v_read x_j / x_m,     y = k (I+ - I-)  of pairs,     y = k (I - G_middle sum_j V_j)  in offset coding

    Args:
        guard: the instrument. place: where the array lies. v_read: volts of an input at the end of its range.
        k: outputs an ampere, (w_s / dG) x_m / v_read, twice that in offset coding.
        middle: G_middle, siemens, of offset coding; None: devices are pairs.
        believed: (lines, bits) siemens, by which currents are foreseen. like: gives the dtype of outputs.
    """

    guard: Guard
    place: Place
    v_read: float
    k: float
    middle: float | None
    believed: np.ndarray
    like: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Return y (rows, n) of x (rows, m); inputs beyond the range are held at its ends, as a DAC does."""
        _, planes, n, _ = self.place
        v = (x.double().clamp(-X_MAX, X_MAX) * (self.v_read / X_MAX)).numpy()
        volts = np.zeros((len(v), self.guard.identity.lines), np.float32)
        volts[:, self.place.lines] = v
        amperes = self.guard.read(volts, self.believed).astype(np.float64)[:, : planes * n]
        if self.middle is None:
            amperes = amperes[:, :n] - amperes[:, n:]
        else:
            amperes = amperes - self.middle * v.sum(1, keepdims=True)
        return torch.from_numpy(amperes * self.k).to(self.like)
