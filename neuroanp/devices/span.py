"""What the laws of pulses take and give: the range of conductance and the outcome of pulses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor


class Span(NamedTuple):
    """The range of conductance a device is used in, siemens.

    >>> round(Span(0.0, 25e-6).middle * 1e6, 1)
    12.5
    """

    g_min: float
    g_max: float

    @property
    def width(self) -> float:
        """g_max - g_min, siemens."""
        return self.g_max - self.g_min

    @property
    def middle(self) -> float:
        """The conductance halfway, siemens."""
        return 0.5 * (self.g_min + self.g_max)


@dataclass(frozen=True)
class Pulsed:
    """What pulses did.

    Args:
        cells: the state that changed, by name ("g" among it).
        pulses: pulses sent to each cell (int32).
        gave_up: where write-verify ended outside its tolerance, or None.
    """

    cells: Mapping[str, Tensor]
    pulses: Tensor
    gave_up: Tensor | None = None
