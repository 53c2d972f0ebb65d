"""Activity-based node perturbation in time: THE rule.

Run the network several times on the same input, each time with other noise. For a difference r
between two passes, sample b and step t, with a the activity (pre-activations h of rate units,
filtered spike trains z of spiking ones), y the outputs, L the loss:

    da_t = a^p_t - a^q_t      dy_t = y^p_t - y^q_t      dL_t = L^p_t - L^q_t
    c_t  = sum_{s>=t} gamma^(s-t) dL_s                          return-to-go
    s_t  = ||da_t||^2 + ||dy_t||^2 + n damping                  norm = global
    e^h_t = n c_t da_t / s_t        e^y_t = n dL_t dy_t / s_t   n = N + O units
    dW     = 1/(B R) sum_{r,b,t} e^h_t x_{t-1}^T
    dW_in  = 1/(B R) sum_{r,b,t} e^h_t u_t^T
    dW_out = 1/(B R) sum_{r,b,t} e^y_t x_t^T                    W <- W - lr dW

Presynaptic activity x (of spiking units z, too) x change of the postsynaptic activity x change of
the loss. The rule never reads a noise level or a noise sample, and differentiates nothing.

Units of several pre-activations (gates) and several layers: a_t is each layer's pre-activations side by side, the norm
runs over those of all layers (norm = global) or of one (norm = layer), n counts them; an array takes the lines of e^h
that it reaches, times the activity before it.

With `loss: trial` a chip tells its loss once, at the end: c_t = dL_t = sum_s dL_s at every step.
With `difference: innovation`, dh_t - W dx_{t-1} (in general: without all that arrays brought) takes the place of da_t
in e^h_t and its s_t; the outputs keep the whole dy_t, and the s_t of the whole dh_t with it. With `weights: identified`
W is not what is held digitally, but what units find that their arrays do (`neuroanp.learning.identification`).

Spiking traces often do not differ at all between two passes, and then by a whole spike: `damping`,
a mean square per unit, keeps the step finite when next to nothing differed.

Sources: Fernandez, Keemink, van Gerven, arXiv 2405.08967 (the rule in time);
Dalm, Ahmad, van Gerven et al., arXiv 2310.00965 (activity-based node perturbation);
Koenders et al., arXiv 2412.12783 (on junctions, without a noise-free pass: preset smtj).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import sqrt
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator

from neuroanp.errors import InputError
from neuroanp.learning import requirements
from neuroanp.learning.credit import differences
from neuroanp.learning.identification import WEIGHTS, WEIGHTS_FORGET, WEIGHTS_FORGETS, WeightsName, check_weights
from neuroanp.learning.innovation import innovation
from neuroanp.learning.passes import PassRule
from neuroanp.network.network import OUTPUT
from neuroanp.trajectory import Compared, LayerActivity, LayerChange, PassPlan, Trajectory, Weights

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.network.network import Network

PAPER = {"reference": "silent", "credit": "batch", "norm": "layer", "scale": "all", "gamma": 0.0}
"""What the paper's code does: a noise-free reference, one loss for the batch, each step's own loss."""
PAPER_OPTIMIZER = {"name": "sgd", "lr": 1.0, "schedule": "constant"}
"""Plain gradient descent; the rate is ours: with these norms 1 to 4 learned copy 3, and 10 hardly did."""


SPIKING = {"gamma": 0.0, "damping": 1e-4}
"""For spike traces, which remember by themselves: each step's own loss."""
SPIKING_OPTIMIZER = {"name": "adam", "lr": 1e-2}


INFERRED = {"reference": "mean", "readout": "rls", "errors": "inferred", "ridge": 1e-2}
"""Outputs infer their errors from the scalar loss: better than plain ANP on five of six tasks, and on copy 5 not.

By benchmarks/results/rules.md, with the rules' own ridge of 1e-4; what needs more of the hardware, decorrelation or the
noise sample, is better on some. With 1e-2 it is about as good where weights are exact, and by far better where they err
when they are written (benchmarks/results/defaults.md): outputs whose weights are large make more of those errors.
"""
INFERRED_OPTIMIZER = {"clip": 1.0}


