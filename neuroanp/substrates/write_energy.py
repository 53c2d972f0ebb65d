"""Energy of write pulses: a stated figure a pulse, or computed from the voltage and the conductances."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from neuroanp.later import number
from neuroanp.substrates.write_lines import WriteLines, pulse_through

if TYPE_CHECKING:
    from neuroanp.profiles.sections import EnergyFigures
    from neuroanp.substrates.tiling import Tiling


@dataclass
class Bill:
    """What one write adds up to: pulses, those that follow one another in time, joules (None: not stated).

    >>> bill = Bill()
    >>> bill.add(3, 2, 1e-12)
    >>> bill.add(1, 1, None)
    >>> bill
    Bill(pulses=4, in_turn=3, joules=None)
    """

    pulses: float | Tensor = 0
    in_turn: float | Tensor = 0
    joules: float | Tensor | None = 0.0

    def add(self, pulses: float | Tensor, in_turn: float | Tensor, joules: float | Tensor | None) -> None:
        """Add the pulses of one array; what one of them does not state nobody knows of the whole."""
        self.pulses = self.pulses + pulses
        self.in_turn = self.in_turn + in_turn
        self.joules = None if joules is None or self.joules is None else self.joules + joules


def write_energy(
    figures: EnergyFigures | None,
    pulses: Tensor,
    before: Tensor,
    after: Tensor,
    tiling: Tiling,
    v_0: float | None = None,
    lines: WriteLines | None = None,
) -> float | Tensor | None:
    """Return the joules of a write, or None where the profile states no figure.

        E = N E_write,  or  sum_c N_c [V^2 t (G_old + G_new)/2 + C V^2 + (s V)^2 t (G_word + G_bit - 2 G_c)]

    G_word and G_bit are the conductances on the two lines of the device c in its tile: all devices
    of the word line (both planes) and those of its own bit line; s is the share of the voltage that
    half-selected devices see. Of devices with I = G V_0 sinh(V/V_0) V^2 G is V G V_0 sinh(V/V_0), and (s V)^2 G
    likewise: the steeper, the less of it is half-selected devices'. Through lines with resistance it is, but for
    C V^2, what all drivers deliver (see `write_lines`), with the conductances halfway.

    Args:
        figures: the profile's energy section.
        pulses: N_c, pulses of each device, (planes, n, m).
        before, after: conductances around the write, siemens, of the same shape.
        tiling: how the lines are cut.
        v_0: volts, or None: ohmic devices.
        lines: through which pulses go, or None: ideal ones.

    >>> from neuroanp.profiles.sections import EnergyFigures
    >>> from neuroanp.substrates.tiling import Tiling
    >>> one = torch.ones(1, 1, 1, dtype=torch.float64)
    >>> figures = EnergyFigures(write_voltage="2 V", write_time="100 ns", line_capacitance="50 fF")
    >>> round(1e15 * write_energy(figures, 3 * one, 1e-6 * one, 3e-6 * one, Tiling((1,), (1,))), 6)  # fJ
    3000.0
    """
    if figures is None:
        return None
    if figures.write is not None:
        return figures.write * number(pulses.sum())
    if figures.write_voltage is None:
        return None
    assert figures.write_time is not None
    sent = pulses.to(torch.float64)
    g = (0.5 * (before.to(torch.float64) + after.to(torch.float64))).clamp_min_(0.0)
    V, t = figures.write_voltage, figures.write_time
    g_pulse = g if lines is None else pulse_through(g, lines, tiling).power
    joules = (_square(V, v_0) if lines is None else V**2) * t * number((sent * g_pulse).sum())
    joules += (figures.line_capacitance or 0.0) * V**2 * number(sent.sum())
    if figures.half_select and lines is None:
        others = half_selected(g, tiling)
        joules += _square(figures.half_select * V, v_0) * t * number((sent * others).sum())
    return joules


def half_selected(pulses: Tensor, tiling: Tiling) -> Tensor:
    """Return how many pulses to others each device was half-selected by: N_word + N_bit - 2 N of its lines in its tile.

    Args: pulses: of each device, (planes, n, m), as floats. tiling: how the lines are cut.

    >>> from neuroanp.substrates.tiling import Tiling
    >>> half_selected(torch.tensor([[[3.0, 0.0], [0.0, 0.0]]]), Tiling((2,), (2,))).tolist()
    [[[0.0, 3.0], [3.0, 0.0]]]
    """
    return _word_lines(pulses, tiling) + _bit_lines(pulses, tiling) - 2.0 * pulses


def _square(volts: float, v_0: float | None) -> float:
    """Return V I(V) / G, V^2 of an ohmic device."""
    return volts**2 if v_0 is None else volts * v_0 * math.sinh(volts / v_0)


def _word_lines(g: Tensor, tiling: Tiling) -> Tensor:
    """Return the conductance on the word line of each device, both planes of its tile."""
    sums = [block.sum((0, 1), keepdim=True).expand_as(block) for block in g.split(list(tiling.heights), 1)]
    return torch.cat(sums, 1)


def _bit_lines(g: Tensor, tiling: Tiling) -> Tensor:
    """Return the conductance on the bit line of each device in its tile."""
    sums = [block.sum(2, keepdim=True).expand_as(block) for block in g.split(list(tiling.widths), 2)]
    return torch.cat(sums, 2)
