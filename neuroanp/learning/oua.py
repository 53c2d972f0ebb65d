"""Ornstein-Uhlenbeck adaptation: weights wander about their means, and the means follow what was rewarded.

    d theta = lambda (mu - theta) dt + sigma dW     d mu = eta (r - rbar) (theta - mu) dt     d rbar = rho (r - rbar) dt

r is a reward, minus the loss. Rates are a step of time (draw = step), or a presentation (draw = pass); over one of them

    theta - mu <- a (theta - mu) + s sqrt(1 - a^2) xi,      a = e^{-lambda},   s^2 = sigma^2 / (2 lambda)       exactly
    dW = - sum (r - rbar) (theta - mu)                      mu <- mu - lr dW,  eta = the optimizer's rate
    rbar <- r + (rbar - r) e^{-rho}                         exactly, of an r that stands for the step

mu is what arrays hold, theta what a presentation is run with. There is one learning rate: with `optimizer: {name: sgd,
schedule: constant}` the rule is the paper's, eta = optimizer.lr; Adam or a schedule makes steps of the same dW.
mu stands still in an update, of K presentations, and moves at its end, theta with it: the deviation theta - mu goes on.

The deviation explores on average over its stationary distribution along the gradient (`gain` is derived in
docs/theory/oua.md):

    E[d mu] = - eta gain s^2 dL/d mu,      gain = (1 - e^{-lambda}) / (1 - e^{-lambda - rho})

The running mean of the reward takes away what it follows: keep rho well below lambda.

A batch: all its sequences see the same weights, and r is minus their mean loss (the paper has one sequence). Where
devices wander by themselves (source = device) each sequence meets them at another time, has deviations and a reward of
its own, and dW is the mean over the batch; rbar hears their mean.

Source: Garcia Fernandez, Ahmad, van Gerven, arXiv 2410.13563, Entropy 26, 1125 (2024), eqs. 5 to 7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, expm1, sqrt
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from neuroanp.errors import InputError
from neuroanp.learning import requirements
from neuroanp.method import of_preset
from neuroanp.yaml_io import Section

if TYPE_CHECKING:
    from torch import Tensor

PAPER_DT = 0.05
"""Steps of the integrator in the authors' code, in units of its time."""
PAPER = {"draw": "step", "lam": PAPER_DT, "sigma": 0.05 * sqrt(PAPER_DT), "rho": PAPER_DT}
"""lambda 1, sigma .05, rho 1 of the weather example, a step."""
PAPER_OPTIMIZER = {"name": "sgd", "lr": 0.1 * PAPER_DT, "schedule": "constant"}
"""eta .1 of the weather example, a step."""
OF_NOISE = ("lam", "sigma")
"""What devices say themselves where their own noise is what explores."""


class OUA(Section):
    """Ornstein-Uhlenbeck adaptation: weights wander, and their means follow what was rewarded.

    >>> OUA().deviation, OUA(preset="paper").draw
    (0.05, 'step')
    """

    learner: ClassVar[str] = "oua"
    local: ClassVar[bool] = True
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"default": {}, "paper": PAPER}
    preset_optimizers: ClassVar[Mapping[str, Mapping[str, Any]]] = {"paper": PAPER_OPTIMIZER}
    feedback: ClassVar[str] = "S"

    name: Literal["oua"] = "oua"
    preset: Literal["default", "paper"] = Field(
        default="default", description="where unstated options come from; paper: those of 2410.13563, with SGD"
    )
    source: Literal["own", "device"] = Field(
        default="own",
        description="own: a digital process on top of what the arrays hold; device: the read noise of the devices, "
        "whose conductance wanders by itself",
    )
    draw: Literal["pass", "step"] = Field(
        default="pass",
        description="pass: weights stand for a presentation, whose mean loss counts; step: they move at every step, "
        "whose own loss counts",
    )
    K: int = Field(default=1, ge=1, le=4096, description="presentations of an update, one after another")
    lam: float = Field(
        default=1.0, gt=0, le=100, description="lambda, the rate at which weights forget where they were, a draw"
    )
    sigma: float = Field(
        default=0.05 * sqrt(2.0), gt=0, le=10, description="sigma, how fast they wander, a root of a draw"
    )
    rho: float = Field(default=0.3, gt=0, le=100, description="rate of the running mean of the reward, a draw")

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, options: Any) -> Any:
        if isinstance(options, Mapping):
            filled = of_preset(cls.presets, options, "default")
            if options.get("source") == "device":
                filled = {name: value for name, value in filled.items() if name not in OF_NOISE}
            return {**filled, **options}
        return options

    @model_validator(mode="after")
    def _check_combination(self) -> OUA:
        if self.source == "own":
            return self
        fields, own = type(self).model_fields, self.model_dump(include=set(OF_NOISE))
        stated = [name for name in OF_NOISE if own[name] != fields[name].default]
        if stated:
            raise ValueError(
                f"{' and '.join(stated)}: with source 'device' the devices say how they wander; leave out, or use "
                "source 'own'"
            )
        if self.draw == "pass" and self.K > 1:
            raise ValueError(
                "K above 1 with source 'device' and draw 'pass': what stands still does so for all presentations of an "
                "update, which then say the same; use K 1, or draw 'step'"
            )
        return self

    @property
    def needs(self) -> tuple[str, ...]:
        """What hardware must provide: a loss, weights that wander, and to know where they are."""
        each = self.draw == "step"
        feedback = requirements.SCALAR_LOSS if each else requirements.TRIAL_LOSS
        explored: tuple[str, ...] = (requirements.OWN_CONDUCTANCE,)
        if self.source == "own":
            explored = (requirements.WEIGHT_PERTURBATION, requirements.WANDERING)
            explored += (requirements.AT_EVERY_STEP,) if each else ()
        return (feedback, *explored, requirements.REWARD_MEAN, *((requirements.TRACE,) if each or self.K > 1 else ()))

    def check(self, spiking: bool) -> None:
        """Raise InputError for weights that move by themselves at every step, where units spike."""
        if spiking and self.draw == "step" and self.source == "own":
            raise InputError(
                "rule.draw: 'step' of source 'own' is defined for rate networks alone; use 'pass' with spiking units"
            )

    @property
    def passes(self) -> int:
        """M, presentations of each sequence in an update."""
        return self.K

    @property
    def deviation(self) -> float:
        """s, the standard deviation of theta - mu once it is stationary: sigma / sqrt(2 lambda)."""
        return round(self.sigma / sqrt(2.0 * self.lam), 15)


