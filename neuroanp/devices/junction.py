"""A stochastic magnetic tunnel junction from its physics: barrier, bias, temperature and read-out.

State P (parallel, low resistance) is 0, state AP (antiparallel, high resistance) is 1.

Source: Brown, Thermal fluctuations of a single-domain particle, Phys. Rev. 130, 1677 (1963); Li and
Zhang, Thermally assisted magnetization reversal in the presence of a spin-transfer torque, Phys. Rev. B
69, 134416 (2004), for the bias; the closed forms of a telegraph signal are in devices.telegraph.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import model_validator
from torch import Tensor

from neuroanp.devices import telegraph
from neuroanp.devices.junction_bank import JunctionBank, Spread
from neuroanp.devices.junction_physics import HIGHEST_BARRIER, Physics, States
from neuroanp.profiles.arrhenius import BOLTZMANN
from neuroanp.profiles.laws import Law, Sources
from neuroanp.units import (
    Energy,
    Fraction,
    Number,
    Positive,
    PositiveResistance,
    PositiveTime,
    PositiveVoltage,
    RmsVoltage,
    Temperature,
    ThermalResistance,
    Voltage,
    format_quantity,
)
from neuroanp.yaml_io import at

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from neuroanp.devices.protocol import Place, SourceBank

HIGH_BARRIER = 10.0
"""Delta from which on Brown's limit of high barriers is within some 10 % of his equation."""
FARTHEST = 6.0
"""Standard deviations of V50 within which every junction of a bank must have a barrier: 2e-9 of them lie beyond."""


