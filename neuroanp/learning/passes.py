"""What rules share that compare passes: which passes, what credit, the mean over samples and differences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from neuroanp.errors import InputError
from neuroanp.learning import requirements
from neuroanp.learning.credit import differences, return_to_go, subtract_others, weighted_sum
from neuroanp.learning.decorrelation import SPIKES_DECORRELATED, Decorrelation
from neuroanp.learning.readouts import (
    ERRORS,
    FORGET,
    FORGETS,
    READOUTS,
    RIDGE,
    RIDGES,
    UNUSED,
    ErrorsName,
    ReadoutName,
    check_unused,
)
from neuroanp.method import of_preset
from neuroanp.network.network import OUTPUT
from neuroanp.trajectory import Compared, Credit, PassPlan, Weights, WeightUpdate
from neuroanp.yaml_io import Section

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.network.network import Network


OF_REFERENCE = {
    "silent": (requirements.SILENT_TWIN,),
    "antithetic": (requirements.SIGN_CONTROL,),
    "running": (requirements.REPEATING_INPUTS,),
}
"""What hardware must provide for a reference."""
LATER = ("average", "decorrelation", "presynaptic", "readout", "weights")
"""Options that there have not always been."""


class PassRule(Section):
    """Base of the rules that present the same input several times, each time with other noise.

    Args: name: of the rule. preset: where unstated options come from.

    A rule of one's own gives `name` and `compare`; this one is node perturbation without the noise:

        dW = mean_b (L^p_b - L^q_b) (h^p_b - h^q_b) x^T

    >>> class Plain(PassRule):
    ...     name: Literal["plain"] = "plain"
    ...     def compare(self, chunk, weights, plan):
    ...         d = {name: differences(layer.h, plan) for name, layer in chunk.activities.items()}
    ...         d["output"] = differences(chunk.y, plan)
    ...         return Compared(d, dict.fromkeys(d, 1.0))
    >>> from neuroanp.trajectory import LayerActivity, Trajectory
    >>> def two(a, b):
    ...     return torch.tensor([a, b], dtype=torch.float64).reshape(1, 2, 1, 1)  # T 1, M 2, B 1, n 1
    >>> one, rule = torch.ones(1, 1, dtype=torch.float64), Plain(reference="antithetic")
    >>> weights, plan = Weights.one_layer({"w_in": one, "w": one, "w_out": one}), rule.plan()
    >>> layer = LayerActivity(two(0.6, 0.5), two(0.6, 0.5).tanh(), two(0.0, 0.0)[0])
    >>> chunk = Trajectory(two(1.0, 1.0)[:, 0], {"hidden": layer}, two(0.4, 0.2), t0=0, dt=1e-3)
    >>> credit = rule.assign(two(0.8, 0.5)[..., 0], plan, 1e-3)
    >>> A = rule.modulate(rule.compare(chunk, weights, plan), credit, weights.network)
    >>> {name: round(A[name].item(), 6) for name in A}  # .3 times .1, and .3 times .2
    {'w_in': 0.03, 'w': 0.03, 'w_out': 0.06}
    >>> update = rule.finish({**rule.init(weights), "w": A["w"][0]}, plan, batch=2)
    >>> round(update.arrays["w"].item(), 6), plan.noise, rule.discount(1e-3), rule.feedback, rule.hears_errors
    (0.015, (1.0, -1.0), 1.0, 'S', False)
    >>> rule.check(spiking=True)
    >>> rule.keep, rule.instantaneous, rule.remembers(weights.network), rule.needs[:2]
    ('all', False, ('h', 'x', 'y'), ('a scalar loss at every step', 'control of the sign of the noise'))
    """

    learner: ClassVar[str] = "passes"
    local: ClassVar[bool] = True
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"default": {}}
    preset_optimizers: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    needs_noise: ClassVar[bool] = False
    """Whether trajectories must carry the noise sample: nothing that only reads activity needs it."""

    name: str
    preset: str = "default"
    reference: Literal["two", "mean", "silent", "antithetic", "running"] = Field(
        default="two",
        description="two: both passes of a pair noisy; mean: K+1 noisy passes, each against their mean; "
        "silent: K noisy passes against a noise-free one, which only a simulation has; antithetic: pairs with the same "
        "noise and opposite sign, where noise is added on purpose; running: one noisy pass against running averages of "
        "those of earlier updates, where every batch has the same sequences",
    )
    average: float = Field(
        default=0.5, gt=0, le=1, description="reference running: weight of the newest pass in the averages"
    )
    K: int = Field(default=1, ge=1, le=4096, description="replicas: pairs (two) or noisy passes besides the reference")
    credit: Literal["sample", "batch"] = Field(
        default="sample",
        description="sample: each sequence its own loss, and norm of anp; batch: one loss, Frobenius norm over B",
    )
    loss: Literal["step", "trial"] = Field(
        default="step",
        description="step: the loss of every step is known; trial: only the sum over the whole presentation, "
        "so that every step gets the same credit and gamma has no effect",
    )
    gamma: float = Field(
        default=1.0, ge=0, le=1, description="discount of later losses a step; 0: the step's own loss only"
    )
    control_variate: Literal["none", "batch"] = Field(
        default="none", description="batch: subtract the other samples' mean credit"
    )

    readout: ReadoutName = Field(default="perturb", description=READOUTS)
    errors: ErrorsName = Field(default="told", description=ERRORS)
    forget: float = Field(default=FORGET, gt=0, le=1, description=FORGETS)
    ridge: float = Field(default=RIDGE, gt=0, le=1, description=RIDGES)
    decorrelation: Decorrelation | None = Field(
        default=None, description="lr, trailing: a digital matrix decorrelates each layer's activity; unset: none"
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, options: Any) -> Any:
        if isinstance(options, Mapping):
            usual = of_preset(cls.presets, options, "default")
            return {**usual, **{key: _within(usual.get(key), value) for key, value in options.items()}}
        return options

    @model_validator(mode="after")
    def _check_combination(self) -> PassRule:
        if self.control_variate == "batch" and self.credit == "batch":
            raise ValueError("control_variate 'batch' needs credit 'sample': one loss for the batch leaves no others")
        if self.hears_errors and self.errors == "inferred" and self.loss == "trial":
            raise ValueError(
                "errors 'inferred' needs loss 'step': a sum over all steps tells no error of one; or preset 'default'"
            )
        return self

    @model_validator(mode="after")
    def _check_readout(self) -> PassRule:
        usual = {"errors": "told", "forget": FORGET, "ridge": RIDGE, **self.presets.get(self.preset, {})}
        check_unused(self.readout, {"errors": self.errors, "forget": self.forget, "ridge": self.ridge}, usual)
        return self

    @model_validator(mode="after")
    def _check_running(self) -> PassRule:
        if self.reference == "running" and self.K > 1:
            raise ValueError("K: reference 'running' takes one pass an update; leave K at 1, or use reference 'mean'")
        if self.reference == "running" and self.hears_errors:
            raise ValueError(
                "readout: with reference 'running' outputs learn by 'perturb' alone, as in preset 'default'"
            )
        return self

    @model_serializer(mode="wrap")
    def _without_later(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out options at their default that older runs did not have, and those of another readout.

        Where a preset says another word than the default, the default is somebody's choice, and stays.
        """
        plain, fields, preset = handler(self), type(self).model_fields, self.presets.get(self.preset, {})
        held = ("weights_forget",) if plain.get("weights", "held") == "held" else ()
        return {
            k: v
            for k, v in plain.items()
            if k not in (*UNUSED[self.readout], *held)
            and (k not in LATER or v != fields[k].default or preset.get(k, v) != v)
        }

    @property
    def hears_errors(self) -> bool:
        """Whether output units learn by their signed errors."""
        return self.readout != "perturb"

    @property
    def feedback(self) -> str:
        """S: a scalar loss for all; S+: the outputs are told their own signed errors."""
        return "S+" if self.hears_errors and self.errors == "told" else "S"

    @property
    def needs(self) -> tuple[str, ...]:
        """What hardware must provide; passes follow one another on one array, and units remember those before."""
        loss = requirements.SCALAR_LOSS if self.loss == "step" else requirements.TRIAL_LOSS
        told = (requirements.SIGNED_ERROR,) if self.feedback == "S+" else ()
        host = (requirements.LEAST_SQUARES,) if self.readout == "rls" else ()
        trace = () if self.instantaneous else (requirements.TRACE,)
        matrix = () if self.decorrelation is None else (requirements.DECORRELATION,)
        return (loss, *told, *OF_REFERENCE.get(self.reference, ()), *trace, *matrix, *host)

    @property
    def instantaneous(self) -> bool:
        """Whether the credit of a step needs no other step's loss: then any stretch of time has its own update."""
        return self.gamma == 0 and self.loss == "step"

    @property
    def keep(self) -> str:
        """What trajectories must carry; see `neuroanp.backends.protocol.Request`."""
        return "noise" if self.needs_noise else "all"

    def remembers(self, network: Network) -> tuple[str, ...]:
        """Return what of earlier passes `compare` looks at beside the noise: fields of a layer's activity, and "y".

        Args: network: that learns; here all are alike.
        """
        return ("h", "x", "y")

    def check(self, spiking: bool) -> None:
        """Raise InputError where the options do not go with networks whose units do (`spiking`), or do not, spike."""
        if spiking and self.decorrelation is not None:
            raise InputError(SPIKES_DECORRELATED)

    def discount(self, dt: float) -> float:
        """Return gamma, the discount of later losses a step of dt seconds: the same whatever dt is."""
        return self.gamma

    def plan(self) -> PassPlan:
        """Say which passes one update takes: two and antithetic 2K, mean K+1, silent K+1 (the first one noise-free).

        Of running averages it is one; what it is compared with comes after it, and is remembered.
        """
        K = self.K
        if self.reference == "running":
            return PassPlan((1.0,), (0,), ((0, 1),), pre=0, remembered=1)
        if self.reference == "antithetic":
            signs, streams = (1.0, -1.0) * K, tuple(k for k in range(K) for _ in range(2))
            return PassPlan(signs, streams, tuple((2 * k, 2 * k + 1) for k in range(K)))
        if self.reference == "two":
            return PassPlan((1.0,) * 2 * K, tuple(range(2 * K)), tuple((2 * k, 2 * k + 1) for k in range(K)))
        if self.reference == "mean":
            return PassPlan((1.0,) * (K + 1), tuple(range(K + 1)), "mean")
        return PassPlan((0.0, *(1.0,) * K), tuple(range(K + 1)), tuple((k, 0) for k in range(1, K + 1)), pre=0)

    def assign(self, losses: Tensor, plan: PassPlan, dt: float) -> Credit:
        """Turn losses into credit: dL for the outputs, its return-to-go for the hidden units.

        Where only the loss of the trial is known, both get sum_t dL_t at every step.

        Args:
            losses: (T, M, B) of a whole sequence (of any stretch where `instantaneous`).
            plan: the passes.
            dt: seconds a step.

        Returns: credit, (T, R, B) each.
        """
        dL = differences(losses, plan)
        if self.credit == "batch":
            dL = dL.mean(-1, keepdim=True).expand_as(dL)
        if self.control_variate == "batch":
            dL = subtract_others(dL)
        if self.loss == "trial":
            total = dL.sum(0, keepdim=True).expand_as(dL)
            return Credit(hidden=total, output=total)
        return Credit(hidden=return_to_go(dL, self.discount(dt)), output=dL)

    def modulate(self, compared: Compared, credit: Credit, network: Network) -> Factors:
        """Return the postsynaptic factor of each array, e = sum_r c_r gain_r d_r of the pre-activations it reaches.

        With the credit of the layers, and at the outputs with theirs.

        Args: compared: what `compare` kept. credit: of its steps. network: says which lines an array reaches.

        Returns: (T, B, lines) by array, each computed when it is first looked at.
        """
        return Factors(compared, credit, network)

    def init(self, weights: Weights) -> dict[str, Tensor]:
        """Return zero sums of outer products, of the shapes of the weights."""
        return {name: torch.zeros_like(W) for name, W in weights.items()}

    def finish(self, state: dict[str, Tensor], plan: PassPlan, batch: int) -> WeightUpdate:
        """Divide the sums by B R, and return them as the update.

        Args: state: sums by array, of the weights' shapes (post, pre). plan: the passes. batch: B.
        """
        return WeightUpdate({name: total / (batch * plan.differences) for name, total in state.items()})


