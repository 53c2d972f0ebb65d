"""Echo: units that learn what their own noise does to the outputs, and learn by the errors there.

A unit hears, step after step, how the outputs answered to its own noise k steps ago. So it knows its influence on them
and needs no backward pass. M = K + 1 noisy passes see the same input; d is a pass less the mean of all, bars that mean,
e = dL/dy the signed error of the outputs:

    i_t = dh_t - W dx_{t-1}               the unit's own innovation (W as it is held digitally, or identified by what
                                          units hear, see `identification`; all arrays, all layers)
    z_t = f_t i_t,  f_t = dx/dh at hbar   the unit's own gain, where its cell has one that h alone says
    q   = running mean of M/(M-1) z^2     of each unit
    p_t = dy_t - sum_{k<H} B_k z_{t-k}    what the echoes did not predict of the outputs' change
    B_k <- B_k + s D_k,  s = <p, sum D z> / |sum D z|^2,  0 at least                of each output, with p before it
    D_k = sum_{t,b,m} p_{t+k} z_t^T / q                                    which way to go once the next noise is heard
    g_t = f_t sum_k B_k^T e_{t+k} + eta (N + O)/M sum_m c_t i_t / (|i_t|^2 + |dy_t|^2)
           c_t = sum_{s>=t} gamma^(s-t) e_s . p_s
    dW  = 1/B sum_{t,b} g_t xbar_{t-1}^T,   dW_in with u_t,   W_out by its own rule             W <- W - lr dW

B_k, O numbers a unit and lag, starts as the unit's weight to the outputs at lag 0 and as nothing at the others. With
eta = 0 one response serves all samples and times: of a linear network it is the true one, of others an average, and
the update is biased. eta > 0 adds activity-based node perturbation on what the echoes did not predict; at eta = 1 they
are its control variate, and its bias is all that is left.

With `decorrelation` arrays carry D x: i_t = dh_t - W D dx_{t-1}, and D xbar stands for xbar in dW (decorrelation.py).

Forward only, local, ignorant of the noise level. What it hears beside the scalar loss are the signed errors of the
outputs (class E). With `hears: loss` a unit learns the echo of its noise in the scalar loss instead: dL stands for dy,
and 1 for e. That response changes sign with the error, so that little of it is left on average.

Responses are found by steepest descent on the squared error of the prediction, with an exact line search on noise that
the way was not found with: it needs no rate, does not diverge on noise that units share or that has a memory, and a way
that chance found leads nowhere.

Sources: the rule is neuroanp's own. Responses learned from a unit's own noise are those of Lansdell, Prakash, Kording,
arXiv 1906.00889, without memory; steepest descent: Nocedal and Wright, Numerical Optimization, chapter 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from neuroanp.errors import InputError
from neuroanp.learning import requirements
from neuroanp.learning.decorrelation import SPIKES_DECORRELATED, Decorrelation
from neuroanp.learning.identification import WEIGHTS, WEIGHTS_FORGET, WEIGHTS_FORGETS, WeightsName, check_weights
from neuroanp.learning.readouts import FORGET, FORGETS, READOUTS, RIDGE, RIDGES, ReadoutName, check_unused
from neuroanp.trajectory import PassPlan
from neuroanp.yaml_io import Section

if TYPE_CHECKING:
    from torch import Tensor


class Echo(Section):
    """Echo: pre activity x the errors that the unit's own noise was found to cause, H steps on.

    >>> rule = Echo(K=1)
    >>> rule.plan().passes, rule.feedback
    (2, 'E')
    """

    learner: ClassVar[str] = "echo"
    local: ClassVar[bool] = True
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    preset_optimizers: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    name: Literal["echo"] = "echo"
    K: int = Field(
        default=1, ge=1, le=4096, description="noisy passes besides the first: M = K + 1, each against their mean"
    )
    lags: int = Field(default=32, ge=1, le=4096, description="H, steps that a unit listens for the echo of its noise")
    eta: float = Field(
        default=0.0, ge=0, le=10, description="share of node perturbation on what the echoes did not predict"
    )
    gamma: float = Field(default=1.0, ge=0, le=1, description="discount of later errors a step, in the share of eta")
    difference: Literal["innovation", "activity"] = Field(
        default="innovation",
        description="what the share of eta is about. innovation: the unit's own noise; activity: its whole change",
    )
    weights: WeightsName = Field(default="held", description=WEIGHTS)
    weights_forget: float = Field(default=WEIGHTS_FORGET, ge=0, le=1, description=WEIGHTS_FORGETS)
    hears: Literal["errors", "loss"] = Field(
        default="errors",
        description="what hidden units listen to. errors: the outputs, and later their signed errors (class E); "
        "loss: the scalar loss",
    )
    readout: ReadoutName = Field(default="delta", description=READOUTS)
    forget: float = Field(default=FORGET, gt=0, le=1, description=FORGETS)
    ridge: float = Field(default=RIDGE, gt=0, le=1, description=RIDGES)
    decorrelation: Decorrelation | None = Field(
        default=None, description="lr, trailing: a digital matrix decorrelates each layer's activity; unset: none"
    )
    memory: float = Field(default=0.05, gt=0, le=1, description="rate of the running mean q of squared innovations")

    @model_validator(mode="after")
    def _check_weights(self) -> Echo:
        check_weights(self.weights, self.weights_forget)
        return self

    @model_validator(mode="after")
    def _check_readout(self) -> Echo:
        check_unused(self.readout, {"forget": self.forget, "ridge": self.ridge}, {"forget": FORGET, "ridge": RIDGE})
        return self

    @model_serializer(mode="wrap")
    def _without_later(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what older runs did not have, where it is not used."""
        plain = {k: v for k, v in handler(self).items() if (k, v) not in (("decorrelation", None), ("weights", "held"))}
        return plain if self.weights == "identified" else {k: v for k, v in plain.items() if k != "weights_forget"}

    def check(self, spiking: bool) -> None:
        """Take any units, but decorrelate none that spike, and let none of them identify what it hears."""
        if spiking and self.weights == "identified":
            raise InputError(
                "rule.weights: 'identified' is of rate units; those that spike know their noise; leave it out"
            )
        if spiking and self.decorrelation is not None:
            raise InputError(SPIKES_DECORRELATED)

    @property
    def hears_errors(self) -> bool:
        """Whether anything must be told the signed errors of the outputs."""
        return self.hears == "errors" or self.readout != "perturb"

    @property
    def errors(self) -> str:
        """How they are known: somebody tells them."""
        return "told"

    @property
    def feedback(self) -> str:
        """E where hidden units hear errors; else S+ or S, as the outputs know their own or not."""
        if self.hears == "errors":
            return "E"
        return "S+" if self.readout != "perturb" else "S"

    @property
    def needs(self) -> tuple[str, ...]:
        """What hardware must provide; of units that spike the noise sample in place of the innovation."""
        errors, perturbs = self.hears == "errors", bool(self.eta) or self.readout == "perturb"
        scalar = (requirements.SCALAR_LOSS,) if perturbs or not errors else ()
        told = (requirements.ECHOES,) if errors else ()
        told += (requirements.SIGNED_ERROR,) if self.readout != "perturb" else ()
        host = (requirements.LEAST_SQUARES,) if self.readout == "rls" else ()
        whole = bool(self.eta) and self.difference == "activity"
        change = (requirements.ACTIVITY_CHANGE,) if whole or self.readout == "perturb" else ()
        norm = (requirements.SQUARED_NORM,) if perturbs else ()
        matrix = () if self.decorrelation is None else (requirements.DECORRELATION,)
        own = requirements.OWN_NOISE if self.weights == "held" else requirements.IDENTIFIED_INNOVATION
        memory = requirements.memory_per_unit("2 H O + M T" if errors else "2 H + M T")
        return (*scalar, *told, own, *change, *norm, *matrix, *host, memory)

    def plan(self) -> PassPlan:
        """Return K + 1 noisy passes, each against their mean."""
        return PassPlan((1.0,) * (self.K + 1), tuple(range(self.K + 1)), "mean")