class Junction(Law):
    """Switch between two states over a barrier that bias lowers for one and raises for the other.

        tau_P = tau0 e^{Delta (1-u)^m},  tau_AP = tau0 e^{Delta (1+u)^m},  u = (V - V50)/V_c, |u| < 1
        p = P(AP) = sigmoid(2 m Delta u),  2 p - 1 = tanh(m Delta u),  1/tau_c = 1/tau_P + 1/tau_AP
        Delta = E_b/(k_B T),  T = T_amb + R_th V^2/R,  R_AP = R_P (1 + TMR/(1 + V^2/V_h^2))
        V_out = V_DD R_L/(R_L + R),  n_h = kappa (V_out - E V_out)/V_u,  D = V_out(P) - V_out(AP)
        sigma_h = kappa D sqrt(n_sources p (1-p))/V_u

    The barrier is given by `delta` or by what is measured, `dwell` = tau0 e^Delta; the effect of bias by
    `v_c` or by `v_slope` = V_c/(2 m Delta), over which the odds AP : P grow e-fold. tau0 itself is
    disputed (1 ns or femtoseconds, arXiv 2402.03452): with `dwell` and `v_slope` it matters only away
    from the reference temperature, and for m = 2.

    Range: e^Delta with a constant tau0 is what is left of Brown's equation for high barriers. His limit, with its
    prefactor, is 21 % short of the dwell that the equation itself gives a uniaxial particle at Delta 4, 11 % at 10
    and 5 % at 20. A measured `dwell` has no such error where it was measured; at another temperature, or where the
    bias takes most of the barrier, it is extrapolated.

    Back-action: with `bias` left out each state sees the voltage that the divider gives it, V_DD - V_out.
    With a `bias` both states see that voltage, and the temperature of their mean conductance; the divider that reads
    them is another one then, and R_AP in it is that at the voltage it leaves to the junction.

    Args:
        dwell: mean dwell time in either state at balance, seconds, or None.
        delta: Delta at the reference temperature, or None.
        tau0: attempt time, seconds.
        v_slope: volts, or None.
        v_c: critical voltage, volts, or None.
        v50: voltage of balance, at which both states are equally likely, volts.
        exponent: m.
        reference_temperature: at which dwell, delta and v_slope hold, kelvin: the surroundings of the
            junction unless `at_temperature` says otherwise.
        thermal_resistance: R_th of self-heating, K/W, or None: no self-heating.
        bias: over the junction, volts, or None: back-action.
        r_p: R_P, ohm.
        tmr: (R_AP - R_P)/R_P at low voltage, a fraction.
        v_half: V_h, over which the tunnel magnetoresistance falls to a half (Zhang et al., IEEE Trans. Electron Devices
            59, 819, 2012), volts, or None: it does not depend on the voltage.
        r_load: R_L of the divider, ohm.
        v_dd: its supply, volts.
        kappa: gain from source to unit.
        volts_per_unit: V_u, volts that stand for a pre-activation of 1.
        n_sources: junctions summed per unit.
        energy_per_bit: joules a sample of one junction, besides the power of its divider.
        v50_sd: how V50 differs from junction to junction, standard deviation in volts, or None: not at all.
        delta_cv, r_cv, tmr_cv: the same of Delta, R_P and TMR: sd over mean, a fraction (see devices.junction_bank).

    >>> law = Junction(dwell="10 ns", tau0="1 ns", v_slope="20 mV", v50="0.3 V", exponent=1, bias="0.3 V",
    ...                reference_temperature="300 K", r_p="7.64 kohm", tmr=0.6, r_load="10 kohm", v_dd="0.6 V",
    ...                kappa=1.0, volts_per_unit="1 V", n_sources=1)
    >>> law.occupancy(), round(1e9 * law.correlation_time(), 3), round(law.swing, 4), round(law.node_sigma, 4)
    (0.5, 5.0, 0.0702, 0.0351)
    >>> [round(tau, 11) for tau in law.dwells()], [round(r) for r in law.resistances], round(law.barrier, 4)  # ln 10
    ([1e-08, 1e-08], [7640, 12224], 2.3026)
    >>> round(law.critical_voltage, 4), round(1e21 * law.barrier_energy, 3), round(1e6 * law.static_power, 2)
    (0.0921, 9.537, 18.3)
    >>> [round(v, 2) for v in law.voltages()], [*law.temperatures()], law.extrapolated(400.0)[:42], law.physics.tau0
    ([0.3, 0.3], [300.0, 300.0], 'the dwell times of its junctions at 400 K ', 1e-09)
    >>> round(law.autocorrelation(5e-9), 4), law.bank, law.uniforms((3,)), law.normals((3,))  # e^-1
    (0.3679, None, (1, 3), None)
    >>> round(law.neuron_variance(0.3, 10, 1.0), 4)  # p (1 - p) / 10 of reads far apart
    0.025
    >>> import torch
    >>> state = law.start(torch.tensor([[0.1, 0.9]]))
    >>> noise, after = law.run(state, torch.full((2, 1, 2), 0.5), None, 1e-6)
    >>> state.tolist(), noise.shape
    ([[True, False]], torch.Size([2, 2]))
    >>> from neuroanp.devices.protocol import Place
    >>> from neuroanp.noise import PassStreams, Streams
    >>> streams = PassStreams(Streams(0), "train", 0)
    >>> place = Place(torch.zeros(400, 1, 1, 2), 0, streams.at("u", 0), streams.at("xi", 0))
    >>> after = law.fill(place, law.start(torch.zeros(1, 1, 2)), 1e-6)
    >>> abs(place.noise.std().item() / law.node_sigma - 1.0) < 0.01
    True
    >>> round(law.occupancy(0.32), 4), round(1e9 * law.at_temperature(400.0).correlation_time(), 3)
    (0.7311, 2.812)
    """

    samples_are_steps: ClassVar[bool] = False
    dwell: PositiveTime | None = None
    delta: Positive | None = None
    tau0: PositiveTime
    v_slope: PositiveVoltage | None = None
    v_c: PositiveVoltage | None = None
    v50: Voltage
    exponent: Literal[1, 2]
    reference_temperature: Temperature
    thermal_resistance: ThermalResistance | None = None
    bias: Voltage | None = None
    r_p: PositiveResistance
    tmr: Positive
    v_half: PositiveVoltage | None = None
    r_load: PositiveResistance
    v_dd: PositiveVoltage
    kappa: Number
    volts_per_unit: PositiveVoltage
    n_sources: Sources
    energy_per_bit: Energy | None = None
    v50_sd: RmsVoltage | None = None
    delta_cv: Fraction | None = None
    r_cv: Fraction | None = None
    tmr_cv: Fraction | None = None

    @model_validator(mode="after")
    def _possible(self) -> Junction:
        _one_of(dwell=self.dwell, delta=self.delta)
        _one_of(v_slope=self.v_slope, v_c=self.v_c)
        if self.dwell is not None and self.dwell <= self.tau0:
            shown = [format_quantity(tau, "s") for tau in (self.dwell, self.tau0)]
            raise at(("dwell",), f"'{shown[0]}' is not above tau0, '{shown[1]}': there would be no barrier")
        if self.barrier > HIGHEST_BARRIER:
            key = "delta" if self.dwell is None else "dwell"
            raise at(
                (key,), f"a barrier of {self.barrier:.0f} k_B T never lets go; write one up to {HIGHEST_BARRIER:g}"
            )
        try:
            self.dwells()
        except ValueError as error:
            raise at(("bias" if self.bias is not None else "v_dd",), str(error)) from None
        reach = FARTHEST * (self.v50_sd or 0.0)
        for offset in (-reach, reach) if reach else ():
            try:
                replace(self.physics, v50=self.v50 + offset).dwells()
            except ValueError as error:
                text = f"a junction {FARTHEST:g} standard deviations from the others cannot be: {error}"
                raise at(("v50_sd",), text) from None
        return self

    # ---- barrier, bias and temperature ----

    @property
    def barrier(self) -> float:
        """Delta at the reference temperature."""
        return math.log(self.dwell / self.tau0) if self.dwell is not None else float(self.delta or 0.0)

    @property
    def critical_voltage(self) -> float:
        """V_c, volts: at V50 +- V_c one of the barriers is gone."""
        return float(self.v_c or 2.0 * self.exponent * self.barrier * float(self.v_slope or 0.0))

    @property
    def barrier_energy(self) -> float:
        """E_b, joules."""
        return self.barrier * BOLTZMANN * self.reference_temperature

    def at_temperature(self, kelvin: float) -> Junction:
        """Return the junction in surroundings of another temperature: E_b and V_c stay, Delta = E_b/(k_B T).

        Args: kelvin: the temperature of the surroundings, kelvin.

        Raises: ValueError if it is not above 0 K, or so cold that the junction practically never switches.
        """
        if not (kelvin > 0 and math.isfinite(kelvin)):
            raise ValueError(f"{kelvin} K is not a temperature above 0 K")
        if kelvin == self.reference_temperature:
            return self
        same = {"dwell": None, "v_slope": None, "v_c": self.critical_voltage}
        delta = self.barrier_energy / (BOLTZMANN * kelvin)
        moved = self.model_copy(update={**same, "delta": delta, "reference_temperature": float(kelvin)})
        moved.dwells()
        return moved

    @property
    def physics(self) -> Physics:
        """The numbers of a junction at the mean of its bank, for the arithmetic."""
        return Physics(
            tau0=self.tau0, v50=self.v50, barrier=self.barrier, critical_voltage=self.critical_voltage,
            exponent=self.exponent, ambient=self.reference_temperature, heating=self.thermal_resistance or 0.0,
            bias=self.bias, r_p=self.r_p, tmr=self.tmr, v_half=self.v_half, r_load=self.r_load, v_dd=self.v_dd,
        )  # fmt: skip

    def extrapolated(self, kelvin: float) -> str | None:
        """Return what to say of dwell times extrapolated to so many kelvin over a barrier that is not high."""
        barrier = self.barrier * self.reference_temperature / kelvin
        if kelvin == self.reference_temperature or barrier >= HIGH_BARRIER:
            return None
        return (
            f"the dwell times of its junctions at {kelvin:g} K are extrapolated from {self.reference_temperature:g} K "
            f"over a barrier of {barrier:.2g} k_B T: the exponential is the limit of high barriers (Brown's is 21 % "
            f"short at 4 and 11 % at {HIGH_BARRIER:g})"
        )

    def voltages(self, v: Any = None) -> States:
        """Return the voltage over the junction in each state, volts.

        Args:
            v: the drive in place of the profile's: the bias, or the divider's supply where there is
                back-action; a number or a tensor.
        """
        return self.physics.voltages(v)

    def temperatures(self, v: Any = None) -> States:
        """Return the temperature of the junction in each state under a drive v, kelvin: T_amb + R_th V^2/R."""
        return self.physics.temperatures(v)

    def dwells(self, v: Any = None) -> States:
        """Return tau_P and tau_AP under a drive v (see `voltages`), seconds.

        Raises: ValueError where |u| >= 1, or where a dwell is too long for the arithmetic.
        """
        return self.physics.dwells(v)

    def occupancy(self, v: Any = None) -> Any:
        """Return p = P(AP) under a drive v (see `voltages`), a number or a tensor."""
        return self.physics.occupancy(v)

    def correlation_time(self, v: Any = None) -> Any:
        """Return tau_c under a drive v, seconds."""
        return self.physics.correlation_time(v)

    # ---- read-out ----

    def tmr_at(self, volts: Any) -> Any:
        """Return TMR/(1 + V^2/V_h^2) at so many volts over the junction, a number or a tensor.

        >>> law = Junction(dwell="10 ns", tau0="1 ns", v_slope="20 mV", v50="0.3 V", exponent=1, bias="0.3 V",
        ...                reference_temperature="300 K", r_p="7.64 kohm", tmr=0.6, v_half="0.5 V", r_load="10 kohm",
        ...                v_dd="0.6 V", kappa=1.0, volts_per_unit="1 V", n_sources=1)
        >>> law.tmr_at(0.0), law.tmr_at(0.5)
        (0.6, 0.3)
        """
        return self.physics.tmr_at(volts)

    @property
    def resistances(self) -> States:
        """R_P and R_AP in the divider, ohm."""
        return self.physics.resistances

    @property
    def static_power(self) -> float:
        """P = V_DD^2 ((1-p)/(R_L + R_P) + p/(R_L + R_AP)), watts that the divider of one junction burns on average.

        It does so all the time, sampled or not; `energy_per_bit` is what a sample takes besides.
        """
        return self.physics.static_power

    @property
    def swing(self) -> float:
        """D = V_out(P) - V_out(AP) of the divider, volts; largest at R_L = sqrt(R_P R_AP)."""
        return self.physics.swing

    # ---- role 1: noise of a unit ----

    @property
    def node_sigma(self) -> float:
        """Standard deviation of the noise on a pre-activation, dimensionless."""
        p = self.occupancy()
        return abs(self.kappa) * self.swing * math.sqrt(self.n_sources * p * (1.0 - p)) / self.volts_per_unit

    @property
    def bank(self) -> Callable[[np.random.Generator, int, Tensor], SourceBank] | None:
        """How the junctions of so many units are drawn, each as it is and stays; None: all are alike."""
        return self._bank if self.v50_sd or self.delta_cv or self.r_cv or self.tmr_cv else None

    def _bank(self, rng: np.random.Generator, units: int, like: Tensor) -> SourceBank:
        spread = Spread(self.v50_sd or 0.0, self.delta_cv or 0.0, self.r_cv or 0.0, self.tmr_cv or 0.0)
        return JunctionBank.drawn(  # pyright: ignore[reportReturnType]
            self.physics, spread, self.kappa / self.volts_per_unit, (self.n_sources, units), rng, like,
            self.energy_per_bit,
        )  # fmt: skip

    def autocorrelation(self, lag_s: float) -> float:
        """Return the correlation of the noise with itself lag_s seconds away: e^{-lag/tau_c}."""
        return math.exp(-abs(lag_s) / self.correlation_time())

    def uniforms(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the uniforms one step takes, for units of this shape."""
        return (self.n_sources, *shape)

    def normals(self, shape: tuple[int, ...]) -> None:
        """Return None, whatever the shape of the units: no normals are needed."""

    def start(self, u: Tensor, xi: Tensor | None = None) -> Tensor:
        """Return stationary states (bool, True is AP) for uniforms u (n_sources, *shape); xi is not used."""
        return telegraph.start(u, self.occupancy())

    def run(self, state: Tensor, u: Tensor, xi: Tensor | None, dt: float) -> tuple[Tensor, Tensor]:
        """Return the noise of T steps, (T, *shape) dimensionless, and the states after them; exact for any dt.

        Args:
            state: bool, (n_sources, *shape).
            u: uniforms, (T, n_sources, *shape).
            xi: as in `start`, not used.
            dt: seconds a step, 0 or more.
        """
        p = self.occupancy()
        high, after = telegraph.count(state, u, p, self.correlation_time(), dt)
        below = high.sub_(self.n_sources * p)  # AP is where V_out is low
        return below.mul_(-self.kappa * self.swing / self.volts_per_unit), after

    def fill(self, place: Place, state: Tensor, dt: float) -> Tensor:
        """Put the noise of T steps, drawn as they are made, at a place; return the states after them.

        Args: place: where it goes, and where its draws lie. state: bool, (n_sources, *shape). dt: seconds a step.
        """
        p = self.occupancy()
        transition = telegraph.transition(p, self.correlation_time(), dt)
        scale = -self.kappa * self.swing / self.volts_per_unit
        return telegraph.fill(place, state, transition, self.n_sources * p, scale)

    # ---- role 2: a stochastic neuron ----

    def neuron(self, v: Tensor, u: Tensor, spacing: float) -> Tensor:
        """Return the mean state of n reads under a drive v: E = p(v) = (1 + tanh(m Delta u)) / 2.

        Args:
            v: drive of each neuron (see `voltages`), any shape, volts.
            u: uniforms, (n, *shape): one for each read; the first read is of the stationary state.
            spacing: seconds from one read to the next, 0 or more.

        Returns: the fraction of the n reads that found AP, of the shape of v.

        >>> import torch
        >>> law = Junction(delta=5.0, tau0="1 ns", v_c="0.3 V", v50="0 V", exponent=1, bias="0 V", tmr=1.0,
        ...                reference_temperature="300 K", r_p="1 kohm", r_load="1 kohm", v_dd="0.1 V", kappa=1.0,
        ...                volts_per_unit="1 V", n_sources=1)
        >>> law.neuron(torch.tensor([-0.2, 0.2]), torch.full((4, 2), 0.5), 1e-6).tolist()
        [0.0, 1.0]
        """
        p, tau_c = self.occupancy(v), self.correlation_time(v)
        first = telegraph.start(u[0], p)
        later = telegraph.run(first, u[1:], p, tau_c, spacing)
        return (first.to(u.dtype) + later.to(u.dtype).sum(0)) / len(u)

    def neuron_variance(self, v: Any, n: int, spacing: float) -> Any:
        """Return the variance of `neuron`, in closed form (see telegraph.variance_of_mean).

        Args: v: drive, a number or a tensor, volts. n: reads. spacing: seconds from one read to the next.
        """
        return telegraph.variance_of_mean(self.occupancy(v), self.correlation_time(v), n, spacing)


def _one_of(**fields: float | None) -> None:
    """Raise at the first key unless exactly one of two is given."""
    (first, a), (second, b) = fields.items()
    if (a is None) == (b is None):
        what = "one of the two is needed" if a is None else "they say the same; drop one"
        raise at((first,), f"{first} and {second}: {what}")
