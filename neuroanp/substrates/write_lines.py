"""What a write pulse has left at its device, and what all drivers spend on it, where the lines have resistance.

One device of a tile is written at a time: its word line is driven with V, its bit line held at 0 V. What the other
lines are at is the profile's `energy.half_select`, s:

    s = 1/2 (V/2 scheme), 1/3 (V/3 scheme), between:   word lines at s V, bit lines at (1 - s) V
    none, or 0:   cut off; a transistor (or selector) of its own leaves only the device itself on its lines

so that on ideal lines the devices that share a line with it see s V and all others (2 s - 1) V. A pulse the other way
exchanges the terminals' voltages for V minus them, which turns every voltage over a device round: nothing else changes.
Less (1 - s) V at every terminal, which drives no current, the drive is a sum of three, in units of V:

    all word lines at 2 s - 1,   the device's own word line at 1 - s,   its own bit line at s - 1
    v_ij / V = (2 s - 1) d_ij + (1 - s) (a_ij + b_ij)

with d, a and b what ij sees of 1 V on all word lines, on its own one, and (turned round) on its own bit line. Drivers
and grounds together deliver sum V_t I_t over the terminals, which is what devices and segments burn (Tellegen):

    P_ij / V^2 = (2s-1)^2 sum_l Y_l + 2 (2s-1) (1-s) (Y_j + X_i) + (1-s)^2 (Y_jj + X_ii + 2 G_eff,ij)

Y_l, X_i are the currents into word lines and out of bit lines for all word lines at 1 V, Y_jj and X_ii those into one
line at 1 V alone. The other plane of a pair has the same drivers of word lines, and no bit line that is
selected: the terms without X and G_eff. On ideal lines that is V^2 G + (s V)^2 (G_word + G_bit - 2 G) of
`write_energy`, and for s other than 1/2 besides ((2 s - 1) V)^2 G of all devices that share no line with it, which that
formula leaves out. Cut off, a device has v = V / (1 + R G) behind the segments R to its two terminals, and
P = V^2 G / (1 + R G).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from neuroanp.errors import InputError
from neuroanp.substrates.wires import WireNetwork
from neuroanp.substrates.wires_fast import ladder, solve_fast

if TYPE_CHECKING:
    from neuroanp.profiles import HardwareProfile
    from neuroanp.substrates.tiling import Tiling

HALF = 0.5
STEPS = 100
"""Newton's steps at most: each takes v_0 or more from a voltage of at most 40 v_0."""


@dataclass(frozen=True)
class WriteLines:
    """How the lines of an array take a write pulse to its device.

    Args:
        r_word, r_bit: ohms a segment.
        half_select: s, or None: the other devices are cut off.
        solver: "exact" or "fast".
        v_0: volts over which the currents of devices bend, in units of the pulse's; None: ohmic ones.
    """

    r_word: float
    r_bit: float
    half_select: float | None = None
    solver: str = "exact"
    v_0: float | None = None


class Pulse(NamedTuple):
    """A pulse to each device in turn.

    Args:
        share: v / V over the device, (planes, n, m), float64.
        power: what all drivers deliver while it lasts, over V^2, siemens, of the same shape.
    """

    share: Tensor
    power: Tensor


class _Drops(NamedTuple):
    """What devices of planes (planes, n, m) see of 1 V on their word line, and on their bit line; and the currents.

    into_word: (planes, m); into_bit: (planes, n); across, all_words: (planes, n, m), the last what a device sees of 1 V
    on all word lines.
    """

    word: Tensor
    bit: Tensor
    into_word: Tensor
    into_bit: Tensor
    across: Tensor
    all_words: Tensor