class Noise(NamedTuple):
    """What the own noise of a layer's units did in one presentation.

    Args:
        i: (T, M, B, lines) innovations. f: (T, B, lines) gains, or None for 1.
    """

    i: Tensor
    f: Tensor | None

    @property
    def z(self) -> Tensor:
        """f i, (T, M, B, lines)."""
        return self.i if self.f is None else self.i * self.f.unsqueeze(1)

    def gained(self, g: Tensor) -> Tensor:
        """Return f g of some g (T, B, lines)."""
        return g if self.f is None else g * self.f


def predicted(B: Tensor, z: Tensor) -> Tensor:
    """Return what the noise of some steps says of the outputs' change, then and later: sum_k B_k z_{t-k}.

    Args:
        B: (H, O, lines). z: (T, M, B, lines).

    Returns: (T + H - 1, M, B, O).

    >>> z = torch.tensor([1.0, 0.0, 0.0]).reshape(3, 1, 1, 1)
    >>> predicted(torch.tensor([2.0, 3.0]).reshape(2, 1, 1), z).flatten()
    tensor([2., 3., 0., 0.])
    """
    H, O, lines = B.shape  # noqa: E741 - the paper's letters
    T = len(z)
    parts = (z.flatten(0, 2) @ B.reshape(H * O, lines).T).unflatten(0, z.shape[:3]).unflatten(-1, (H, O))
    y = z.new_zeros(T + H - 1, *z.shape[1:3], O)
    for k in range(H):
        y[k : k + T] += parts[..., k, :]
    return y


