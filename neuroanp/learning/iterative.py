"""Iterative node perturbation: the noise of one group of units at a time.

Groups g are the hidden layers and the outputs, G in all. In a pass of group g the noise eps of its N_g units is on and
that of all others is off, so that the change of the loss is theirs alone. For a difference r of passes of group g,
sample b and step t:

    deps_t = eps^p_t - eps^q_t      dL_t = L^p_t - L^q_t      c_t = sum_{s>=t} gamma^(s-t) dL_s
    e^g_t = N_g c_t deps_t / ||deps_t||^2                     norm = noise: a directional derivative, as published
    e^g_t = c_t deps_t / var(deps)                            norm = variance
    dW    = 1/(B K) sum_{r of g, b, t} e^g_t x^T              of the arrays into g, x what they carry;  W <- W - lr dW

(the outputs with c_t = dL_t). E[N v v^T / ||v||^2] = 1 for noise of no preferred direction: with gamma = 1 the expected
update is the gradient of sum_t L_t for both norms, to first order in the noise. G + 1 passes at K = 1 with one silent
reference: what node perturbation has in the credit of one group from the noise of all others is gone, and each group
takes a pass of its own.

Source: Dalm, Ahmad, van Gerven, arXiv 2310.00965 (feedforward layers: a clean pass, and one for each layer with noise
in it alone; the update from the directional derivative along that noise). In time, and with noisy references: here.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field

from neuroanp.errors import InputError
from neuroanp.learning import requirements
from neuroanp.learning.credit import differences
from neuroanp.learning.node_perturbation import SHARE, unknown_noise
from neuroanp.learning.passes import PassRule
from neuroanp.network.network import OUTPUT
from neuroanp.trajectory import Compared, PassPlan, Trajectory, Weights


class INP(PassRule):
    """Iterative node perturbation: known noise in one layer at a time x loss change.

    >>> INP(K=2).plan().passes, INP(reference="two").plan().only  # hidden units and outputs, and a silent pass
    (5, (0, 0, 1, 1))
    """

    needs_noise: ClassVar[bool] = True

    name: Literal["inp"] = "inp"
    preset: Literal["default"] = Field(default="default", description="where unstated options come from")
    reference: Literal["silent", "two", "antithetic"] = Field(
        default="silent",
        description="silent: a noise-free pass serves all, which only a simulation has; two: pairs of noisy passes of "
        "each group; antithetic: pairs with the same noise and opposite sign",
    )
    K: int = Field(default=1, ge=1, le=4096, description="replicas: noisy passes or pairs of each group")
    groups: int = Field(
        default=2,
        ge=2,
        description="hidden layers and the outputs, each perturbed alone; unset: those that are there",
    )
    norm: Literal["noise", "variance"] = Field(
        default="noise", description="what the noise is divided by: its own squared norm, or its variance"
    )

    @property
    def needs(self) -> tuple[str, ...]:
        """What hardware must provide: noise that is added on purpose, and is known."""
        level = (requirements.NOISE_LEVEL,) if self.norm == "variance" else ()
        return (*super().needs, requirements.GROUP_CONTROL, requirements.KNOWN_NOISE, *level)

    def plan(self) -> PassPlan:
        """Say which passes one update takes: silent G K + 1 (the first one noise-free), two and antithetic 2 G K."""
        of = [g for _ in range(self.K) for g in range(self.groups)]
        if self.reference == "silent":
            passes = range(1, len(of) + 1)
            factors, only = (0.0, *(1.0,) * len(of)), (None, *of)
            return PassPlan(factors, (0, *passes), tuple((m, 0) for m in passes), pre=0, only=only)
        pairs = tuple((2 * k, 2 * k + 1) for k in range(len(of)))
        only = tuple(g for g in of for _ in range(2))
        if self.reference == "two":
            return PassPlan((1.0,) * len(only), tuple(range(len(only))), pairs, only=only)
        return PassPlan((1.0, -1.0) * len(of), tuple(k for k in range(len(of)) for _ in range(2)), pairs, only=only)

    def compare(self, chunk: Trajectory, weights: Weights, plan: PassPlan) -> Compared:
        """Return the differences deps of the noise by group, and N / ||deps||^2 or 1 / var(deps), 0 without noise.

        Both are times G: of all R differences only every G-th one is of a group.

        Raises:
            InputError: the noise is not known, or there is none; the network has another number of groups.
        """
        network = weights.network
        if len(network.noisy) != self.groups:
            raise InputError(f"rule.groups: {self.groups}, and this network has {len(network.noisy)}: {network.noisy}")
        sigmas = chunk.noise_sigma or {}
        if chunk.noise is None or not any(sigmas.values()):
            raise InputError(unknown_noise(self.name))
        groups = {**{name: layer.h for name, layer in chunk.activities.items()}, OUTPUT: chunk.y}
        d, gain = dict[str, Any](), dict[str, Any]()
        for name, of in groups.items():
            d[name] = differences(chunk.noise[name] if sigmas[name] > 0 else torch.zeros_like(of), plan)
            if self.norm == "variance":
                variance = SHARE[self.reference] * sigmas[name] ** 2
                gain[name] = self.groups / variance if variance > 0 else 0.0
                continue
            s = torch.linalg.vecdot(d[name], d[name])
            s = s.sum(-1, keepdim=True) if self.credit == "batch" else s
            gain[name] = torch.where(s > 0, self.groups * network.lines[name] / s, 0.0)
        return Compared(d, gain)
