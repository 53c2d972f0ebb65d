"""Telegraph noise of an array's devices, multiplied with inputs as it is drawn, by compiled loops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from neuroanp.devices import telegraph

if TYPE_CHECKING:
    from neuroanp.devices.rtn import Telegraph
    from neuroanp.noise import PassStreams
    from neuroanp.trajectory import PassPlan


class Turned:
    """The devices of an array as loops over outputs want them: (..., m' n), one word line after the other.

    m' = 4 ceil(m / 4): a call of the generator makes the draws of four word lines.

    Args:
        name, plan, streams, sigma, process, dt: see `DeviceNoise`.
        states: by stream, (B, planes, n, m), before the first step.
    """

    def __init__(
        self, name: str, plan: PassPlan, streams: PassStreams, sigma: Tensor, process: Telegraph, dt: float,
        states: Mapping[int, Tensor],
    ) -> None:  # fmt: skip
        from neuroanp.kernels import device_loops

        self.loops = device_loops
        tau_c = process.median if process.tau_c is None else process.tau_c
        self.n, m = sigma.shape[-2:]

        def turned(x: Tensor) -> np.ndarray:
            return pad(x.to(sigma).mT, (0, 0, 0, -m % 4)).flatten(-2).contiguous().numpy()

        self.states = {stream: turned(state) for stream, state in states.items()}
        self.lost = turned(torch.as_tensor(telegraph.lost(tau_c, dt)).to(sigma).expand(sigma.shape))
        self.sigma = turned(sigma)
        ends = process.ends_of(self.sigma.dtype)
        self.figures = (np.float32(process.p), np.float32(1.0 - process.p), *ends)
        addresses = {stream: streams.at(f"device_uniform/{name}", stream) for stream in states}
        self.addresses = {stream: (at.keys, at.update, at.stream) for stream, at in addresses.items()}
        self.passes = {
            stream: [k for k, of in enumerate(plan.stream) if of == stream and plan.noise[k]] for stream in states
        }
        gains = np.array(plan.noise, np.float32)
        self.factors = {stream: gains[own] for stream, own in self.passes.items()}

    def products(self, x: Tensor, t0: int, widths: Sequence[int]) -> Tensor:
        """Return what the noise of the next steps makes of their inputs; see `DeviceNoise.products`."""
        told, starts = x.numpy(), np.concatenate([[0], np.cumsum(widths)])
        out = np.zeros((len(widths), *told.shape[:3], self.n), np.float32)
        for stream, states in self.states.items():
            own = self.passes[stream]
            part = np.empty((len(widths), len(told), len(own), *out.shape[3:]), np.float32)
            self.loops.telegraph_reads(
                self.addresses[stream], t0, states, self.lost, self.sigma, self.figures,
                np.ascontiguousarray(told[:, own]), self.factors[stream], starts, part,
            )  # fmt: skip
            out[:, :, own] = part
        return torch.from_numpy(out)