SMTJ = {
    "reference": "two", "norm": "global", "scale": "units", "credit": "sample", "readout": "perturb",
    "difference": "activity", "presynaptic": "first", "decorrelation": {"lr": 1.9073e-7},
}  # fmt: skip
"""Learning by junctions that are always on, as in the code of 2412.12783: no clean pass, no reading of the noise.

    dW = mean_b n (L^1_b - L^2_b) / |a^1_b - a^2_b|^2 (a^1_b - a^2_b) (D x^1_b)^T    |.|^2, n: of all units and outputs
    D <- D - lr_d offdiag(mean_b (D x^1_b)(D x^1_b)^T) D                                of inputs and of each layer

Each number as in that code (conf/runs, MNIST): `clean_pass` false; one loss and one norm for each sample, n of all
units and outputs; decorrelation by its own rate 1.9073e-7 (CIFAR-10 the same, CIFAR-100 6.1035e-6) of whatever goes
to an array, the data too; presynaptic activity of the first of both passes. Sums over the batch, which are ours times
B, are the same to Adam. Not taken over: a bias in front of each array that follows minus the running mean of D x. A
still image is one step of time; of more the losses of later steps count, as `gamma` says.
"""
SMTJ_OPTIMIZER = {"name": "adam", "lr": 4.8828e-5, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "schedule": "constant"}
"""As there on MNIST, over 2,500 epochs of batches of 64; CIFAR-10 2.4414e-5, CIFAR-100 9.7656e-5."""


