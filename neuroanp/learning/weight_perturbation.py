"""Weight perturbation: all weights are moved at random, and what that does to the loss is laid to each of them.

For a perturbation k, with xi_k a standard normal for every weight, held for a whole presentation (draw = pass):

    L(W) = sum_t 1/B sum_b L_tb          one number for all sequences (credit = batch)
    silent       dW = 1/K sum_k (L(W + sigma xi_k) - L(W)) xi_k / sigma
    two          dW = 1/K sum_k (L(W + sigma xi_k) - L(W + sigma xi'_k)) (xi_k - xi'_k) / (2 sigma)
    antithetic   dW = 1/K sum_k (L(W + sigma xi_k) - L(W - sigma xi_k)) xi_k / (2 sigma)             W <- W - lr dW

The expected update is the gradient, up to order sigma^2; the variance of a coordinate is that of all, |g|^2 + g_i^2 for
K = 1. The rule takes no activity and no product of pre- and postsynaptic factors, only a scalar at the end, and noise
that each weight knows.

A chip must move its weights by what is asked, for one presentation, and take it back: a programmable perturbation,
beside what its devices hold. Here it is digital and exact, comes on top of what the arrays hold with all that their
devices do, passes the same converters, has no read noise of its own, and costs no energy, time or wear in the books: a
profile says nothing of it.

With credit = sample each sequence has a perturbation of its own, xi_kb, and its own loss:

    dW = 1/(K B) sum_{k,b} (L_b(W + sigma xi_kb) - L_b(W)) xi_kb / sigma      L_b = sum_t L_tb

B times less variance from the same presentations. An array has one set of weights at a time: sequences are presented
one after another, and it is programmed anew before each of them, K B times an update instead of K. The simulation does
the same: each sequence is run by itself.

Preset `paper`: new xi_kt at every step (draw = step), the step's own loss, 1 / sigma instead of 1 / sigma^2:

    dW = 1/K sum_{k,t} (1/B sum_b dL_tb) xi_kt

with gamma > 0 dL_t becomes what follows, sum_{s>=t} gamma^(s-t) dL_s. No array is programmed between two steps: that is
for exact arrays alone, in simulation.

Sources: Dembo and Kailath, IEEE Trans. Neural Netw. 1, 58 (1990); Cauwenberghs, NIPS 5 (1993);
Fernandez, Keemink, van Gerven, arXiv 2405.08967 (the preset).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from neuroanp.errors import InputError
from neuroanp.learning import requirements
from neuroanp.learning.decorrelation import SPIKES_DECORRELATED, Decorrelation
from neuroanp.method import of_preset
from neuroanp.yaml_io import Section

PAPER = {"reference": "silent", "draw": "step", "gamma": 0.0, "scale": "sigma"}
"""What the paper's code does: new noise at every step, each step's own loss, 1 / sigma."""
PAPER_OPTIMIZER = {"name": "sgd", "lr": 1e-2, "schedule": "constant"}
"""Plain gradient descent; the rate is ours."""


Move = tuple[int, float]
"""A perturbation by its number, and the factor on it."""
STILL: Move = (0, 0.0)


class WP(Section):
    """Weight perturbation: known noise of each weight x change of the whole loss.

    >>> WP(K=4).passes, WP(reference="antithetic", K=4).passes
    (5, 8)
    """

    learner: ClassVar[str] = "wp"
    local: ClassVar[bool] = True
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"default": {}, "paper": PAPER}
    preset_optimizers: ClassVar[Mapping[str, Mapping[str, Any]]] = {"paper": PAPER_OPTIMIZER}
    feedback: ClassVar[str] = "S"

    name: Literal["wp"] = "wp"
    preset: Literal["default", "paper"] = Field(
        default="default", description="where unstated options come from; paper: those of 2405.08967, with SGD"
    )
    reference: Literal["silent", "two", "antithetic"] = Field(
        default="silent",
        description="silent: K perturbed presentations against one of the weights as they are; two: pairs of perturbed "
        "ones; antithetic: pairs with the same perturbation and opposite sign",
    )
    K: int = Field(default=1, ge=1, le=4096, description="perturbations, or pairs of them, of an update")
    sigma: float = Field(default=1e-3, gt=0, le=10, description="standard deviation of the perturbation of a weight")
    credit: Literal["batch", "sample"] = Field(
        default="batch",
        description="batch: a perturbation holds for all sequences; sample: each has its own, and is presented alone",
    )
    draw: Literal["pass", "step"] = Field(
        default="pass", description="pass: weights stay moved for a presentation; step: moved anew at every step"
    )
    gamma: float = Field(default=1.0, ge=0, le=1, description="draw step: discount of later losses a step")
    scale: Literal["variance", "sigma"] = Field(
        default="variance", description="what noise is divided by: its variance, or its standard deviation"
    )

    decorrelation: Decorrelation | None = Field(
        default=None, description="lr, trailing: a digital matrix decorrelates each layer's activity; unset: none"
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, options: Any) -> Any:
        if isinstance(options, Mapping):
            return of_preset(cls.presets, options, "default") | {**options}
        return options

    @model_validator(mode="after")
    def _check_combination(self) -> WP:
        if self.draw == "step" and self.credit == "sample":
            raise ValueError("draw 'step' with credit 'sample' is a matrix a step and sequence; use credit 'batch'")
        return self

    @property
    def needs(self) -> tuple[str, ...]:
        """What hardware must provide: a loss, and weights that can be moved and put back."""
        matrix = () if self.decorrelation is None else (requirements.DECORRELATION,)
        if self.draw == "step":
            return (requirements.SCALAR_LOSS, requirements.WEIGHT_PERTURBATION, requirements.AT_EVERY_STEP, *matrix)
        each = (requirements.FOR_EVERY_SEQUENCE,) if self.credit == "sample" else ()
        return (requirements.TRIAL_LOSS, requirements.WEIGHT_PERTURBATION, *each, *matrix)

    def check(self, spiking: bool) -> None:
        """Raise InputError for a perturbation of every step, or decorrelation, where units spike."""
        if spiking and self.decorrelation is not None:
            raise InputError(SPIKES_DECORRELATED)
        if spiking and self.draw == "step":
            raise InputError("rule.draw: 'step' is defined for rate networks alone; use 'pass' with spiking units")

    @property
    def passes(self) -> int:
        """M, presentations of each sequence in an update; decorrelation looks at one of unmoved weights."""
        return self.compared + (self.decorrelation is not None and self.reference != "silent")

    @property
    def compared(self) -> int:
        """Presentations of each sequence whose losses are compared."""
        return self.K + 1 if self.reference == "silent" else 2 * self.K

    @property
    def pairs(self) -> tuple[tuple[Move, Move], ...]:
        """The differences of an update: how weights are moved in one presentation and in the other.

        >>> WP(reference="two").pairs, WP(reference="antithetic").pairs
        ((((0, 1.0), (1, 1.0)),), (((0, 1.0), (0, -1.0)),))
        """
        if self.reference == "silent":
            return tuple(((k, 1.0), STILL) for k in range(self.K))
        if self.reference == "two":
            return tuple(((2 * k, 1.0), (2 * k + 1, 1.0)) for k in range(self.K))
        return tuple(((k, 1.0), (k, -1.0)) for k in range(self.K))

    @property
    def share(self) -> float:
        """Variance of a difference of the perturbations, in sigma^2."""
        return {"silent": 1.0, "two": 2.0, "antithetic": 4.0}[self.reference]


def of_weights(rule: WP, own: bool) -> str:
    """Say what moves the weights; own: whether devices have noise of their own.

    >>> of_weights(WP(), own=False)
    'weights, Gaussian of sigma 0.001 digitally on top of what the arrays hold, in no book'
    """
    beside = " beside the device's own noise" if own else ""
    return f"weights, Gaussian of sigma {rule.sigma:g} digitally on top of what the arrays hold, in no book{beside}"
