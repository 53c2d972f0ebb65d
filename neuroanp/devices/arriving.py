"""What is left of a write pulse that the lines have taken voltage from: a smaller step, or less current.

    dw(v) / dw(V) = sinh(v / v_0) / sinh(V / v_0)

Ions hop over a barrier that the field lowers one way and raises the other way, so that the rate at which a filament
grows is a sinh of the voltage: the equation of the gap in Jiang et al., A compact model for metal-oxide resistive
random access memory with experiment verification, IEEE Trans. Electron Devices 63, 1884 (2016),

    dg/dt = -nu_0 e^{-E_a/k_B T} sinh(gamma a_0 q V / (L k_B T)),    v_0 = L k_B T / (gamma a_0 q)

The sinh itself is Mott and Gurney's, Electronic Processes in Ionic Crystals (1940). Far above v_0 it is
e^{(v - V)/v_0}, far below v/V. One v_0 stands for pulses of both directions, and for all states.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from neuroanp.devices.protocol import Cells
from neuroanp.errors import RunError

if TYPE_CHECKING:
    from neuroanp.devices.protocol import UpdateLaw

LEAST = 1e-3
"""The least share of a step that a verified write is still counted through with: a thousand pulses for one."""
ROUNDING = 1e-6
"""What a number of pulses may exceed a whole one by and still be that."""


class Arrived(NamedTuple):
    """What arrives at each device of a pulse sent to it, as shares of what does on ideal lines.

    Args:
        step: of the step that it makes, (planes, n, m); None where no scale voltage is stated.
        current: of the current, of the same shape.
    """

    step: Tensor | None
    current: Tensor


def steps(share: Tensor, volts: float, v_0: float) -> Tensor:
    """Return sinh(share V / v_0) / sinh(V / v_0), without leaving the range of floats.

    Args:
        share: v / V of each device, 0 to 1, any shape.
        volts: V of the pulse.
        v_0: volts.

    >>> [round(float(steps(torch.tensor([0.9]), 2.0, v_0)), 4) for v_0 in (0.2, 1e3)]  # e^-1, and in proportion
    [0.3679, 0.9]
    """
    x = volts / v_0
    return torch.exp((share - 1.0) * x) * torch.expm1(-2.0 * x * share) / math.expm1(-2.0 * x)


def weakened(law: UpdateLaw, cells: Cells, arrived: Arrived | None) -> Cells:
    """Return the devices as pulses that arrive in part find them; the law knows how (None: they arrive whole).

    >>> from neuroanp.profiles.loader import load
    >>> cells = {"g": torch.zeros(1, 1, 1), "up": torch.tensor([[[0.2]]]), "down": torch.tensor([[[0.2]]])}
    >>> half = torch.full((1, 1, 1), 0.5)
    >>> round(weakened(load("ecram").update, cells, Arrived(half, half))["up"].item(), 6)
    0.1
    """
    if arrived is None:
        return cells
    share = arrived.step if law.driven_by == "voltage" else arrived.current
    assert share is not None, "the profile has checked that there is a scale voltage"
    assert law.weakened is not None, "the profile has checked that the law takes weaker pulses"
    return law.weakened(cells, share.to(cells["g"]))


def more_pulses(pulses: Tensor, arrived: Arrived | None) -> Tensor:
    """Return the pulses that a verified write takes where each does part of a step: so many more, rounded up.

    Args: pulses: of whole steps, int32. arrived: what each of them does.
    Raises: RunError where a pulse does less than LEAST of a step and is needed.

    >>> half = torch.tensor([0.5, 1.0, 0.3])
    >>> more_pulses(torch.tensor([3, 3, 1], dtype=torch.int32), Arrived(half, half)).tolist()
    [6, 3, 4]
    """
    if arrived is None:
        return pulses
    assert arrived.step is not None, "the profile has checked that there is a scale voltage"
    asked = torch.where(pulses > 0, arrived.step.double(), 1.0)
    least = float(asked.min()) if asked.numel() else 1.0
    if least < LEAST:
        plane, i, j = (int(at) for at in torch.unravel_index(asked.argmin(), asked.shape))
        raise RunError(
            f"array.wires.writes: a pulse does {least:.2g} of a step at word line {j}, bit line {i} (plane {plane}), "
            f"and no write is verified with less than {LEAST:g}: use smaller tiles (array.max_rows, max_columns), "
            "lines of less resistance, or a higher energy.write_v_0"
        )
    return torch.ceil(pulses / asked - ROUNDING).to(pulses.dtype)
