"""Noise-based reward-modulated learning: what noise did to the probability of an action, until the reward comes.

All passes see one episode. For pass m, with p^m the probability that it gives to the action that is taken, d_t what
differs of the pre-activations of all units (difference = noise: the noise itself), x the presynaptic activity:

    dp_t = log p^m_t - log p_t                         p_t of the reference: the silent pass, or the mean of the passes
    e_t  = gamma e_{t-1} + n dp_t d_t / ||d_t||^2 x_t^T          an eligibility trace of each synapse
    delta = (R - Rbar) / max(|R|, 1)                   once the episode is over and its return R is known
    W   <- W + lr 1/(B R) sum_{b,r} delta_b e_rb       the mean over B episodes and R differences

The action is drawn from the reference's policy. n = N + O units (scale = units): then E[n dp d / ||d||^2] is the
gradient of log p by the pre-activations, to first order in the noise, and the update that of REINFORCE,

    E[dW] = lr E[delta sum_t gamma^(T-t) grad_W log p_t(a_t)]

without a backward pass. With scale = layer n is the number of units of the layer that an array leads to, which is what
the paper's code takes.

With `reference: mean` and `difference: activity` nothing is silent and no noise is known: K + 1 noisy passes are
compared with their mean, p the mean of their policies. That is what a device can do; the passes follow one another at
each step of the episode. Credit is of the step: through recurrent weights it goes by what d_t is made of (the activity
holds what noise did before), not by what an action changes later.

Preset `paper`: a silent pass, known noise, n of the layer, plain SGD.

Source: Garcia Fernandez, Ahmad, van Gerven, arXiv 2503.23972 (2025), and its code.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator

from neuroanp.errors import InputError
from neuroanp.learning import requirements
from neuroanp.learning.anp import ANP, squared, total_of
from neuroanp.learning.credit import differences
from neuroanp.learning.node_perturbation import unknown_noise
from neuroanp.learning.passes import Factors
from neuroanp.losses.surprise import AVERAGE, AVERAGES
from neuroanp.method import of_preset
from neuroanp.trajectory import Compared, Credit
from neuroanp.yaml_io import Section

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.network.network import Network
    from neuroanp.trajectory import PassPlan, Trajectory, Weights

PAPER = {"reference": "silent", "difference": "noise", "scale": "layer"}
"""What the paper's code does: a clean pass, the noise sample, N of the layer."""
PAPER_OPTIMIZER = {"name": "sgd", "lr": 1e-2, "schedule": "constant"}
"""Plain gradient descent; of the code's rates (5e-3, 1e-2, 5e-2) the middle one."""