def lines_of(profile: HardwareProfile, effects: frozenset[str], solver: str) -> WriteLines | None:
    """Return the lines that writes go through, or None where they are ideal to them.

    Args: profile: the hardware. effects: those that are on. solver: "fast" or "exact", as in `DeviceChip.build`.
    """
    wires, energy, v_0 = profile.array.wires, profile.energy, profile.conductance.v_0
    if wires is None or wires.writes != "resistive" or not {"wires", "write_drop"} <= effects:
        return None
    assert energy is not None  # the profile has checked that there is a voltage
    assert energy.write_voltage is not None
    bent = None if v_0 is None or "nonlinear_iv" not in effects else v_0 / energy.write_voltage
    return WriteLines(wires.r_word, wires.r_bit, energy.half_select or None, solver, bent)


def check_lines(profile: HardwareProfile, effects: frozenset[str], solver: str) -> None:
    """Raise InputError where writes go through lines that this solver has no answer for.

    Args: profile, effects, solver: as in `lines_of`.
    """
    lines = lines_of(profile, effects, solver)
    if lines is None or lines.half_select is None:
        return
    problems = []
    if lines.v_0 is not None:
        problems.append(
            "conductance.v_0: half-selected devices that are not ohmic would be a network to iterate for every device; "
            "leave energy.half_select out (a transistor a device), or switch nonlinear_iv off"
        )
    if solver == "fast" and not _half(lines.half_select):
        problems.append(
            f"energy.half_select: {lines.half_select:g} drives all lines, which the fast solution does not know of; "
            "write 0.5, or hardware.wires: exact"
        )
    if problems:
        raise InputError(
            f"profile '{profile.name}': its writes go through lines with resistance (array.wires.writes); change this, "
            "or switch write_drop off",
            problems,
        )


def pulse_through(g: Tensor, lines: WriteLines, tiling: Tiling) -> Pulse:
    """Return what a pulse to each device of an array has left there, and what it takes, one device of a tile at a time.

    Args:
        g: conductances at low voltage, (planes, n, m) siemens >= 0.
        lines: their resistance, and what the other lines are at.
        tiling: how they are cut.

    Raises: RunError if the network is numerically singular.

    >>> from neuroanp.substrates.tiling import Tiling
    >>> one = torch.full((1, 1, 1), 1e-3, dtype=torch.float64)  # 1 kohm behind 500 ohm
    >>> for s in (None, 0.5):
    ...     share, power = pulse_through(one, WriteLines(200.0, 300.0, s), Tiling((1,), (1,)))
    ...     print(round(share.item(), 6), round(power.item() * 1e3, 6))
    0.666667 0.666667
    0.666667 0.666667
    """
    g = g.to(torch.float64)
    share, power = torch.empty_like(g), torch.empty_like(g)
    for top, height in zip(accumulate(tiling.heights, initial=0), tiling.heights, strict=False):
        for start, width in zip(accumulate(tiling.widths, initial=0), tiling.widths, strict=False):
            at = (slice(None), slice(top, top + height), slice(start, start + width))
            share[at], power[at] = _tile(g[at], lines)
    return Pulse(share, power)


def _tile(g: Tensor, lines: WriteLines) -> Pulse:
    if lines.half_select is None:
        return _alone(g, lines)
    return _selected(_exact(g, lines) if lines.solver == "exact" else _fast(g, lines), g, lines.half_select)


def _alone(g: Tensor, lines: WriteLines) -> Pulse:
    """Return pulses to devices whose lines nothing else is on: v + R G V_0 sinh(v / V_0) = V."""
    _, n, m = g.shape
    up = lines.r_word * torch.arange(1, n + 1, dtype=g.dtype, device=g.device).unsqueeze(-1)
    load = g * (up + lines.r_bit * torch.arange(m, 0, -1, dtype=g.dtype, device=g.device))
    if lines.v_0 is None:
        share = 1.0 / (1.0 + load)
        return Pulse(share, g * share)
    v_0 = lines.v_0
    # from above Newton's steps only fall: the left side is convex
    share = torch.asinh(1.0 / (v_0 * load)).mul_(v_0).clamp_max_(1.0)
    for _ in range(STEPS):
        over = share + load * v_0 * torch.sinh(share / v_0) - 1.0
        step = over / (1.0 + load * torch.cosh(share / v_0))
        share = share - step
        if float(step.abs().max()) <= torch.finfo(g.dtype).eps:
            break
    return Pulse(share, g * v_0 * torch.sinh(share / v_0))


