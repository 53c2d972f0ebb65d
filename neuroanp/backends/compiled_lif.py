"""Simulate leaky integrate-and-fire neurons by a compiled loop in which spikes are events; on the CPU.

The third execution of the neuron, beside Brian2 and its twin in torch: to the bit what the twin is where the product
with its weights adds them up in the order of the units.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from neuroanp.backends.neuron import Coefficients
from neuroanp.backends.population import Recurrence, Steps

if TYPE_CHECKING:
    from neuroanp.kernels.lif import Drive, Traces


class CompiledPopulation:
    """`rows` copies of the neurons of a network; implements `backends.population.Population`.

    Args:
        step: coefficients of the N neurons, which give the dtype (on the CPU).
        rows: copies, passes x sequences.

    >>> from neuroanp.backends.neuron import LIF, coefficients
    >>> population = CompiledPopulation(coefficients(LIF(), 1e-3, torch.ones(1)), rows=1)
    >>> population.begin()
    >>> W = torch.zeros(1, 1)
    >>> steps = population.run(torch.full((40, 1, 1), 2.0), Recurrence(W, lambda t, s: s @ W), None)
    >>> steps.s[:, 0, 0].nonzero().flatten().tolist()  # 14 steps to cross: 2 (1 - exp(-14 / 20)) > 1; one held
    [13, 28]
    """

    def __init__(self, step: Coefficients, rows: int) -> None:
        from neuroanp.kernels import lif  # imports numba, which takes a third of a second

        self._kernels, self._shape = lif, (rows, len(step.a_m))
        parts = [part.numpy() for part in step[:6]]
        total, like = rows * len(step.a_m), parts[0].dtype
        alike = all((part == part[:1]).all() for part in parts) and len(step.a_m) > 0
        if alike:  # one number in a register, instead of one for each unit from memory
            self._at_once, parts = lif.AT_ONCE, [part[0] for part in parts]
        else:
            whole = max(1, min(rows, lif.AT_ONCE // max(len(step.a_m), 1)))
            self._at_once, parts = max(1, whole * len(step.a_m)), [np.tile(part, whole) for part in parts]
        a_m, k_i, k_e, a_s, a_r, threshold = parts
        does = step.hold, step.subtract, step.delayed, step.raised
        self._units = lif.Units(a_m, k_i, k_e, a_s, a_r, threshold, *does)
        v, current, added, above = (np.empty(total, like) for _ in range(4))
        self._state = lif.State(v, current, np.empty(total, np.int32), added, above)
        self.begin()

    def begin(self) -> None:
        """Put every neuron to rest."""
        for part in self._state:
            part.fill(0)
        self._before = torch.zeros(self._shape, dtype=torch.bool), torch.from_numpy(0 * self._state.v).view(self._shape)

    def run(
        self, current: Tensor, recurrence: Recurrence, incoming: Tensor | None, keep_v: bool = False,
        arriving: Tensor | None = None,
    ) -> Steps:  # fmt: skip
        """Simulate the next steps; see `Population.run`."""
        h, v = torch.empty_like(current), torch.empty_like(current) if keep_v else None
        s, z = (part.new_empty((len(current) + 1, *part.shape)) for part in self._before)
        s[0], z[0] = self._before
        drive = self._kernels.Drive(*(self._flat(part) for part in (current, arriving, incoming)))
        traces = self._kernels.Traces(*(self._flat(part) for part in (h, s, z, v)))
        if recurrence.connected and recurrence.wt is None:
            self._step_by_step(drive, traces, s, recurrence.read)
        else:
            wt = current.new_empty((self._shape[1], 0)) if recurrence.wt is None else recurrence.wt.detach()
            self._kernels.run(self._units, self._state, drive, traces, self._at_once, wt.contiguous().numpy())
        self._before = s[-1].clone(), z[-1].clone()
        return Steps(h, s[1:], z[1:], v)

    def _step_by_step(
        self, drive: Drive, traces: Traces, s: Tensor, read: Callable[[int, Tensor], Tensor]
    ) -> None:  # fmt: skip
        """Let an array be read between the spikes of a step and what they add."""
        parts, added = (self._units, self._state, drive, traces), torch.from_numpy(self._state.added).view(self._shape)
        for t, spikes in enumerate(s[1:]):
            self._kernels.to_spikes(*parts, t, self._at_once)
            added.copy_(read(t, spikes.to(added.dtype)))
            self._kernels.from_spikes(*parts, t, self._at_once)

    def _flat(self, part: Tensor | None) -> Any:
        """Return a part (T, rows, N) as (T, rows N), what is missing as (0, 0)."""
        if part is None:
            return np.empty((0, 0), self._state.v.dtype)
        return part.detach().contiguous().numpy().reshape(len(part), self._state.v.size)
