"""A bank of junctions that are not alike: each has a balance, a barrier, a resistance and a ratio of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from neuroanp.devices import telegraph
from neuroanp.devices.junction_physics import Physics
from neuroanp.errors import InputError


class Spread(NamedTuple):
    """How junctions differ: sd of V50 in volts; sd over mean of Delta, R_P and TMR.

        V50 + v50_sd xi,  Delta f(delta_cv),  R_P f(r_cv),  TMR f(tmr_cv),  f(c) = e^{s xi - s^2/2},  s^2 = ln(1 + c^2)

    The factors f are lognormal, of mean 1 and sd c: no barrier and no resistance falls below 0. V_c is common to all.

    >>> plain = Physics(tau0=1e-9, v50=0.1, barrier=4.0, critical_voltage=0.2, exponent=1, ambient=300.0, heating=0.0,
    ...                 bias=0.1, r_p=1e4, tmr=1.0, v_half=None, r_load=1e4, v_dd=0.2)
    >>> Spread(v50_sd=0.01, r_cv=0.1).applied(plain, torch.zeros(4, 2, dtype=torch.float64)).v50.tolist()
    [0.1, 0.1]
    """

    v50_sd: float = 0.0
    delta_cv: float = 0.0
    r_cv: float = 0.0
    tmr_cv: float = 0.0

    def applied(self, law: Physics, xi: Tensor) -> Physics:
        """Return the physics of junctions with standard normals xi (4, ...): one row each, in the order above."""
        barrier, r_p, tmr = (
            mean * torch.exp(math.sqrt(s2) * x - 0.5 * s2)
            for mean, s2, x in zip(
                (law.barrier, law.r_p, law.tmr),
                (math.log1p(cv * cv) for cv in (self.delta_cv, self.r_cv, self.tmr_cv)),
                xi[1:],
                strict=True,
            )
        )
        return law.with_junctions(v50=law.v50 + self.v50_sd * xi[0], barrier=barrier, r_p=r_p, tmr=tmr)


@dataclass(frozen=True)
class JunctionBank:
    """The junctions of a group of units, each with its own numbers, drawn once; a source of node noise.

        n_h = sum over the unit's junctions j of -kappa D_j (s_j - p_j)/V_u,  s_j = 1 in AP
        p_j = sigmoid(2 m Delta_j (V - V50_j)/V_c),  sigma_h^2 = sum_j (kappa D_j/V_u)^2 p_j (1 - p_j)

    Every junction is centred about its own mean, as a coupling by a capacitor does.

    Args:
        p, tau_c, scale: P(AP), correlation time in seconds and noise for AP over P, each (n_sources, 1, units).
        static_power: watts of the divider of one junction, on average over the bank; None: not known.
        energy_per_bit: joules a sample of one junction, or None.

    >>> from neuroanp.profiles import loads
    >>> law = loads('''
    ... extends: smtj_telegraph
    ... meta: {name: uneven, summary: uneven, source: an example, status: illustrative}
    ... stochastic: {law: smtj, v50_sd: 10 mV, r_cv: 0.05}
    ... ''').stochastic
    >>> bank = law.bank(np.random.default_rng(0), 1000, torch.empty(0))
    >>> tuple(bank.sigmas.shape), round(float(bank.sigmas.std() / bank.sigmas.mean()), 2)
    ((1000,), 0.04)
    """

    p: Tensor
    tau_c: Tensor
    scale: Tensor
    static_power: float | None
    energy_per_bit: float | None
    samples_are_steps: ClassVar[bool] = False
    at_temperature: ClassVar[None] = None
    bank: ClassVar[None] = None
    fill: ClassVar[None] = None

    @classmethod
    def drawn(
        cls, physics: Physics, spread: Spread, gain: float, shape: tuple[int, int], rng: np.random.Generator,
        like: Tensor, energy_per_bit: float | None = None,
    ) -> JunctionBank:  # fmt: skip
        """Draw the junctions of some units; the same numbers whichever of the spreads are 0.

        Args:
            physics: the junction at the mean. spread: how they differ.
            gain: kappa / V_u, noise a volt of the divider. shape: (n_sources, units).
            rng: device-to-device draws. like: gives dtype and device. energy_per_bit: see the class.

        Raises: InputError where one that was drawn has no barrier left, or never switches.
        """
        sources, units = shape
        xi = torch.from_numpy(rng.standard_normal((4, sources, 1, units)))
        each = spread.applied(physics, xi)
        try:
            p, tau_c, power = each.occupancy(), each.correlation_time(), each.static_power
        except ValueError as error:
            raise InputError(
                f"stochastic: of the {sources * units} junctions that were drawn for {units} units one cannot "
                f"be: {error}; or let them differ less (v50_sd, delta_cv, r_cv, tmr_cv)"
            ) from None
        scale = -gain * each.swing
        # a spread of 0 in what p or the swing depends on leaves a number for all
        p, tau_c, scale = (x.expand(xi.shape[1:]).contiguous().to(like) for x in (p, tau_c, scale))
        return cls(p, tau_c, scale, float(power.mean()), energy_per_bit)

    @property
    def n_sources(self) -> int:
        """Junctions summed per unit."""
        return len(self.p)

    @property
    def _variances(self) -> Tensor:
        return (self.scale.double() ** 2 * self.p.double() * (1.0 - self.p.double())).squeeze(1)

    @property
    def sigmas(self) -> Tensor:
        """Standard deviation of the noise on each unit's pre-activation, (units,), dimensionless."""
        return self._variances.sum(0).sqrt()

    @property
    def node_sigma(self) -> float:
        """Root of the mean variance of all units, dimensionless."""
        return float(self._variances.sum(0).mean().sqrt())

    def autocorrelation(self, lag_s: float) -> float:
        """Return the correlation with itself lag_s seconds away, of all units: covariances over variances."""
        kept = torch.exp(-abs(lag_s) / self.tau_c.double().squeeze(1))
        total = float(self._variances.sum())
        return float((self._variances * kept).sum()) / total if total else 0.0

    def uniforms(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the uniforms one step takes."""
        return (self.n_sources, *shape)

    def normals(self, shape: tuple[int, ...]) -> None:
        """Return None: no normals are needed."""

    def start(self, u: Tensor, xi: Tensor | None = None) -> Tensor:
        """Return stationary states (bool, True is AP) for uniforms u (n_sources, B, units)."""
        return telegraph.start(u, self.p.to(u))

    def run(self, state: Tensor, u: Tensor, xi: Tensor | None, dt: float) -> tuple[Tensor, Tensor]:
        """Return the noise of T steps, (T, B, units) dimensionless, and the states after them; exact for any dt.

        Args:
            state: bool, (n_sources, B, units).
            u: uniforms, (T, n_sources, B, units).
            xi: not used.
            dt: seconds a step, 0 or more.
        """
        p, scale = self.p.to(u), self.scale.to(u)
        if u.device.type != "cpu":
            states = telegraph.run(state, u, p, self.tau_c, dt)
            return ((states.to(u.dtype) - p) * scale).sum(1), states[-1].clone()
        from neuroanp.kernels import telegraph_loops

        of_state = telegraph.transition(p, self.tau_c.to(u), dt)
        low, high = (x.to(u).squeeze(1).contiguous().numpy() for x in of_state)
        s = state.to(u.dtype, copy=True, memory_format=torch.contiguous_format)
        out = u.new_empty((len(u), *u.shape[2:]))
        mean, factor = (x.squeeze(1).contiguous().numpy() for x in (p, scale))
        telegraph_loops.bank(s.numpy(), u.contiguous().numpy(), low, high, mean, factor, out.numpy())
        return out, s > 0