def wandered(start: Tensor | None, xi: Tensor, lam: float, sd: float) -> Tensor:
    """Return where an Ornstein-Uhlenbeck process about 0 is after each of T steps: exact, for steps of any length.

        d_t = a d_{t-1} + s sqrt(1 - a^2) xi_t,  a = e^{-lambda}

    Args:
        start: (...) where it is before them; None: it starts now, from its stationary distribution, d_1 = s xi_1.
        xi: (T, ...) standard normals. lam: lambda, a step. sd: s, its stationary standard deviation.

    Returns: (T, ...).

    >>> import torch
    >>> wandered(torch.tensor(1.0), torch.zeros(2), lam=0.5, sd=1.0)
    tensor([0.6065, 0.3679])

    Source: Gillespie, Phys. Rev. E 54, 2084 (1996).
    """
    import torch

    a, fresh = exp(-lam), sd * sqrt(-expm1(-2.0 * lam))
    out = torch.empty_like(xi)
    for t, step in enumerate(xi):
        start = sd * step if start is None else a * start + fresh * step
        out[t] = start
    return out


def advantages(
    r: Tensor, scored: Sequence[bool], mean: float | None, rho: float
) -> tuple[Tensor, float | None]:  # fmt: skip
    """Return how much better the reward of each step was than its running mean, and the mean after them.

        A_tb = r_tb - rbar_t,   rbar_{t+1} = r_t + (rbar_t - r_t) e^{-rho},   r_t the mean over sequences

    Args:
        r: (T, B). scored: T times whether a step has a reward; one that has none leaves the mean as it is, A = 0.
        mean: rbar before them; None: nothing was heard, and rbar is the first reward. rho: a step.

    >>> import torch
    >>> A, after = advantages(torch.tensor([[1.0], [2.0], [9.0]]), [True, True, False], None, rho=0.5)
    >>> A.flatten().tolist(), round(after, 4)
    ([0.0, 1.0, 0.0], 1.3935)
    """
    import torch

    A, kept = torch.zeros_like(r), exp(-rho)
    for t, now in enumerate(r.double().mean(1).tolist()):
        if not scored[t]:
            continue
        mean = now if mean is None else mean
        A[t] = r[t] - mean
        mean = now + (mean - now) * kept
    return A, mean


def gain(lam: float, rho: float) -> float:
    """Return the share of the gradient that is left once the running mean of the reward has followed it.

        (1 - e^{-lambda}) / (1 - e^{-lambda - rho}),   lambda / (lambda + rho) for short steps

    >>> round(gain(0.05, 0.05), 3), round(gain(1.0, 0.1), 3)
    (0.512, 0.948)
    """
    return expm1(-lam) / expm1(-lam - rho)


def of_weights(rule: OUA, own: bool) -> str:
    """Say what moves the weights of source 'own'; own: whether devices have noise of their own.

    >>> of_weights(OUA(), own=False)
    'weights, Ornstein-Uhlenbeck of sd 0.05 and lambda 1 a presentation, digitally on top of the arrays, in no book'
    """
    beside = " beside the device's own noise" if own else ""
    each = "presentation" if rule.draw == "pass" else "step"
    return (
        f"weights, Ornstein-Uhlenbeck of sd {rule.deviation:g} and lambda {rule.lam:g} a {each}, digitally on top of "
        f"the arrays, in no book{beside}"
    )
