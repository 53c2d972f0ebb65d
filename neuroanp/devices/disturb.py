"""What reads and the pulses of neighbours do to a device that nobody writes: its conductance creeps to an end.

    G = G_end + (G_0 - G_end) e^{-(a + b)},  G_end = g_min + (g_max - g_min) a / (a + b)
    a, b: exposures since the write, that pull towards g_max ("set") and towards g_min ("reset")

A read of a word line at full scale adds `read` to the one that reads pull to, one at a smaller voltage in proportion to
the energy it brings to the devices, (V / v_read)^2 t / t_read. A write pulse adds `half_select` to all other devices of
its word line (both of a pair) and of its own bit line in the tile, towards where the pulsed device went. Exposures add
up, so that neither the order nor how reads are counted together matters. That is right of exposures that are small, or
mixed: large ones that pull one way, and large ones after them the other way, would end nearer to the last one's end.
For exposures far below 1 each read moves a device by the share `read` of its distance from the end.

Source: the exponential is the solution of dG/dN proportional to the distance from the end, the plainest law that stays
within the range; no measurement is in it. For what is measured see Ielmini, Resistive switching memories based on metal
oxides: mechanisms, reliability and scaling, Semicond. Sci. Technol. 31, 063002 (2016), on read and half-select disturb.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from neuroanp.devices.protocol import Cells, Span

if TYPE_CHECKING:
    from neuroanp.profiles.sections import Disturb

SET, RESET = "set_by", "reset_by"
"""Names of the exposures in the state of an array, float64."""


def exposed(cells: Cells, to_set: float | Tensor = 0.0, to_reset: float | Tensor = 0.0) -> dict[str, Tensor]:
    """Return the state of devices that were exposed to more; broadcast to their shape.

    >>> import torch
    >>> exposed({SET: torch.zeros(2).double(), RESET: torch.zeros(2).double()}, to_set=1e-6)[SET].tolist()
    [1e-06, 1e-06]
    """
    return {**cells, SET: cells[SET] + to_set, RESET: cells[RESET] + to_reset}


def of_reads(figures: Disturb, reads: Tensor) -> tuple[float | Tensor, float | Tensor]:
    """Return what reads at full scale add, towards set and towards reset; reads: how many, any shape.

    >>> from neuroanp.profiles.sections import Disturb
    >>> of_reads(Disturb(read=1e-6, towards="set"), torch.tensor([2.0]))[0].tolist()
    [2e-06]
    """
    size = reads.to(torch.float64) * (figures.read or 0.0)
    return (size, 0.0) if figures.towards == "set" else (0.0, size)


def conducts(g: Tensor, cells: Cells, span: Span, held: Tensor | None = None) -> Tensor:
    """Return what devices of conductance g would conduct after what they were exposed to; `held` ones never move.

    Args: g: siemens. cells: has the exposures. span: the ends. held: which devices, or None.

    >>> one = torch.ones(1, dtype=torch.float64)
    >>> cells = {SET: 0.1 * one, RESET: 0.0 * one}
    >>> round(1e6 * conducts(1e-6 * one, cells, Span(0.0, 20e-6)).item(), 4)  # 20 - 19 e^-0.1
    2.8081
    """
    a, b = cells[SET], cells[RESET]
    total = a + b
    end = span.g_min + span.width * (a / total.clamp_min(torch.finfo(total.dtype).tiny))
    moved = g + ((end - g) * -torch.expm1(-total)).to(g.dtype)
    return moved if held is None else torch.where(held, g, moved)
