"""Simulate leaky integrate-and-fire neurons in torch: the twin of the Brian2 backend, on CPU or CUDA.

The same neuron, the same order of a step, the same inputs: in float64 it spikes where Brian2 does.
See `neuroanp.backends.neuron` for the equations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from neuroanp.backends.neuron import Coefficients
from neuroanp.backends.population import Recurrence, Steps

if TYPE_CHECKING:
    from collections.abc import Callable


class LIFPopulation:
    """`rows` copies of the neurons of a network; implements `backends.population.Population`.

    Args:
        step: coefficients of the N neurons, which give dtype and device.
        rows: copies, passes x sequences.

    >>> from neuroanp.backends.neuron import LIF, coefficients
    >>> population = LIFPopulation(coefficients(LIF(), 1e-3, torch.ones(1)), rows=1)
    >>> population.begin()
    >>> W = torch.zeros(1, 1)
    >>> steps = population.run(torch.full((40, 1, 1), 2.0), Recurrence(W, lambda t, s: s @ W), None)
    >>> steps.s[:, 0, 0].nonzero().flatten().tolist()  # 14 steps to cross: 2 (1 - exp(-14 / 20)) > 1; one held
    [13, 28]
    """

    def __init__(self, step: Coefficients, rows: int) -> None:
        self.step, self.rows = step, rows

    def begin(self) -> None:
        """Put every neuron to rest."""
        step = self.step
        shape = (self.rows, len(step.a_m))
        self.v, self.I, self.z = (step.a_m.new_zeros(shape) for _ in range(3))
        self.wait = torch.zeros(shape, dtype=torch.int32, device=step.a_m.device)
        self.s = torch.zeros(shape, dtype=torch.bool, device=step.a_m.device)

    def run(
        self, current: Tensor, recurrence: Recurrence, incoming: Tensor | None, keep_v: bool = False,
        arriving: Tensor | None = None,
    ) -> Steps:  # fmt: skip
        """Simulate the next steps; see `Population.run`."""
        step, (v, I, z, wait) = self.step, (self.v, self.I, self.z, self.wait)  # noqa: E741 - the equation's letter
        h, zs = torch.empty_like(current), torch.empty_like(current)
        spikes = torch.empty(current.shape, dtype=torch.bool, device=current.device)
        vs = torch.empty_like(current) if keep_v else None
        silent, s, threshold = torch.zeros_like(v), self.s, step.threshold
        for t, external in enumerate(current):
            if arriving is not None:
                I = I + arriving[t]  # noqa: E741
            torch.add(I, external, out=h[t])
            wait.sub_(1).clamp_(min=0)
            free = wait == 0
            if step.raised:
                threshold = to_cross(v, step)
            moved = (step.a_m * v).add_(step.k_i * I).add_(step.k_e * external)
            v = torch.where(free, moved, v)
            if step.delayed:
                v = reset(v, s, step, silent)
            if vs is not None:
                vs[t] = v
            s = torch.logical_and(v > threshold, free, out=spikes[t])
            number = s.to(v.dtype)
            added = number @ recurrence.wt if recurrence.wt is not None else recurrence.read(t, number)
            I = (step.a_s * I).add_(added)  # noqa: E741
            if incoming is not None:
                I.add_(incoming[t])
            z = torch.mul(step.a_r, z, out=zs[t]).add_(number)
            if not step.delayed:
                v = reset(v, s, step, silent)
            wait.masked_fill_(s, step.hold)
        self.v, self.I, self.z, self.wait, self.s = v, I, z.clone(), wait, s.clone()
        return Steps(h, spikes, zs, vs)


def reset(v: Tensor, s: Tensor, step: Coefficients, zero: Tensor) -> Tensor:
    """Return membranes, (rows, N), after the reset of the units whose s is true."""
    return torch.where(s, v - step.threshold if step.subtract else zero, v)


def to_cross(v: Tensor, step: Coefficients) -> Tensor:
    """Return what membranes must exceed to spike in the next step, where thresholds are raised; v as resets left it."""
    return torch.where(v > step.threshold, 2.0 * step.threshold, step.threshold)


class Surrogate(torch.autograd.Function):
    """A spike forward, and backward the slope of a fast sigmoid: ds/dv = 1 / (1 + beta |v - threshold|)^2.

    Source: Zenke and Ganguli, Neural Comput. 30, 1514 (2018), eq. 10 and below.
    """

    beta = 10.0

    @staticmethod
    def forward(ctx, above: Tensor, free: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return 1 where a free unit is above its threshold, else 0."""
        ctx.save_for_backward(above, free)
        return ((above > 0) & free).to(above.dtype)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the gradient through the surrogate; refractory units pass none."""
        above, free = ctx.saved_tensors
        return grad * free / (1 + Surrogate.beta * above.abs()).square(), None


def differentiable(
    step: Coefficients, current: Tensor, spread: Callable[[Tensor], Tensor], incoming: Tensor | None,
    arriving: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Return the spikes (T, rows, N) as numbers through which autograd can differentiate.

    Args:
        step: the neurons.
        current: (T, rows, N) external current.
        spread: takes spikes (rows, N) and returns the current they add.
        incoming: (T, rows, N) current that input spikes add at the synapses' turn, or None.
        arriving: (T, rows, N) current that is there before the membrane moves, or None; see `Population.run`.
    """
    v = torch.zeros_like(current[0])
    I = torch.zeros_like(v)  # noqa: E741
    wait = torch.zeros(v.shape, dtype=torch.int32, device=v.device)
    zero, fired, threshold, spikes = v, wait > 0, step.threshold, []
    for t, external in enumerate(current):
        if arriving is not None:
            I = I + arriving[t]  # noqa: E741
        wait = (wait - 1).clamp_min(0)
        free = wait == 0
        if step.raised:
            threshold = to_cross(v.detach(), step)
        v = torch.where(free, step.a_m * v + step.k_i * I + step.k_e * external, v)
        if step.delayed:
            v = reset(v, fired, step, zero)
        s: Tensor = Surrogate.apply(v - threshold, free)  # pyright: ignore[reportAssignmentType]
        I = step.a_s * I + spread(s)  # noqa: E741
        if incoming is not None:
            I = I + incoming[t]  # noqa: E741
        fired = s.detach() > 0  # a reset is not differentiated: its gradient makes training unstable
        if not step.delayed:
            v = reset(v, fired, step, zero)
        wait = wait.masked_fill(fired, step.hold)
        spikes.append(s)
    return torch.stack(spikes)