def _within(usual: Any, stated: Any) -> Any:
    """Return what is stated; of a section what its preset has besides, too.

    >>> _within({"lr": 1.0}, {"inputs": False}), _within({"lr": 1.0}, None), _within(None, 3)
    ({'lr': 1.0, 'inputs': False}, None, 3)
    """
    return {**usual, **stated} if isinstance(usual, Mapping) and isinstance(stated, Mapping) else stated


class Factors(Mapping[str, "Tensor"]):
    """Postsynaptic factors of a chunk by array; those of a group of units are computed when one is asked for.

    An array that does not learn costs nothing so.

    Args:
        compared, credit, network: as in `PassRule.modulate`.
    """

    def __init__(self, compared: Compared, credit: Credit, network: Network) -> None:
        self.compared: Compared = compared
        self.credit: Credit = credit
        self.network: Network = network
        self._projections = {p.name: p for p in network.projections}
        self._of_group: dict[str, Tensor] = {}

    def __getitem__(self, name: str) -> Tensor:
        p = self._projections[name]
        if p.post not in self._of_group:
            credit = self.credit.output if p.post == OUTPUT else self.credit.hidden
            self._of_group[p.post] = weighted_sum(credit * self.compared.gain[p.post], self.compared.d[p.post])
        return self._of_group[p.post][..., self.network.ports(p)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._projections)

    def __len__(self) -> int:
        return len(self._projections)