class ANP(PassRule):
    """Activity-based node perturbation: pre activity x post activity change x loss change.

    >>> rule = ANP(reference="mean", K=3)
    >>> rule.plan().passes, rule.plan().differences
    (4, 4)
    >>> ANP(preset="paper").gamma
    0.0

    One step of one unit and one output, whose passes differ by .3 and .4 (|d|^2 = .25, n = 2):

    >>> from neuroanp.trajectory import LayerActivity
    >>> def two(a, b):
    ...     return torch.tensor([a, b], dtype=torch.float64).reshape(1, 2, 1, 1)  # T 1, M 2, B 1, n 1
    >>> one, rule = torch.ones(1, 1, dtype=torch.float64), ANP(preset="default", damping=0.125)
    >>> weights = Weights.one_layer({"w_in": one, "w": one, "w_out": one})
    >>> layer = LayerActivity(two(0.3, 0.0), two(0.3, 0.0).tanh(), two(0.0, 0.0)[0])
    >>> chunk = Trajectory(two(1.0, 1.0)[:, 0], {"hidden": layer}, two(0.4, 0.0), t0=0, dt=1e-3)
    >>> rule.check(spiking=False)
    >>> round(rule.compare(chunk, weights, rule.plan()).gain["hidden"].item(), 6)  # 2 / (.25 + 2 x .125)
    4.0
    >>> rule.worth(weights.network), rule.damped(weights.network), rule.keep, rule.remembers(weights.network)
    ({'hidden': 2.0, 'output': 2.0}, {'hidden': 0.25, 'output': 0.25}, 'changes', ('h', 'y'))
    >>> rule.needs[-2:]
    ('a sum of squares over units, told to each of them', 'memory per unit: T numbers')
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": {}, "inferred": INFERRED, "paper": PAPER, "smtj": SMTJ, "spiking": SPIKING
    }  # fmt: skip
    preset_optimizers: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "inferred": INFERRED_OPTIMIZER,
        "paper": PAPER_OPTIMIZER,
        "smtj": SMTJ_OPTIMIZER,
        "spiking": SPIKING_OPTIMIZER,
    }

    name: Literal["anp"] = "anp"
    preset: Literal["default", "inferred", "paper", "smtj", "spiking"] = Field(
        default="default",
        description="where unstated options come from; inferred: what runs where no rule is named, outputs that infer "
        "their errors from the loss; paper: those of 2405.08967, with SGD; smtj: those of 2412.12783, both passes "
        "noisy and activity decorrelated; spiking: for spike traces",
    )
    activity: Literal["auto", "h", "z"] = Field(
        default="auto", description="h: pre-activation; z: filtered spikes; auto: z of units that spike, else h"
    )
    difference: Literal["activity", "innovation"] = Field(
        default="activity",
        description="activity: the whole change; innovation: without what arrived over W from the step before, "
        "and from layers below (rate networks)",
    )
    weights: WeightsName = Field(default="held", description=f"difference innovation: {WEIGHTS}")
    weights_forget: float = Field(default=WEIGHTS_FORGET, ge=0, le=1, description=WEIGHTS_FORGETS)
    norm: Literal["global", "layer"] = Field(
        default="global", description="global: one norm for hidden and output units; layer: each its own"
    )
    scale: Literal["units", "all", "one"] = Field(
        default="units",
        description="n: units = the normalised units (N+O, or the layer's own); all = sqrt(I+N+O); one = 1",
    )
    damping: float = Field(
        default=0.0, ge=0, description="mean square per unit added to the squared norm, in the activity's own units"
    )
    presynaptic: Literal["mean", "first"] = Field(
        default="mean",
        description="whose activity is presynaptic. mean: of all passes; first: of the first one (references silent "
        "and running have one alone)",
    )
    eps: float = Field(default=1e-30, gt=0, description="a step whose squared norm is below this teaches nothing")

    @model_validator(mode="after")
    def _check_weights(self) -> ANP:
        check_weights(self.weights, self.weights_forget)
        if self.weights == "identified" and self.difference == "activity":
            raise ValueError(
                "weights: 'identified' is of innovations, and difference 'activity' has none; set 'innovation'"
            )
        if self.weights == "identified" and self.reference == "running":
            raise ValueError("weights: 'identified' compares passes of one update, which reference 'running' does not")
        return self

    def check(self, spiking: bool) -> None:
        """Raise InputError for spike traces of units that do not spike, or an innovation of units that do.

        Args: spiking: whether the units of the network spike.
        """
        super().check(spiking)
        if self.activity == "z" and not spiking:
            raise InputError(
                "rule.activity: 'z' is the trace of spikes, and the units of this backend do not spike; "
                "use 'auto' or 'h', or a spiking backend"
            )
        if self.difference == "innovation" and spiking:
            raise InputError(
                "rule.difference: 'innovation' needs h_t = W_in u_t + W x_{t-1} + noise, which holds for rate "
                "networks alone; use 'activity' with spiking units"
            )

    def plan(self) -> PassPlan:
        """Say which passes one update takes, and whose activity is presynaptic."""
        plan = super().plan()
        return replace(plan, pre=0) if self.presynaptic == "first" else plan

    @property
    def needs(self) -> tuple[str, ...]:
        """What hardware must provide: neither a noise sample nor its level."""
        innovation = requirements.OWN_INNOVATION if self.weights == "held" else requirements.IDENTIFIED_INNOVATION
        own = (innovation,) if self.difference == "innovation" else ()
        numbers = {"mean": "M T", "running": "B T"}.get(self.reference, "T")
        memory = requirements.memory_per_unit(numbers)
        return (*super().needs, requirements.ACTIVITY_CHANGE, *own, requirements.SQUARED_NORM, memory)

    @property
    def keep(self) -> str:
        """What trajectories must carry: how h changes is enough, but for innovations, traces, averages, told errors."""
        alone = self.difference == "activity" and self.activity != "z" and self.reference != "running"
        return "changes" if alone and not self.hears_errors else "all"

    def remembers(self, network: Network) -> tuple[str, ...]:
        """Return what of earlier passes is looked at: the compared activity, and x for an innovation.

        Args: network: that learns, with units that spike or not.
        """
        compared = "z" if network.spikes and self.activity != "h" else "h"
        return (compared, *(("x",) if self.difference == "innovation" else ()), "y")

    def compare(self, chunk: Trajectory, weights: Weights, plan: PassPlan) -> Compared:
        """Return the changes da, dy of each difference, and n / s: what credit is worth there, 0 where s < eps.

        Args:
            chunk: what every layer did, (T, M, B, n), in all M passes, or how they differ. weights: as they are held.
            plan: which passes are compared.
        """
        network = weights.network
        self.check(spiking=network.spikes)
        changes = {name: self._change(layer, plan) for name, layer in chunk.layers.items()}
        d = {name: each for name, (each, _) in changes.items()}
        dy = differences(chunk.y, plan)
        whole = {name: self._of_batch(squared) for name, (_, squared) in changes.items()}
        s_y = self._squared_norm(dy)
        s = whole
        if self.difference == "innovation":
            d = {name: innovation(name, each, chunk, weights, plan) for name, each in d.items()}
            s = {name: self._squared_norm(each) for name, each in d.items()}
        if self.norm == "global":  # the outputs' whole change goes with the whole change of h
            total = total_of(s) + s_y
            s_y = total if s is whole else total_of(whole) + s_y
            s = dict.fromkeys(s, total)
        s = {**s, OUTPUT: s_y}
        if self.damping:
            samples = chunk.y.shape[2] if self.credit == "batch" else 1  # that one norm runs over
            damping = self.damped(network)
            s = {name: each + samples * damping[name] for name, each in s.items()}  # of all groups, or its own
        scale = self.worth(network)
        gains: dict[tuple[int, float], Tensor] = {}  # groups of one norm share theirs
        for name, each in s.items():
            key = id(each), scale[name]
            gains.setdefault(key, torch.where(each < self.eps, 0.0, scale[name] / each.clamp_min(self.eps)))
        return Compared({**d, OUTPUT: dy}, {name: gains[id(each), scale[name]] for name, each in s.items()})

    def _change(self, layer: LayerActivity | LayerChange, plan: PassPlan) -> tuple[Tensor, Tensor]:
        """Return how the compared activity of a layer differs, (T, R, B, n), and the square of that, (T, R, B)."""
        if isinstance(layer, LayerChange):
            return layer.d, layer.squared
        d = differences(layer.z if self.activity != "h" and layer.z is not None else layer.h, plan)
        return d, squared(d)

    def _squared_norm(self, d: Tensor) -> Tensor:
        return self._of_batch(squared(d))

    def _of_batch(self, s: Tensor) -> Tensor:
        return s.sum(-1, keepdim=True) if self.credit == "batch" else s

    def _units(self, network: Network) -> dict[str, int]:
        """Return how many pre-activations the norm of each group of units runs over."""
        total = sum(network.lines.values())
        return dict.fromkeys(network.lines, total) if self.norm == "global" else network.lines

    def damped(self, network: Network) -> dict[str, float]:
        """Return what is added to the squared norm of each group of units of a network, of one sample."""
        return {name: n * self.damping for name, n in self._units(network).items()}

    def worth(self, network: Network) -> dict[str, float]:
        """Return n of each group of units of a network: what credit over the squared norm is multiplied with."""
        if self.scale == "one":
            return dict.fromkeys(network.lines, 1.0)
        if self.scale == "all":
            return dict.fromkeys(network.lines, sqrt(network.inputs + sum(network.lines.values())))
        return {name: float(n) for name, n in self._units(network).items()}


def squared(d: Tensor) -> Tensor:
    """Return the squared norm of the last dimension; a GPU takes it without writing squares to memory.

    >>> squared(torch.tensor([[3.0, 4.0], [0.0, 1.0]])).tolist()
    [25.0, 1.0]
    """
    if d.device.type == "cpu":
        return torch.linalg.vecdot(d, d)
    return torch.linalg.vector_norm(d, dim=-1).square_()


def total_of(parts: Mapping[str, Tensor]) -> Tensor:
    """Return the sum of the values, in their order.

    >>> total_of({"hidden": torch.tensor([1.0]), "output": torch.tensor([2.0])}).item()
    3.0
    """
    first, *rest = parts.values()
    for part in rest:
        first = first + part
    return first
