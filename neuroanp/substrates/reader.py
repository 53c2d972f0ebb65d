"""Read one array: y = ADC(W DAC(x) + noise), the noise by its exact moments or device by device.

With independent Gaussian read noise of variance S_ij a read, the output noise of one read is
Gaussian with variance sum_j x_j^2 S_ij, so that two products replace drawing N x N devices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from neuroanp.substrates.protocol import Quantiser, ReadPlan, Substrate


def quantise_(signal: Tensor, quantiser: Quantiser) -> Tensor:
    """Clip and round `signal` in place: step round(clip(s) / step).

    >>> from neuroanp.substrates.protocol import Quantiser
    >>> quantise_(torch.tensor([0.26, -3.0]), Quantiser(step=0.5, limit=1.0))
    tensor([ 0.5000, -1.0000])
    """
    signal.clamp_(-quantiser.limit, quantiser.limit)
    if quantiser.step:
        signal.div_(quantiser.step).round_().mul_(quantiser.step)
    return signal


class Reader:
    """Reads of one array during the passes of one update.

    Args:
        name: the array's name.
        plan: what the array is during this update.
        substrate: does the reads that are drawn device by device, and counts clipped conversions.
    """

    def __init__(self, name: str, plan: ReadPlan, substrate: Substrate) -> None:
        self.name, self.plan, self.substrate = name, plan, substrate
        self.Wt = plan.W.T.contiguous()
        self.St = None if plan.sigma2 is None else plan.sigma2.T.contiguous()
        self.columns, self.rows_out = self.Wt.shape
        self.sampled = plan.sampled and self.St is not None
        self.noisy = self.St is not None or plan.extra > 0
        self.plain = not self.noisy and plan.dac is None and plan.adc is None

    def driven(self, x: Tensor) -> Tensor:
        """Return what the lines see of x: DAC(x)."""
        return x if self.plan.dac is None else quantise_(x.clone(), self.plan.dac)

    def __call__(self, x: Tensor, xi: Tensor | None) -> Tensor:
        """Read the array once for each row of x.

        Args:
            x: (..., m) activities; may broadcast against xi's leading dimensions.
            xi: (..., n) standard normals, or (..., n, m) where devices are sampled; None: no noise.

        Returns: (..., n).
        """
        if self.plain:
            return x @ self.Wt
        x = self.driven(x)
        if xi is None:
            y = x @ self.Wt
        elif self.sampled:
            y = self.substrate.mvm(self.name, self.plan, x, xi)
        else:
            y = x @ self.Wt + xi * self._spread(x)
        return y if self.plan.adc is None else self._convert(y, self.plan.adc)

    def _spread(self, x: Tensor) -> Tensor:
        """Return the standard deviation of the output noise (..., n)."""
        if self.St is None:
            return x.new_tensor(self.plan.extra).sqrt()
        variance = (x * x) @ self.St
        return variance.add_(self.plan.extra).sqrt_()

    def _convert(self, y: Tensor, adc: Quantiser) -> Tensor:
        self.substrate.ledger.count_clipped(y.abs() > adc.limit)
        return quantise_(y, adc)
