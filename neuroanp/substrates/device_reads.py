"""Telegraph noise of an array's devices, multiplied with inputs as it is drawn, by compiled loops."""

from __future__ import annotations

from collections.abc import Mapping
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

        self.streams, self.states = (
            np.array([*states], np.int64),
            np.stack([turned(state) for state in states.values()]),
        )
        self.lost = turned(torch.as_tensor(telegraph.lost(tau_c, dt)).to(sigma).expand(sigma.shape))
        self.sigma = turned(sigma)
        ends = process.ends_of(self.sigma.dtype)
        self.figures = (np.float32(process.p), np.float32(1.0 - process.p), *ends)
        at = streams.at(f"device_uniform/{name}", 0)
        self.key, self.update = at.keys, at.update
        places = {stream: k for k, stream in enumerate(states)}
        self.heard = np.array([places.get(of, -1) if f else -1 for f, of in zip(plan.noise, plan.stream, strict=True)])
        self.factors = np.array(plan.noise, np.float32)

    def products(self, x: Tensor, t0: int, starts: np.ndarray) -> Tensor:
        """Return what the noise of the next steps makes of their inputs; see `DeviceNoise.products`."""
        told = np.ascontiguousarray(x.numpy())
        out = np.zeros((len(starts) - 1, *told.shape[:3], self.n), np.float32)  # silent passes stay at zero
        self.loops.telegraph_reads(
            self.key, self.update, self.streams, t0, self.states, self.lost, self.sigma, self.figures, told, self.heard,
            self.factors, starts, out,
        )  # fmt: skip
        return torch.from_numpy(out)