def _selected(drops: _Drops, g: Tensor, s: float) -> Pulse:
    """Return pulses to devices of a tile under a scheme of half selection, from its three drives."""
    a, c = 2.0 * s - 1.0, 1.0 - s
    share = c * (drops.word + drops.bit)
    of_word = c**2 * drops.into_word
    of_bit = c**2 * (drops.into_bit.unsqueeze(-1) + 2.0 * drops.across)
    if not _half(s):
        carried = g * drops.all_words
        into, out = carried.sum(1), carried.sum(2)
        share = share + a * drops.all_words
        of_word = of_word + a**2 * into.sum(-1, keepdim=True) + 2.0 * a * c * into
        of_bit = of_bit + 2.0 * a * c * out.unsqueeze(-1)
    # all planes have the word line; the bit line is of the plane of the device alone
    return Pulse(share, of_word.sum(0)[None, None] + of_bit)


def _exact(g: Tensor, lines: WriteLines) -> _Drops:
    found = []
    for plane in g.cpu().numpy():
        net = WireNetwork(plane, lines.r_word, lines.r_bit)
        whole = net.device_voltages([[1.0]] * plane.shape[1])[0]
        found.append([torch.from_numpy(part) for part in (*net.selected(), whole)])
    return _Drops(*(torch.stack(parts).to(g.device) for parts in zip(*found, strict=True)))


def _fast(g: Tensor, lines: WriteLines) -> _Drops:
    """Return the drops of lines that see the lines they cross as resistances to 0 V, each with its own devices on it.

    Along its own line the voltage of ij falls as on a ladder, whose loads are its devices in series with what the lines
    beyond them have to 0 V; what the last one of these takes is lost to ij. What is left out is what comes round over
    three devices or more: errors of the third order in r G.
    """
    behind_bit = _to_ground(g, lines.r_bit)
    behind_word = _to_ground(g.mT.flip(-1), lines.r_word).flip(-1).mT
    through_bit, through_word = 1.0 / (1.0 + g * behind_bit), 1.0 / (1.0 + g * behind_word)
    word = ladder(g * through_bit * lines.r_word) * through_bit
    down = (g * through_word * lines.r_bit).mT.flip(-2)
    bit = ladder(down).flip(-2).mT * through_word
    across = solve_fast(g, lines.r_word, lines.r_bit).G_eff
    return _Drops(word, bit, (g * word).sum(1), (g * bit).sum(2), across, torch.zeros_like(g))


def _to_ground(g: Tensor, r: float) -> Tensor:
    """Return the resistance from each node of lines to 0 V beyond their last node, the node's own device left out.

    Args: g: devices to 0 V, (..., lines, length). r: ohms a segment.
    """
    length, x = g.shape[-1], g * r
    before, beyond = torch.zeros_like(x), torch.ones_like(x)  # conductances to either side, in units of 1 / r
    for at in range(1, length):
        load = before[..., at - 1] + x[..., at - 1]
        before[..., at] = load / (1.0 + load)
    for at in range(length - 2, -1, -1):
        load = beyond[..., at + 1] + x[..., at + 1]
        beyond[..., at] = load / (1.0 + load)
    return r / (before + beyond)


def currents(share: Tensor, v_0: float | None) -> Tensor:
    """Return the current of devices at a share of a voltage over that at all of it; v_0: in units of it, or None.

    >>> currents(torch.tensor(0.5), None).item(), round(currents(torch.tensor(0.5), 0.1).item(), 4)  # about e^-5
    (0.5, 0.0067)
    """
    return share if v_0 is None else torch.sinh(share / v_0) / math.sinh(1.0 / v_0)


def _half(s: float) -> bool:
    return abs(s - HALF) < 1e-9
