"""The spiking neuron: its parameters, and the coefficients of one exact step.

    tau_m dv/dt = -v + I + I_ext  (held while refractory)     tau_s dI/dt = -I     tau_r dz/dt = -z
    v > threshold: spike; v is reset; z <- z + 1; I_post <- I_post + W

Potentials and currents are in units of the threshold. With I_ext constant over a step of dt,

    v <- a_m v + k_I I + (1 - a_m) I_ext,   I <- a_s I,   z <- a_r z,   a_x = exp(-dt / tau_x)
    k_I = tau_s / (tau_s - tau_m) (a_s - a_m)   ->   (dt / tau) a  where tau_m = tau_s = tau

With tau_s = 0 there is no synaptic filter: a spike is a current of one step, a_s = 0 and k_I = 1 - a_m.
Without a leak (IF units) tau_m dv/dt = I + I_ext: a_m = 1, I_ext counts dt / tau_m, and k_I = tau_s / tau_m (1 - a_s).
Currents that arrive before the membrane moves are in I already: I <- I + arriving, then the step.

A spike resets the membrane. With m_t = a_m v_{t-1} + ... what the step moves it to (v_{t-1} where it is held), s_t the
spike and v_t what is left,

    hard               s_t = m_t > threshold,                                         v_t = (1 - s_t) m_t
    subtract           s_t = m_t > threshold,                                         v_t = m_t - s_t threshold
    hard_delayed       v_t = (1 - s_{t-1}) m_t,                                       s_t = v_t > threshold
    subtract_delayed   v_t = m_t - s_{t-1} threshold,                                 s_t = v_t > threshold
    subtract_raised    s_t = m_t > threshold (1 + [v_{t-1} > threshold]),             v_t = m_t - s_t threshold

A delayed reset acts with the next step's update, on a held membrane too; a hard one takes what came in that step along.
With a refractory period of two steps or more, spikes are those of the reset without delay; hard_delayed without such a
period spikes as hard does with one of two steps. `subtract_raised` asks twice the threshold of a membrane that the last
reset left above it. Of snntorch's resets "subtract", the default, is subtract_delayed, and "zero" hard_delayed (hard in
Leaky, which clears the membrane before the input); with reset_delay=False they are subtract_raised and hard, but in the
RSynaptic of version 1.0, which delays all the same.

Source of the exact step: Rotter and Diesmann, Biol. Cybern. 81, 381 (1999). Of the delayed and the raised resets:
snntorch 1.0.0, github.com/jeshraghian/snntorch, `forward` in snntorch/_neurons/rleaky.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from pydantic import Field, model_serializer

from neuroanp.registry import Registry
from neuroanp.units import Number, Positive, PositiveTime, Time, format_quantity
from neuroanp.yaml_io import Section

if TYPE_CHECKING:
    from torch import Tensor


Reset = Literal["hard", "subtract", "hard_delayed", "subtract_delayed", "subtract_raised"]
"""What a spike does to the membrane; the equations are in the head of this module."""


class NeuronModel(Section):
    """What every spiking neuron has: the gains of its inputs, and what is read from its spikes.

    >>> unit = NeuronModel(tau_r="20 ms")
    >>> unit.check(1e-3)
    >>> [round(decay, 4) for decay in unit.decays(1e-3)], unit.membrane_decay(1e-3), unit.rest_s()  # exp(-1 ms / 20 ms)
    ([0.9512, 0.9512], None, 0.0)
    """

    ports: ClassVar[tuple[str, ...]] = ("h",)
    feed: ClassVar[tuple[str, ...]] = ("h",)
    recurrent: ClassVar[tuple[str, ...]] = ("h",)
    spikes: ClassVar[bool] = True
    trace_is_readout: ClassVar[bool] = False
    """Whether the activity z of the units is the trace that outputs read."""

    input_gain: Positive = Field(default=12.0, description="current that an input of 1 over a weight of 1 is")
    synapse_gain: Positive = Field(default=3.0, description="current that one spike over a weight of 1 adds")
    drive: Number = Field(default=0.6, description="constant current into every unit, in thresholds")
    tau_r: PositiveTime = Field(default=20e-3, description="time constant of the trace that outputs read")
    decoder: Literal["trace", "count"] = Field(
        default="trace", description="outputs read the filtered spikes, or count all spikes since the start"
    )

    def check(self, dt: float) -> None:
        """Raise ValueError where a step of dt seconds is too long for the neuron."""
        longer_than_a_step({"tau_r": self.tau_r}, dt)

    def decays(self, dt: float) -> tuple[float, float]:
        """Return the factors of a step of dt seconds: of the trace that outputs read, of what an input spike leaves.

        The latter is that of a trace where nothing says it.
        """
        decay = exp(-dt / self.tau_r)
        return decay, decay

    def membrane_decay(self, dt: float) -> float | None:
        """Return the factor a by which a membrane forgets in a step of dt seconds; None where nothing says it."""
        return None

    def rest_s(self) -> float:
        """Return the seconds from one spike to the earliest next one; 0 where nothing says it."""
        return 0.0


class LIF(NeuronModel):
    """Leaky integrate-and-fire with exponential synapses.

        tau_m dv/dt = -v + I + I_ext   tau_s dI/dt = -I   tau_r dz/dt = -z
        v > threshold: a spike; v is reset, z <- z + 1, and where it arrives I <- I + W

    Potentials and currents are in units of the threshold, v stands still for the refractory period, and outputs and
    rules read z.

    >>> LIF().check(1e-3)
    >>> LIF(tau_s=1e-3).check(1e-3)
    Traceback (most recent call last):
    ...
    ValueError: tau_s: '1 ms' must be longer than one step, dt '1 ms'; use a shorter dt or a longer tau_s
    """

    trace_is_readout: ClassVar[bool] = True

    name: Literal["lif"] = "lif"
    tau_m: PositiveTime = Field(default=20e-3, description="time constant of the membrane")
    tau_s: Time = Field(
        default=5e-3, description="time constant of the synaptic current; 0: a spike is a current of one step"
    )
    refractory: Time = Field(default=2e-3, description="time from one spike to the earliest next one")
    reset: Reset = Field(
        default="hard",
        description="after a spike the membrane is at 0, or lower by the threshold; delayed: not before the next step, "
        "which tells where refractory is under two steps; raised: where it is still above, the next spike takes twice "
        "the threshold",
    )
    integration: Literal["exact", "euler"] = Field(default="exact", description="of the linear equations over a step")
    leak: bool = Field(
        default=True,
        description="whether the membrane forgets; false: it adds up what comes, a current of 1 raises it by a "
        "threshold in tau_m",
    )

    @model_serializer(mode="wrap")
    def _as_ever(self, handler: Any) -> dict[str, Any]:
        """Leave out a leak that is there: units are written as they were before one could be without."""
        plain = handler(self)
        if self.leak:
            plain.pop("leak", None)
        return plain

    def check(self, dt: float) -> None:
        """Raise ValueError where a time constant of what decays is not longer than a step of dt seconds."""
        free = {*(("tau_s",) if not self.tau_s else ()), *(() if self.leak else ("tau_m",))}
        longer_than_a_step({name: tau for name, tau in _taus(self).items() if name not in free}, dt)
        if 0 < self.refractory < dt:
            longer_than_a_step({"refractory": self.refractory}, dt)

    def decays(self, dt: float) -> tuple[float, float]:
        """Return the factors a step of the trace that outputs read, and of the synaptic current.

        >>> LIF(tau_s=0.0, integration="euler").decays(1e-3)
        (0.95, 0.0)
        """
        euler, taus = self.integration == "euler", (self.tau_r, self.tau_s)
        trace, synapse = (0.0 if not tau else 1 - dt / tau if euler else exp(-dt / tau) for tau in taus)
        return trace, synapse

    def membrane_decay(self, dt: float) -> float:
        """Return the factor a_m of one step.

        >>> round(LIF().membrane_decay(1e-3), 4), LIF(integration="euler").membrane_decay(1e-3)
        (0.9512, 0.95)
        >>> LIF(leak=False).membrane_decay(1e-3)
        1.0
        """
        if not self.leak:
            return 1.0
        return 1.0 - dt / self.tau_m if self.integration == "euler" else exp(-dt / self.tau_m)

    def rest_s(self) -> float:
        """Return the refractory period."""
        return self.refractory

    def refractory_steps(self, dt: float) -> int:
        """Return the refractory period in steps, rounded.

        >>> LIF().refractory_steps(1e-3)
        2
        """
        return round(self.refractory / dt)


def longer_than_a_step(taus: Mapping[str, float], dt: float) -> None:
    """Raise ValueError for the first time constant, by name in seconds, that is no longer than dt."""
    for name, tau in taus.items():
        if tau <= dt:
            shown = [format_quantity(value, "s") for value in (tau, dt)]
            raise ValueError(
                f"{name}: '{shown[0]}' must be longer than one step, dt '{shown[1]}'; "
                f"use a shorter dt or a longer {name}"
            )


class Coefficients(NamedTuple):
    """One step of the neurons of a network, each (N,): v <- a_m v + k_I I + k_e I_ext, I <- a_s I, z <- a_r z.

    Args:
        a_m, k_i, k_e, a_s, a_r: of each unit.
        threshold: of each unit, 1 without mismatch.
        hold: refractory period in steps.
        subtract: whether a spike lowers v by the threshold, instead of setting it to 0.
        delayed: whether it does so with the next step's update.
        raised: whether the next spike takes twice the threshold where the last reset left v above it.
    """

    a_m: Tensor
    k_i: Tensor
    k_e: Tensor
    a_s: Tensor
    a_r: Tensor
    threshold: Tensor
    hold: int
    subtract: bool
    delayed: bool
    raised: bool


def coefficients(neuron: LIF, dt: float, like: Tensor, mismatch: Mapping[str, Tensor] | None = None) -> Coefficients:
    """Return the coefficients of one step.

    Args:
        neuron: its parameters. dt: seconds a step.
        like: (N,) gives the number of units, dtype and device.
        mismatch: how units differ, relative factors (N,) of "threshold", "tau_m" and "tau_s"; what is missing is 1.

    >>> import torch
    >>> one = torch.ones(1, dtype=torch.float64)
    >>> equal = coefficients(LIF(tau_m=5e-3), 1e-3, one)  # tau_m = tau_s: k_I = dt / tau exp(-dt / tau)
    >>> near = coefficients(LIF(tau_m=5e-3 + 1e-12), 1e-3, one)
    >>> round(float(equal.k_i), 9), round(float(near.k_i), 9)
    (0.163746151, 0.163746151)
    >>> perfect = coefficients(LIF(tau_m=5e-3, tau_s=0.0, leak=False), 1e-3, one)
    >>> float(perfect.a_m), float(perfect.k_e)
    (1.0, 0.2)
    """
    import torch

    one = torch.ones_like(like, dtype=torch.float64)
    factor = {name: one * f.to(one) for name, f in (mismatch or {}).items()}
    m, s, r = (dt / (tau * factor.get(name, one)) if tau else one for name, tau in _taus(neuron).items())
    if neuron.integration == "euler":
        _stable(*((m, s) if neuron.leak else (s,)))
        a_m, a_s, a_r, k_i, k_e = 1 - m if neuron.leak else one, 1 - s, 1 - r, m, m
    elif not neuron.leak:
        a_m, a_s, a_r, k_i, k_e = one, torch.exp(-s), torch.exp(-r), m * -torch.expm1(-s) / s, m
    else:
        a_m, a_s, a_r = torch.exp(-m), torch.exp(-s), torch.exp(-r)
        d = m - s  # (a_s - a_m) tau_s / (tau_s - tau_m) without the difference of what may be equal
        k_i = a_m * m * torch.where(d == 0, one, torch.expm1(d) / torch.where(d == 0, one, d))
        k_e = -torch.expm1(-m)
    if not neuron.tau_s:
        a_s, k_i = torch.zeros_like(one), k_e
    parts = [part.to(like) for part in (a_m, k_i, k_e, a_s, a_r, factor.get("threshold", one))]
    a_m, k_i, k_e, a_s, a_r, threshold = parts
    return Coefficients(
        a_m, k_i, k_e, a_s, a_r, threshold, hold=neuron.refractory_steps(dt),
        subtract=neuron.reset.startswith("subtract"), delayed=neuron.reset.endswith("delayed"),
        raised=neuron.reset == "subtract_raised",
    )  # fmt: skip


def _stable(*steps: Tensor) -> None:
    """Refuse Euler steps that overshoot: where units differ, some time constants are shorter than the neuron's."""
    shortest = min(1.0 / float(step.max()) for step in steps if step.numel())
    if shortest < 1.0:
        raise ValueError(
            f"integration: units differ, and of one a time constant is {shortest:.2g} of a step: Euler steps "
            "overshoot; use integration: exact, or a shorter dt"
        )


def _taus(neuron: LIF) -> dict[str, float]:
    return {"tau_m": neuron.tau_m, "tau_s": neuron.tau_s, "tau_r": neuron.tau_r}


NEURONS: Registry[type[NeuronModel]] = Registry("neuron", "neuroanp.neurons", NeuronModel)
