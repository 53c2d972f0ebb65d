"""Activity-based node perturbation in time: THE rule.

Run the network several times on the same input, each time with other noise. For a difference r
between two passes, sample b and step t, with h the pre-activations, y the outputs, L the loss:

    dh_t = h^p_t - h^q_t      dy_t = y^p_t - y^q_t      dL_t = L^p_t - L^q_t
    c_t  = sum_{s>=t} gamma^(s-t) dL_s                          return-to-go
    s_t  = ||dh_t||^2 + ||dy_t||^2                              norm = global
    e^h_t = n c_t dh_t / s_t        e^y_t = n dL_t dy_t / s_t   n = N + O units
    dW     = 1/(B R) sum_{r,b,t} e^h_t x_{t-1}^T
    dW_in  = 1/(B R) sum_{r,b,t} e^h_t u_t^T
    dW_out = 1/(B R) sum_{r,b,t} e^y_t x_t^T                    W <- W - lr dW

With `difference: innovation`, dh_t - W dx_{t-1} takes the place of dh_t in e^h_t and its s_t; the
outputs keep the whole dy_t, and the s_t of the whole dh_t with it.

Presynaptic activity x change of the postsynaptic activity x change of the loss. The rule never
reads a noise level or a noise sample, and differentiates nothing.

Sources: Fernandez, Keemink, van Gerven, arXiv 2405.08967 (the rule in time);
Dalm, Ahmad, van Gerven et al., arXiv 2310.00965 (activity-based node perturbation).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator

from neuroanp.learning.credit import differences, return_to_go, subtract_others
from neuroanp.trajectory import Credit, PassPlan, Trajectory, Weights, WeightUpdate
from neuroanp.yaml_io import Section

if TYPE_CHECKING:
    from torch import Tensor

PAPER = {"reference": "silent", "credit": "batch", "norm": "layer", "scale": "all", "gamma": 0.0}
"""What the paper's code does: a noise-free reference, one loss for the batch, each step's own loss."""
PAPER_OPTIMIZER = {"name": "sgd", "lr": 1.0, "schedule": "constant"}
"""Plain gradient descent; the rate is ours: with these norms 1 to 4 learned copy 3, and 10 hardly did."""


class ANP(Section):
    """Activity-based node perturbation: pre activity x post activity change x loss change.

    >>> rule = ANP(reference="mean", K=3)
    >>> rule.plan().passes, rule.plan().differences
    (4, 4)
    >>> ANP(preset="paper").gamma
    0.0
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"default": {}, "paper": PAPER}
    preset_optimizers: ClassVar[Mapping[str, Mapping[str, Any]]] = {"paper": PAPER_OPTIMIZER}

    name: Literal["anp"] = "anp"
    preset: Literal["default", "paper"] = Field(
        default="default", description="where unstated options come from; paper: those of 2405.08967, with SGD"
    )
    reference: Literal["two", "mean", "silent"] = Field(
        default="two",
        description="two: both passes of a pair noisy; mean: K+1 noisy passes, each against their mean; "
        "silent: K noisy passes against a noise-free one, which only a simulation has",
    )
    difference: Literal["activity", "innovation"] = Field(
        default="activity",
        description="activity: the whole change of h; innovation: without what arrived over W from the step before",
    )
    credit: Literal["sample", "batch"] = Field(
        default="sample",
        description="sample: each sequence its own loss and norm; batch: one loss, Frobenius norm over B",
    )
    norm: Literal["global", "layer"] = Field(
        default="global", description="global: one norm for hidden and output units; layer: each its own"
    )
    gamma: float = Field(
        default=1.0, ge=0, le=1, description="discount of later losses a step; 0: the step's own loss only"
    )
    K: int = Field(default=1, ge=1, le=4096, description="replicas: pairs (two) or noisy passes besides the reference")
    scale: Literal["units", "all", "one"] = Field(
        default="units",
        description="n: units = the normalised units (N+O, or the layer's own); all = sqrt(I+N+O); one = 1",
    )
    control_variate: Literal["none", "batch"] = Field(
        default="none", description="batch: subtract the other samples' mean credit"
    )
    eps: float = Field(default=1e-30, gt=0, description="a step whose squared norm is below this teaches nothing")

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, options: Any) -> Any:
        if isinstance(options, Mapping):
            return {**cls.presets.get(options.get("preset", "default"), {}), **options}
        return options

    @model_validator(mode="after")
    def _check_combination(self) -> ANP:
        if self.control_variate == "batch" and self.credit == "batch":
            raise ValueError("control_variate 'batch' needs credit 'sample': one loss for the batch leaves no others")
        return self

    def plan(self) -> PassPlan:
        """Say which passes one update takes: two 2K, mean K+1, silent K+1 (the first one noise-free)."""
        K = self.K
        if self.reference == "two":
            return PassPlan((1.0,) * 2 * K, tuple(range(2 * K)), tuple((2 * k, 2 * k + 1) for k in range(K)))
        if self.reference == "mean":
            return PassPlan((1.0,) * (K + 1), tuple(range(K + 1)), "mean")
        return PassPlan((0.0, *(1.0,) * K), tuple(range(K + 1)), tuple((k, 0) for k in range(1, K + 1)), pre=0)

    def assign(self, losses: Tensor, plan: PassPlan) -> Credit:
        """Turn losses (T, M, B) into credit (T, R, B): dL for the outputs, its return-to-go for the hidden units."""
        dL = differences(losses, plan)
        if self.credit == "batch":
            dL = dL.mean(-1, keepdim=True).expand_as(dL)
        if self.control_variate == "batch":
            dL = subtract_others(dL)
        return Credit(hidden=return_to_go(dL, self.gamma), output=dL)

    def init(self, weights: Weights) -> dict[str, Tensor]:
        """Return zero sums of outer products."""
        return {name: torch.zeros_like(W) for name, W in weights.items()}

    def modulate(self, chunk: Trajectory, credit: Credit, weights: Weights, plan: PassPlan) -> dict[str, Tensor]:
        """Return sum_r e^h (T, B, N) for w and w_in, and sum_r e^y (T, B, O) for w_out."""
        assert chunk.h is not None
        dh = differences(chunk.h, plan)
        dy = differences(chunk.y, plan)
        whole, s_y = self._squared_norm(dh), self._squared_norm(dy)
        if self.difference == "innovation":
            dh = self._innovation(dh, chunk, weights, plan)
        s_h = self._squared_norm(dh) if self.difference == "innovation" else whole
        if self.norm == "global":  # the outputs' whole change goes with the whole change of h
            s_h, s_y = s_h + s_y, whole + s_y
        n_h, n_y = self._scales(weights)
        e_h = _weigh(credit.hidden, s_h, n_h, self.eps, dh)
        e_y = _weigh(credit.output, s_y, n_y, self.eps, dy)
        return {"w_in": e_h, "w": e_h, "w_out": e_y}

    def finish(self, state: dict[str, Tensor], plan: PassPlan, batch: int) -> WeightUpdate:
        """Divide the sums by B R."""
        return WeightUpdate({name: total / (batch * plan.differences) for name, total in state.items()})

    def _innovation(self, dh: Tensor, chunk: Trajectory, weights: Weights, plan: PassPlan) -> Tensor:
        """Take away what the change of the step before sent over W: what is left, the unit's own noise made."""
        assert chunk.x is not None
        assert chunk.x_prev is not None
        dx = differences(torch.cat([chunk.x_prev.unsqueeze(0), chunk.x[:-1]]), plan)
        return dh - dx @ weights["w"].T

    def _squared_norm(self, d: Tensor) -> Tensor:
        s = torch.linalg.vecdot(d, d)
        return s.sum(-1, keepdim=True) if self.credit == "batch" else s

    def _scales(self, weights: Weights) -> tuple[float, float]:
        N, O = weights.hidden, weights.outputs  # noqa: E741 - the paper's letters
        if self.scale == "one":
            return 1.0, 1.0
        if self.scale == "all":
            n = sqrt(weights.inputs + N + O)
            return n, n
        return (N + O, N + O) if self.norm == "global" else (N, O)


def _weigh(c: Tensor, s: Tensor, n: float, eps: float, d: Tensor) -> Tensor:
    """Return sum_r n c d / s (T, B, units), 0 where s < eps."""
    factor = torch.where(s < eps, 0.0, n * c / s.clamp_min(eps))
    if d.shape[1] == 1:
        return factor[:, 0].unsqueeze(-1) * d[:, 0]
    return torch.einsum("trb,trbn->tbn", factor, d)
