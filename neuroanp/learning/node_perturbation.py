"""Node perturbation: correlate the known noise of each unit with the loss.

For a difference r between two passes, sample b and step t, with n the noise on the pre-activations
(of spiking units: on the current into the membrane), n^y that on the outputs, L the loss:

    dn_t = n^p_t - n^q_t      dL_t = L^p_t - L^q_t      c_t = sum_{s>=t} gamma^(s-t) dL_s
    dW     = 1/(B R) sum_{r,b,t} c_t  dn_t   / var(dn)   x_{t-1}^T        dW_in the same with u_t
    dW_out = 1/(B R) sum_{r,b,t} dL_t dn^y_t / var(dn^y) x_t^T            W <- W - lr dW
    var(dn) = 2 sigma^2 (two), sigma^2 (silent), (1 - 1/M) sigma^2 (mean of M passes), 4 sigma^2 (antithetic);
              sigma^2 of running averages, where dn = n and L^q is an average of earlier losses

For white noise, gamma = 1 and credit = sample the expected update is the gradient of sum_t L_t, up to order sigma^2;
with credit = batch, where the loss is the mean over B sequences, it is 1/B of it.
Nothing of it asks for Gaussian noise: a coin that is as often up as down does as well.
Noise that is not known (of reads) makes it vary more, and leaves its mean. Of units that spike x is the
trace z (or what the outputs read), not the current that a spike leaves behind, and the gains of inputs and
synapses are left out: the update has the sign and the shape of a gradient over the weights, not its size.

The discount is an eligibility trace of each synapse, kept forward in time with gamma = exp(-dt / tau):

    E_t = gamma E_{t-1} + dn_t x_{t-1}^T,    sum_t dL_t E_t = sum_t c_t dn_t x_{t-1}^T

Unlike ANP the rule must know the noise sample and its sigma, which a chip whose devices make the
noise does not.

Sources: Williams, Mach. Learn. 8, 229 (1992); Fiete and Seung, Phys. Rev. Lett. 97, 048104 (2006);
Fernandez, Keemink, van Gerven, arXiv 2405.08967 (in time, with batch scalars and 1 / sigma).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, sqrt
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, field_serializer, model_validator

from neuroanp.errors import InputError
from neuroanp.learning import requirements
from neuroanp.learning.credit import differences
from neuroanp.learning.passes import PassRule
from neuroanp.network.network import OUTPUT, Network
from neuroanp.trajectory import Compared, PassPlan, Trajectory, Weights
from neuroanp.units import PositiveTime, format_quantity

PAPER = {"reference": "silent", "credit": "batch", "gamma": 0.0, "scale": "sigma"}
"""What the paper's code does: a noise-free reference, one loss for the batch, each step's own loss, 1 / sigma."""
PAPER_OPTIMIZER = {"name": "sgd", "lr": 2.0, "schedule": "constant"}
"""Plain gradient descent; the rate is ours: of 0.1 to 10 on copy 3, 2 to 3 learned most and 5 could diverge."""
SPIKING = {"trace": "20 ms"}
"""The membrane's default time constant: how long a perturbation is felt."""
SPIKING_OPTIMIZER = {"name": "adam", "lr": 1e-2}
SHARE = {"two": 2.0, "silent": 1.0, "antithetic": 4.0, "running": 1.0}
"""Variance of a difference of the noise, in that of the noise."""


def unknown_noise(name: str, where: str = "here", able: Sequence[str] = ("anp",)) -> str:
    """Say that a rule cannot do without the noise of the units; where: there; able: rules that can.

    >>> unknown_noise("np", "on profile 'pcm'", ["anp", "echo"]).partition("; ")[0]
    "np must know the noise: what perturbs the units on profile 'pcm' is not known to the rule"
    """
    others = f", or a rule that knows none: {', '.join(able)}" if able else ""
    return (
        f"{name} must know the noise: what perturbs the units {where} is not known to the rule; use perturbation.name: "
        f"gaussian or a profile with node noise{others}"
    )


class NP(PassRule):
    """Node perturbation: pre activity x known noise of the unit x loss change.

    >>> round(NP(preset="spiking").discount(dt=1e-3), 6)  # exp(-1/20)
    0.951229
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"default": {}, "paper": PAPER, "spiking": SPIKING}
    preset_optimizers: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": PAPER_OPTIMIZER,
        "spiking": SPIKING_OPTIMIZER,
    }
    needs_noise: ClassVar[bool] = True

    name: Literal["np"] = "np"
    preset: Literal["default", "paper", "spiking"] = Field(
        default="default",
        description="where unstated options come from; paper: those of 2405.08967, with SGD; "
        "spiking: an eligibility trace of 20 ms",
    )
    trace: PositiveTime | None = Field(
        default=None, description="time constant tau of the eligibility trace, gamma = exp(-dt / tau); unset: gamma"
    )
    scale: Literal["variance", "sigma"] = Field(
        default="variance", description="what the noise is divided by: its variance, or its standard deviation"
    )

    @model_validator(mode="before")
    @classmethod
    def _stated_gamma_before_preset_trace(cls, options: Any) -> Any:
        if isinstance(options, Mapping) and "gamma" in options and "trace" not in options:
            return {**options, "trace": None}
        return options

    @field_serializer("trace", when_used="json-unless-none")
    def _with_unit(self, trace: float) -> str:
        return format_quantity(trace, "s", digits=None)

    @property
    def needs(self) -> tuple[str, ...]:
        """What hardware must provide: the noise itself, and how large it is."""
        return (*super().needs, requirements.KNOWN_NOISE, requirements.NOISE_LEVEL)

    def remembers(self, network: Network) -> tuple[str, ...]:
        """Return nothing: earlier losses are enough, whose noise is independent of that of this pass."""
        return ()

    @property
    def instantaneous(self) -> bool:
        """Whether the credit of a step needs no other step's loss."""
        return self.trace is None and super().instantaneous

    def discount(self, dt: float) -> float:
        """Return the discount of later losses a step of dt seconds: exp(-dt / trace), or gamma."""
        return self.gamma if self.trace is None else exp(-dt / self.trace)

    def compare(self, chunk: Trajectory, weights: Weights, plan: PassPlan) -> Compared:
        """Return the differences dn of the noise, and 1 / var(dn); what has no noise learns nothing.

        Raises:
            InputError: the noise is not known, or there is none.
        """
        sigmas = chunk.noise_sigma or {}
        if chunk.noise is None or not any(sigmas.values()):
            raise InputError(unknown_noise(self.name))
        groups = {**{name: layer.h for name, layer in chunk.activities.items()}, OUTPUT: chunk.y}
        noise = {name: chunk.noise[name] if sigmas[name] > 0 else torch.zeros_like(of) for name, of in groups.items()}
        share = 1.0 - 1.0 / plan.passes if self.reference == "mean" else SHARE[self.reference]
        variance = {name: sigmas[name] ** 2 * share for name in groups}
        gain = {
            name: (1.0 / (v if self.scale == "variance" else sqrt(v))) if v > 0 else 0.0 for name, v in variance.items()
        }
        return Compared({name: differences(each, plan) for name, each in noise.items()}, gain)