class NRL(Section):
    """Noise-based reward-modulated learning: pre activity x what noise did to the action's probability, x the return.

    >>> NRL().plan().passes, NRL(preset="paper").plan().noise
    (2, (0.0, 1.0))
    """

    learner: ClassVar[str] = "nrl"
    local: ClassVar[bool] = True
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"default": {}, "paper": PAPER}
    preset_optimizers: ClassVar[Mapping[str, Mapping[str, Any]]] = {"paper": PAPER_OPTIMIZER}
    feedback: ClassVar[str] = "S"

    name: Literal["nrl"] = "nrl"
    preset: Literal["default", "paper"] = Field(
        default="default", description="where unstated options come from; paper: those of the code of 2503.23972"
    )
    reference: Literal["mean", "silent"] = Field(
        default="mean",
        description="mean: K+1 noisy passes, each against their mean; silent: K noisy passes against a noise-free one, "
        "which only a simulation has",
    )
    K: int = Field(default=1, ge=1, le=4096, description="noisy passes besides the reference")
    difference: Literal["activity", "noise"] = Field(
        default="activity", description="activity: how pre-activations differ; noise: the noise itself, which is known"
    )
    scale: Literal["units", "layer"] = Field(
        default="units", description="n: units = N+O, of which the gradient comes; layer = the units of the layer"
    )
    gamma: float = Field(default=1.0, ge=0, le=1, description="what a step leaves of the eligibility traces")
    average: float = Field(default=AVERAGE, gt=0, le=1, description=AVERAGES)
    damping: float = Field(
        default=0.0, ge=0, description="mean square per unit added to the squared norm, in the activity's own units"
    )
    eps: float = Field(default=1e-30, gt=0, description="a step whose squared norm is below this teaches nothing")

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, options: Any) -> Any:
        if isinstance(options, Mapping):
            return of_preset(cls.presets, options, "default") | {**options}
        return options

    @property
    def needs(self) -> tuple[str, ...]:
        """What hardware must provide."""
        silent = (requirements.SILENT_TWIN,) if self.reference == "silent" else ()
        what = requirements.ACTIVITY_CHANGE if self.difference == "activity" else requirements.KNOWN_NOISE
        return (requirements.RETURN, *silent, requirements.TRACE, what, requirements.SQUARED_NORM)

    @property
    def keep(self) -> str:
        """What trajectories must carry; see `neuroanp.backends.protocol.Request`."""
        return "noise" if self.difference == "noise" else "all"

    @property
    def acts(self) -> int | None:
        """The pass whose policy acts: the silent one; None: the mean of all policies does."""
        return 0 if self.reference == "silent" else None

    def check(self, spiking: bool) -> None:
        """Do nothing: traces of spikes differ between passes as pre-activations do."""

    def plan(self) -> PassPlan:
        """Say which passes see an episode: K + 1, the first one noise-free where the reference is silent."""
        return ANP(reference=self.reference, K=self.K).plan()

    def of_action(self, losses: Tensor) -> Tensor:
        """Return dp (T, R, B), how the passes differ from the reference in the log-probability of the action.

        Args:
            losses: (T, M, B), -log p of the action that was taken.

        >>> NRL(K=1).of_action(-torch.log(torch.tensor([[[0.6], [0.2]]]))).exp()  # over 0.4, their mean
        tensor([[[1.5000],
                 [0.5000]]])
        """
        log_p = -losses
        if self.reference == "silent":
            return log_p[:, 1:] - log_p[:, :1]
        return log_p - (torch.logsumexp(log_p, 1, keepdim=True) - log(log_p.shape[1]))

    def compare(self, chunk: Trajectory, weights: Weights, plan: PassPlan) -> Compared:
        """Return d of each group of units, (T, R, B, n), and n / ||d||^2, 0 where that is below eps.

        Raises:
            InputError: the noise must be known, and is not.
        """
        network = weights.network
        if self.difference == "activity":
            rule = ANP(reference=self.reference, K=self.K, damping=self.damping, eps=self.eps, scale="one")
            found = rule.compare(chunk, weights, plan)
        else:
            if chunk.noise is None or not any((chunk.noise_sigma or {}).values()):
                raise InputError(unknown_noise(self.name))
            d = {name: differences(noise, plan) for name, noise in chunk.noise.items()}
            lines = network.lines
            s = total_of({name: squared(each) for name, each in d.items()}) + sum(lines.values()) * self.damping
            gain = torch.where(s < self.eps, 0.0, 1.0 / s.clamp_min(self.eps))
            found = Compared(
                {name: d.get(name, gain.new_zeros(*gain.shape, n)) for name, n in lines.items()},
                dict.fromkeys(lines, gain),
            )
        return Compared(found.d, {name: gain * self.worth(network)[name] for name, gain in found.gain.items()})

    def worth(self, network: Network) -> dict[str, float]:
        """Return n of each group of units."""
        total = float(sum(network.lines.values()))
        return {name: total if self.scale == "units" else float(n) for name, n in network.lines.items()}

    def factors(self, losses: Tensor, compared: Compared, network: Network) -> Mapping[str, Tensor]:
        """Return the postsynaptic factor n dp d / ||d||^2 of each array, summed over differences, (T, B, lines)."""
        dp = self.of_action(losses)
        return Factors(compared, Credit(hidden=dp, output=dp), network)