def later(x: Tensor, lags: int) -> Tensor:
    """Return what follows each step: x_t, x_{t+1}, ..., x_{t+H-1} side by side.

    Args:
        x: (T + H - 1, ..., O). lags: H.

    Returns: (T, ..., H O).

    >>> later(torch.tensor([[1.0], [2.0], [0.0]]), 2)
    tensor([[1., 2.],
            [2., 0.]])
    """
    return x.unfold(0, lags, 1).transpose(-1, -2).flatten(-2)  # unfold: (T, ..., O, H)


def products(p: Tensor, z: Tensor, lags: int) -> Tensor:
    """Return sum_{t,b,m} p_{t+k} z_t^T, the direction in which responses learn.

    Args:
        p: (T, M, B, H O), what was not predicted, as `later` has it. z: (T, M, B, lines). lags: H.

    Returns: (H, O, lines).

    >>> p, z = torch.tensor([1.0, 2.0]).reshape(2, 1, 1, 1), torch.tensor([3.0, 4.0]).reshape(2, 1, 1, 1)
    >>> products(p, z, lags=1).item()  # 1 x 3 + 2 x 4
    11.0
    """
    return (p.flatten(0, 2).T @ z.flatten(0, 2)).unflatten(0, (lags, -1))


def way(products: Tensor, q: Tensor) -> Tensor:
    """Return which way responses should go: D_k = sum p_{t+k} z_t^T / q.

    Args:
        products: (H, O, lines). q: (lines,).

    Returns: (H, O, lines); a unit without any noise goes none.

    >>> way(torch.tensor([[[6.0, 1.0]]]), torch.tensor([2.0, 0.0])).tolist()
    [[[3.0, 0.0]]]
    """
    return torch.where(q > 0, products / q, 0.0)


def how_far(p: Tensor, by_way: Tensor) -> Tensor:
    """Return how far the responses of each output should go: s = <p, sum D z> / |sum D z|^2, never back.

    On noise that the way was not found with: one of chance leads nowhere, and one of much noise not too far.

    Args:
        p: (T, M, B, O) what was not predicted. by_way: (T, M, B, O) what the way says of it, sum_k D_k z_{t-k}.

    Returns: (O,).

    >>> p, by_way = torch.tensor([1.0, 2.0]).reshape(2, 1, 1, 1), torch.tensor([2.0, 4.0]).reshape(2, 1, 1, 1)
    >>> how_far(p, by_way), how_far(-p, by_way)
    (tensor([0.5000]), tensor([0.]))
    """
    over = (0, 1, 2)
    square = by_way.square().sum(over)
    return torch.where(square > 0, (p * by_way).sum(over) / square, 0.0).clamp_min(0.0)


def carried(B: Tensor, e: Tensor) -> Tensor:
    """Return what the errors say of each unit's noise: sum_k B_k^T e_{t+k}.

    Args:
        B: (H, O, lines). e: (T, B, H O) signed errors, as `later` has them.

    Returns: (T, B, lines).

    >>> e = later(torch.tensor([0.0, 0.0, 1.0, 0.0]).reshape(4, 1, 1), 2)
    >>> carried(torch.tensor([2.0, 3.0]).reshape(2, 1, 1), e).flatten()
    tensor([0., 3., 2.])
    """
    return e @ B.flatten(0, 1)


def perturbed(dL: Tensor, d: Mapping[str, Tensor], dy: Tensor) -> Tensor:
    """Return the factor of the outputs by node perturbation: (N + O)/M sum_m dL_t dy_t / (|d_t|^2 + |dy_t|^2).

    Args:
        dL: (T, M, B) how the losses differ. d, dy: as in `worth`.

    Returns: (T, B, O).

    >>> d, dy = {"hidden": torch.tensor([0.3]).reshape(1, 1, 1, 1)}, torch.tensor([0.4]).reshape(1, 1, 1, 1)
    >>> round(perturbed(torch.tensor(0.5).reshape(1, 1, 1), d, dy).item(), 6)  # .5 x 8 x .4
    1.6
    """
    return ((dL * worth(d, dy)).unsqueeze(-1) * dy).sum(1)


def worth(d: Mapping[str, Tensor], dy: Tensor) -> Tensor:
    """Return what credit is worth at a step, (N + O) / (M (|d|^2 + |dy|^2)), (T, M, B); 0 where nothing differed.

    Args:
        d: (T, M, B, lines) by layer, innovations or whole changes. dy: (T, M, B, O) how the outputs differ.

    >>> d, dy = {"hidden": torch.full((1, 2, 1, 1), 0.3)}, torch.full((1, 2, 1, 1), 0.4)
    >>> [round(each, 6) for each in worth(d, dy).flatten().tolist()]  # two units, |d|^2 + |dy|^2 = .25, M = 2
    [4.0, 4.0]
    """
    size = dy.shape[-1] + sum(each.shape[-1] for each in d.values())
    squared = dy.square().sum(-1) + sum(each.square().sum(-1) for each in d.values())
    return torch.where(squared > 0, size / (squared * dy.shape[1]), 0.0)
