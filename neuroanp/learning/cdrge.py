"""Central-difference random gradient estimation: all weights move by + or - eps, and back; a loss tells of each way.

For a probe j, with a sign z_j = +1 or -1 (Rademacher) for every weight, held for a whole presentation:

    L(theta) = sum_t 1/B sum_b L_tb                one number for all sequences
    d_j = (L(theta + eps z_j) - L(theta - eps z_j)) / (2 eps)
    cd-rge     g = 1/P sum_j d_j z_j                                                  theta <- theta - lr g
    1.5-spsa   g = 1/P sum_j d_j z_j / max(c_j^alpha, lambda)
               c_j = |L(theta + eps z_j) - 2 L(theta) + L(theta - eps z_j)| / eps^2

The mean of g of cd-rge over all signs is the gradient: exactly so for a quadratic, and else off by order eps^2. For
small eps and one probe the variance of coordinate i is |grad L|^2 - (d_i L)^2, that of all other weights; of P probes
a P-th of it.

c_j is |z_j' H z_j|, the curvature along the probe, with the Hessian H, whose trace is the mean over signs. 1.5-SPSA
weighs each probe by it, and takes one presentation more of the weights as they are. Its mean is no gradient: it leans
to directions that are flat. alpha and lambda are of the loss above; a loss that is divided by the number of scored
steps S has curvatures c/S.

Signs are drawn again from their address where they are added up, so that an update is known from 2 P scalars to anybody
who has the same weights: that is all that processes which share its probes tell each other (compute.workers), and no
memory grows with T or P.

A chip must move its weights by +eps and by -eps for a presentation each, and take it back: a programmable perturbation,
beside what its devices hold. Here it is digital and exact, comes on top of what the arrays hold with all that their
devices do, passes the same converters, has no read noise of its own, and costs no energy, time or wear in the books: a
profile says nothing of it. The two presentations of a probe see noise of the devices of their own.

Preset `paper`: P = 512, eps = 1e-2 = lr, plain gradient descent, as in the figure of the source that compares with
backpropagation through time. Its loss is the mean over scored steps; here lr and eps are of the sum.

Sources: Chaubard and Kochenderfer, Scaling recurrent neural networks to a billion parameters with zero-order
optimization, arXiv 2505.17852, and its code zero_order_rnn (cd-rge); Spall, IEEE Trans. Autom. Control 37, 332 (1992)
(the estimate of one probe: SPSA); Chaubard, code 1.5-SPSA-LLM, README "Algorithm" (1.5-spsa; alpha .1, lambda 1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import Field, model_validator

from neuroanp.learning import requirements
from neuroanp.method import of_preset
from neuroanp.yaml_io import Section

PAPER = {"K": 512, "eps": 1e-2}
"""The probes and eps with which the source's code is compared with backpropagation through time."""
PAPER_OPTIMIZER = {"name": "sgd", "lr": 1e-2, "schedule": "constant"}
"""Plain gradient descent; the source ties lr to eps."""


class Presentation(NamedTuple):
    """How weights are moved in a presentation: by `factor` eps z of a probe; 0: not at all."""

    probe: int
    factor: float


class CDRGE(Section):
    """Central-difference random gradient estimation: every weight moves by + or - eps, and hears the change of loss.

    >>> CDRGE(K=4).passes, CDRGE(K=4, estimator="1.5-spsa").passes
    (8, 9)
    """

    learner: ClassVar[str] = "cdrge"
    local: ClassVar[bool] = True
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"default": {}, "paper": PAPER}
    preset_optimizers: ClassVar[Mapping[str, Mapping[str, Any]]] = {"paper": PAPER_OPTIMIZER}
    feedback: ClassVar[str] = "S"
    needs: ClassVar[tuple[str, ...]] = (requirements.TRIAL_LOSS, requirements.WEIGHT_PERTURBATION)

    name: Literal["cdrge"] = "cdrge"
    preset: Literal["default", "paper"] = Field(
        default="default", description="where unstated options come from; paper: those of 2505.17852, with SGD"
    )
    estimator: Literal["cd-rge", "1.5-spsa"] = Field(
        default="cd-rge",
        description="cd-rge: central differences; 1.5-spsa: each divided by the curvature along its probe, which takes "
        "one presentation more, of the weights as they are",
    )
    K: int = Field(default=8, ge=1, le=4096, description="probes of an update (P), each presented with + and with -")
    eps: float = Field(default=1e-3, gt=0, le=10, description="by how much each weight moves, up or down")
    alpha: float = Field(default=0.1, ge=0, le=1, description="1.5-spsa: power of the curvature; 0 is cd-rge")
    floor: float = Field(default=1.0, gt=0, description="1.5-spsa: least divisor (lambda)")

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, options: Any) -> Any:
        if isinstance(options, Mapping):
            return of_preset(cls.presets, options, "default") | {**options}
        return options

    def check(self, spiking: bool) -> None:
        """Accept all units: nothing of them is looked at."""

    @property
    def passes(self) -> int:
        """Presentations of each sequence in an update."""
        return len(self.presentations)

    @property
    def presentations(self) -> tuple[Presentation, ...]:
        """What is presented in an update, in order; the unmoved weights count as a probe of their own, the last.

        >>> CDRGE(K=1, estimator="1.5-spsa").presentations[-1]
        Presentation(probe=1, factor=0.0)
        """
        pairs = tuple(Presentation(k, factor) for k in range(self.K) for factor in (1.0, -1.0))
        return pairs if self.estimator == "cd-rge" else (*pairs, Presentation(self.K, 0.0))

    def coefficients(self, losses: Sequence[float]) -> list[float]:
        """Return what the signs of each probe are multiplied with in g, (P,).

        Args:
            losses: L of each of `presentations`, in order.

        >>> CDRGE(K=2, eps=0.5).coefficients([3.0, 1.0, 1.0, 2.0])
        [1.0, -0.5]
        >>> CDRGE(K=1, eps=0.5, estimator="1.5-spsa", alpha=0.5).coefficients([3.0, 1.0, 1.0])  # c = 8
        [0.7071067811865475]
        """
        found = []
        for up, down in zip(losses[0 : 2 * self.K : 2], losses[1 : 2 * self.K : 2], strict=True):
            divisor = 2 * self.eps * self.K
            if self.estimator == "1.5-spsa":
                curvature = abs(up - 2 * losses[-1] + down) / self.eps**2
                divisor *= max(curvature**self.alpha, self.floor)
            found.append((up - down) / divisor)
        return found


def of_signs(rule: CDRGE, own: bool) -> str:
    """Say what moves the weights; own: whether devices have noise of their own.

    >>> of_signs(CDRGE(), own=False)
    'weights, each by + or - 0.001 digitally on top of what the arrays hold, in no book'
    """
    beside = " beside the device's own noise" if own else ""
    return f"weights, each by + or - {rule.eps:g} digitally on top of what the arrays hold, in no book{beside}"
