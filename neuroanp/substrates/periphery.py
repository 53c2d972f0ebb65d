"""Converters around an array, and the one place that reads it: y = ADC(W DAC(x) + noise)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from neuroanp.substrates.protocol import Quantiser, ReadPlan

if TYPE_CHECKING:
    from neuroanp.profiles import HardwareProfile

X_MAX = 1.0
"""Full scale of the inputs x_m: the activity that drives a line with v_read."""


def codes(bits: int) -> int:
    """Return the codes on either side of zero: 2^(bits-1) - 1, at least one.

    >>> codes(8), codes(1)
    (127, 1)
    """
    return max(1, 2 ** (bits - 1) - 1)


def dac(profile: HardwareProfile, effects: frozenset[str]) -> Quantiser | None:
    """Return the quantiser of the inputs, full scale x_m = 1, or None where there is none or it is off."""
    periphery = profile.periphery
    if periphery is None or periphery.dac is None or "dac" not in effects:
        return None
    return Quantiser(X_MAX / codes(periphery.dac.bits), X_MAX)


def adc(profile: HardwareProfile, k: float, effects: frozenset[str]) -> Quantiser | None:
    """Return the quantiser of an array's outputs, LSB = k I_FS / (2^(b-1) - 1), or None.

    Args:
        profile: gives bits and full-scale current.
        k: output units per ampere of this array.
        effects: without `adc`, None.
    """
    periphery = profile.periphery
    if periphery is None or periphery.adc is None or "adc" not in effects:
        return None
    limit = k * periphery.adc.full_scale
    return Quantiser(limit / codes(periphery.adc.bits), limit)


def amplifier_variance(profile: HardwareProfile, k: float, effects: frozenset[str]) -> float:
    """Return the variance of the amplifiers' noise on an output, (k sigma_amp)^2, in squared output units."""
    periphery = profile.periphery
    if periphery is None or not periphery.amplifier_noise or "amplifier_noise" not in effects:
        return 0.0
    return (k * periphery.amplifier_noise) ** 2


def quantise(x: Tensor, q: Quantiser, out: Tensor | None = None) -> Tensor:
    """Clip to +-limit and round to multiples of `step` (half to even).

    Args:
        x: any shape.
        q: the converter in the units of x.
        out: where to put the result; x itself quantises in place.

    >>> quantise(torch.tensor([0.26, -0.9, 2.0]), Quantiser(0.5, 1.0)).tolist()
    [0.5, -1.0, 1.0]
    """
    out = torch.clamp(x, -q.limit, q.limit, out=out)
    return out.div_(q.step).round_().mul_(q.step) if q.step else out


class Reader:
    """Reads one array by its plan, many times: the transposes are made once.

        y = ADC(x_q W^T + sqrt(x_q^2 S^T + extra) xi),  x_q = DAC(x),  S = plan.sigma2

    Exact in distribution for independent Gaussian noise of the weights, without drawing one number
    a weight. `clipped` counts outputs at the ADC's limit and stays on the tensors' device.

    Args:
        plan: the array as the passes of one update see it.

    >>> reader = Reader(ReadPlan(W=torch.eye(2), adc=Quantiser(0.5, 1.0)))
    >>> reader(torch.tensor([[0.6, 3.0]])).tolist(), int(reader.clipped)
    ([[0.5, 1.0]], 1)
    """

    def __init__(self, plan: ReadPlan) -> None:
        self.plan = plan
        self.wt = plan.W.t().contiguous()
        self.st = None if plan.sigma2 is None else plan.sigma2.t().contiguous()
        self.noisy = self.st is not None or plan.extra > 0
        self.plain = not self.noisy and plan.dac is None and plan.adc is None
        self.clipped = torch.zeros((), dtype=torch.int64, device=plan.W.device)
        self.conversions = 0

    def inputs(self, x: Tensor) -> Tensor:
        """Return what the word lines see: x through the DAC."""
        return x if self.plan.dac is None else quantise(x, self.plan.dac)

    def __call__(self, x: Tensor, xi: Tensor | None = None) -> Tensor:
        """Read once a row.

        Args:
            x: inputs, (..., m).
            xi: standard normals, (..., n), times the pass's gain; None for a read without noise.

        Returns: y, (..., n).
        """
        if self.plain:
            return x @ self.wt
        x = self.inputs(x)
        y = x @ self.wt
        if self.noisy and xi is not None:
            # not in place: one row of x may serve several passes, each with its own noise
            y = torch.addcmul(y, self.deviation(x), xi)
        return self.convert(y)

    def sampled(self, x: Tensor, xi: Tensor) -> Tensor:
        """Read with the noise of every weight drawn: y_i = ADC(sum_j (W_ij + sqrt(S_ij) xi_ij) x_j).

        Args:
            x: inputs, (rows, m).
            xi: standard normals, (rows, n, m); (rows, n, m + 1) where the amplifiers are noisy, whose
                noise takes the last column.

        Returns: y, (rows, n).
        Raises: ValueError if the amplifiers are noisy and xi has no column for them.
        """
        plan, x = self.plan, self.inputs(x)
        y = x @ self.wt
        m = x.shape[-1]
        if plan.extra > 0 and xi.shape[-1] != m + 1:
            raise ValueError(f"amplifier noise needs a column of its own: xi (rows, n, {m + 1}), got {tuple(xi.shape)}")
        if plan.sigma2 is not None:
            y = y + torch.einsum("rnm,nm,rm->rn", xi[..., :m], plan.sigma2.sqrt(), x)
        if plan.extra > 0:
            y = y + plan.extra**0.5 * xi[..., m]
        return self.convert(y)

    def deviation(self, xq: Tensor) -> Tensor:
        """Return the standard deviation of the outputs before the ADC, for quantised inputs (..., m)."""
        if self.st is None:
            return xq.new_full((*xq.shape[:-1], self.wt.shape[1]), self.plan.extra**0.5)
        variance = xq.square() @ self.st
        return (variance.add_(self.plan.extra) if self.plan.extra else variance).sqrt_()

    def convert(self, y: Tensor) -> Tensor:
        """Pass outputs through the ADC, in place, and count those it clips."""
        q = self.plan.adc
        if q is None:
            return y
        self.clipped += (y.abs() > q.limit).sum()
        self.conversions += y.numel()
        return quantise(y, q, out=y)
