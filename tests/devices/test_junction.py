"""The junction's physics: barrier, bias, heating, back-action, read-out, and both of its roles."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from neuroanp.devices import telegraph
from neuroanp.devices.junction import Junction
from neuroanp.errors import InputError
from neuroanp.profiles import load, loads, profile_path
from neuroanp.profiles.arrhenius import BOLTZMANN
from tests.close import close

READOUT = {
    "r_p": 10e3, "tmr": 1.0, "r_load": 15e3, "v_dd": 0.5, "kappa": 1.0, "volts_per_unit": 1.0, "n_sources": 1,
}  # fmt: skip
PHYSICS = {"delta": 4.0, "tau0": 1e-9, "v_c": 0.2, "v50": 0.1, "exponent": 1, "reference_temperature": 300.0}


def junction(**changes):
    fields = {**READOUT, **PHYSICS, "bias": 0.13, **changes}
    return Junction(**{name: value for name, value in fields.items() if value is not None})


def uniforms(rng, *shape):
    return torch.from_numpy(rng.random(shape, dtype=np.float32))


# ---- barrier and bias ----


@pytest.mark.parametrize("exponent", [1, 2])
@pytest.mark.parametrize("v", [-0.05, 0.1, 0.13, 0.25])
def test_occupancy_is_a_sigmoid_of_the_bias(exponent, v):
    law, delta, u = junction(exponent=exponent), 4.0, (v - 0.1) / 0.2
    assert law.occupancy(v) == close(1 / (1 + math.exp(-2 * exponent * delta * u)), rel=1e-12)
    assert 2 * law.occupancy(v) - 1 == pytest.approx(math.tanh(exponent * delta * u), abs=1e-12)


@pytest.mark.parametrize("v", [0.0, 0.1, 0.2])
def test_dwells_and_correlation_time(v):
    u = (v - 0.1) / 0.2
    tau_p, tau_ap = junction().dwells(v)
    assert tau_p == close(1e-9 * math.exp(4 * (1 - u)), rel=1e-12)
    assert tau_ap == close(1e-9 * math.exp(4 * (1 + u)), rel=1e-12)
    assert junction().correlation_time(v) == close(1e-9 * math.exp(4) / (2 * math.cosh(4 * u)), rel=1e-12)
    tau_p, tau_ap = junction(exponent=2).dwells(v)
    assert tau_p == close(1e-9 * math.exp(4 * (1 - u) ** 2), rel=1e-12)
    assert 1 / junction(exponent=2).correlation_time(v) == close(1 / tau_p + 1 / tau_ap, rel=1e-12)


def test_correlation_time_at_balance_is_half_the_dwell():
    assert junction(bias=0.1).correlation_time() == close(0.5e-9 * math.exp(4), rel=1e-12)


@pytest.mark.parametrize("exponent", [1, 2])
def test_dwell_and_slope_are_the_same_law(exponent):
    physics = junction(exponent=exponent)
    measured = junction(
        exponent=exponent, delta=None, v_c=None, dwell=1e-9 * math.exp(4), v_slope=0.2 / (2 * exponent * 4)
    )
    assert measured.barrier == close(4.0, rel=1e-12)
    assert measured.critical_voltage == close(0.2, rel=1e-12)
    for v in (0.0, 0.13):
        assert measured.dwells(v) == close(physics.dwells(v), rel=1e-10)
    e_fold = measured.occupancy(0.1 + 0.2 / (8 * exponent))
    assert e_fold / (1 - e_fold) == close(math.e, rel=1e-12)


def test_attempt_time_matters_away_from_the_reference_temperature_only():
    slow, quick = (junction(delta=None, v_c=None, dwell=1e-8, v_slope=0.02, tau0=t) for t in (1e-9, 1e-15))
    assert slow.dwells() == close(quick.dwells(), rel=1e-9)
    assert slow.at_temperature(330.0).dwells()[0] > 1.5 * quick.at_temperature(330.0).dwells()[0]


# ---- temperature ----


@pytest.mark.parametrize("kelvin", [77.0, 250.0, 400.0])
def test_barrier_over_temperature(kelvin):
    law = junction(bias=0.1)
    moved = law.at_temperature(kelvin)
    assert moved.barrier == close(law.barrier_energy / (BOLTZMANN * kelvin), rel=1e-12)
    assert moved.barrier_energy == close(law.barrier_energy, rel=1e-12)
    assert moved.critical_voltage == law.critical_voltage
    assert moved.correlation_time() == close(0.5e-9 * math.exp(4 * 300 / kelvin), rel=1e-10)
    assert moved.at_temperature(300.0).dwells() == close(law.dwells(), rel=1e-12)
    assert law.at_temperature(300.0) is law


@pytest.mark.parametrize("kelvin", [0.0, -10.0, math.nan, math.inf])
def test_no_temperature_is_zero_or_below(kelvin):
    with pytest.raises(ValueError, match="above 0 K"):
        junction().at_temperature(kelvin)


def test_a_frozen_junction_is_refused():
    with pytest.raises(ValueError, match="never switches"):
        junction().at_temperature(1.0)


def test_self_heating_at_a_bias():
    law = junction(thermal_resistance=1e6)
    t_p, t_ap = law.temperatures(0.13)
    assert t_p == t_ap == close(300 + 1e6 * 0.13**2 * 0.5 * (1 / 10e3 + 1 / 20e3), rel=1e-12)
    u = 0.03 / 0.2
    assert law.occupancy(0.13) == close(1 / (1 + math.exp(-2 * 4 * 300 / t_p * u)), rel=1e-12)
    assert law.correlation_time() < junction().correlation_time()


def test_self_heating_in_the_divider_is_of_each_state():
    t_p, t_ap = junction(bias=None, v50=0.24, thermal_resistance=1e6).temperatures()
    v_p, v_ap = 0.5 * 10 / 25, 0.5 * 20 / 35
    assert t_p == close(300 + 1e6 * v_p**2 / 10e3, rel=1e-12)
    assert t_ap == close(300 + 1e6 * v_ap**2 / 20e3, rel=1e-12)


# ---- read-out and back-action ----


def test_swing_by_hand_and_where_it_is_largest():
    assert junction().swing == close(0.5 * 15 / 25 - 0.5 * 15 / 35, rel=1e-12)
    best = math.sqrt(10e3 * 20e3)
    swings = [junction(r_load=factor * best).swing for factor in (0.9, 1.0, 1.1)]
    assert max(swings) == swings[1]


def test_back_action_by_hand():
    """Each state sees its own voltage; AP, of the higher resistance, sees more, and stays longer for it."""
    law = junction(bias=None, v50=0.24)
    v_p, v_ap = 0.5 * 10 / 25, 0.5 * 20 / 35
    assert law.voltages() == close((v_p, v_ap), rel=1e-12)
    tau_p = 1e-9 * math.exp(4 * (1 - (v_p - 0.24) / 0.2))
    tau_ap = 1e-9 * math.exp(4 * (1 + (v_ap - 0.24) / 0.2))
    assert law.dwells() == close((tau_p, tau_ap), rel=1e-12)
    assert law.occupancy() == close(tau_ap / (tau_p + tau_ap), rel=1e-12)
    without = junction(bias=0.24, v50=0.24)
    assert all(a > b for a, b in zip(law.dwells(), without.dwells(), strict=True))
    assert law.voltages(1.0) == close((2 * v_p, 2 * v_ap), rel=1e-12)


def test_noise_of_a_unit_by_hand():
    """AP lowers the output: s = AP gives kappa (V_AP - E V)/V_u = -kappa D (1 - p)/V_u."""
    law = junction(kappa=2.0, volts_per_unit=0.5)
    p, dwelling = law.occupancy(), torch.tensor([[[0.0]], [[0.9999]]])
    noise, _ = law.run(torch.tensor([[True]]), dwelling, None, 10.0)
    assert noise.flatten().tolist() == close([-4 * law.swing * (1 - p), 4 * law.swing * p], rel=1e-6)


@pytest.mark.parametrize("sources", [1, 3])
@pytest.mark.parametrize("ratio", [0.01, 1.0, 100.0])
def test_node_noise_has_its_moments_at_any_step(sources, ratio):
    law, rng, units = junction(n_sources=sources, kappa=-0.5, volts_per_unit=0.3), np.random.default_rng(7), 300_000
    dt, shape = ratio * law.correlation_time(), law.uniforms((units,))
    state = law.start(uniforms(rng, *shape))
    noise, _ = law.run(state, uniforms(rng, 5, *shape), None, dt)
    noise = noise.double()
    sigma = law.node_sigma
    p = law.occupancy()
    assert sigma == close(0.5 * law.swing * math.sqrt(sources * p * (1 - p)) / 0.3, rel=1e-12)
    assert float(noise[-1].mean()) == pytest.approx(0.0, abs=5 * sigma / math.sqrt(units))
    assert float(noise[-1].var()) == close(sigma**2, rel=0.01)
    for lag in (1, 4):
        found = float((noise[lag] * noise[0]).mean()) / sigma**2
        assert found == pytest.approx(law.autocorrelation(lag * dt), abs=0.01)


# ---- a stochastic neuron ----


@pytest.mark.parametrize("spacing", [0.05, 1.0, 20.0])
def test_neuron_mean_and_variance(spacing):
    """n reads averaged under four drives; the estimates' standard errors are 0.3 % of the variance and less."""
    law, n, rng = junction(), 8, np.random.default_rng(8)
    v = torch.tensor([0.02, 0.08, 0.1, 0.16])
    dt = spacing * law.correlation_time(0.1)
    states = law.neuron(v.expand(200_000, 4), uniforms(rng, n, 200_000, 4), dt).double()
    p, variance = law.occupancy(v).double(), law.neuron_variance(v, n, dt).double()
    torch.testing.assert_close(2 * p - 1, torch.tanh(4 * (v.double() - 0.1) / 0.2), rtol=0, atol=1e-6)
    assert bool(((states.mean(0) - p).abs() < 5 * (variance / 200_000).sqrt()).all())
    torch.testing.assert_close(states.var(0), variance, rtol=0.02, atol=0)
    for i, volts in enumerate(v.tolist()):
        exact = telegraph.variance_of_mean(law.occupancy(volts), law.correlation_time(volts), n, dt)
        assert float(variance[i]) == close(exact, rel=1e-4)


def test_one_read_of_a_neuron_is_a_coin():
    state = junction().neuron(torch.tensor([0.1, 0.1]), torch.tensor([[0.49, 0.51]]), 1.0)
    assert state.tolist() == [1.0, 0.0]
    assert junction().neuron_variance(0.1, 1, 1.0) == close(0.25)


def test_a_neuron_driven_beyond_its_barrier_is_refused():
    with pytest.raises(ValueError, match="leaves no barrier"):
        junction().neuron(torch.tensor([0.1, 0.31]), torch.zeros(1, 2), 1.0)


# ---- what is refused, and the shipped profile ----


@pytest.mark.parametrize(
    ("changes", "key", "says"),
    [
        ({"tau0": 0.0}, "tau0", "not above zero"),
        ({"tmr": 0.0}, "tmr", "not a number above 0"),
        ({"tmr": -0.5}, "tmr", "not a number above 0"),
        ({"exponent": 3}, "exponent", "1 or 2"),
        ({"bias": 0.31}, "bias", "310 mV over the junction leaves no barrier"),
        ({"bias": -0.1}, "bias", "leaves no barrier"),
        ({"bias": None, "v_dd": 2.0}, "v_dd", "leaves no barrier"),
        ({"reference_temperature": -3.0}, "reference_temperature", "not above zero"),
        ({"delta": 80.0}, "delta", "a barrier of 80 k_B T never lets go"),
        ({"dwell": 1e-8}, "dwell", "they say the same; drop one"),
        ({"delta": None}, "dwell", "one of the two is needed"),
        ({"v_slope": 0.01}, "v_slope", "they say the same"),
        ({"delta": None, "dwell": 1e-9}, "dwell", "not above tau0"),
        ({"thermal_resistance": -1.0}, "thermal_resistance", "negative"),
        ({"r_load": 0.0}, "r_load", "not above zero"),
        ({"n_sources": 0}, "n_sources", "greater than 0"),
    ],
)
def test_impossible_junctions_are_refused(changes, key, says):
    with pytest.raises(ValidationError) as error:
        junction(**changes)
    found = error.value.errors()
    assert [detail["loc"] for detail in found] == [(key,)]
    assert says in found[0]["msg"]


def test_problems_come_with_file_and_line():
    text = (
        profile_path("smtj_telegraph").read_text(encoding="utf-8").replace("bias: {value: 0.2 V", "bias: {value: 2 V")
    )
    line = next(i for i, line in enumerate(text.splitlines(), 1) if line.strip().startswith("bias:"))
    with pytest.raises(InputError) as error:
        loads(text, "mine.yaml")
    assert error.value.problems[0].startswith(f"mine.yaml:{line}: stochastic.bias: 2 V over the junction leaves no")


def test_the_shipped_junction_has_the_numbers_of_its_source():
    """arXiv 2301.05694: 50 nm, RA 15 ohm um^2, correlation time 5 ns."""
    profile = load("smtj_telegraph")
    law = profile.stochastic
    assert isinstance(law, Junction)
    assert law.r_p == close(15 / (math.pi * 0.025**2), rel=1e-3)
    assert law.correlation_time() == close(5e-9, rel=1e-9)
    assert law.occupancy() == 0.5
    assert law.node_sigma == close(0.02, rel=0.02)
    assert law.autocorrelation(1e-6) < 1e-80
    assert profile.provenance["stochastic.dwell"].source.startswith("derived: twice the correlation time of 5 ns")
    assert "independent" in profile.provenance["stochastic.dwell"].source


# ---- resistance against voltage ----


def biased(**changes) -> Junction:
    """A junction read by a divider, with back-action unless it has a bias; its TMR falls to a half at 0.3 V."""
    numbers = {
        "dwell": "10 ns", "tau0": "1 ns", "v_slope": "20 mV", "v50": "0.2 V", "exponent": 1,
        "reference_temperature": "300 K", "r_p": "7.64 kohm", "tmr": 1.0, "v_half": "0.3 V", "r_load": "11 kohm",
        "v_dd": "0.4 V", "kappa": 1.0, "volts_per_unit": "1 V", "n_sources": 1,
    }  # fmt: skip
    return Junction(**{**numbers, **changes})


@pytest.mark.parametrize("v", [0.1, 0.4, -0.3])
def test_the_divider_and_the_resistance_agree(v):
    """V = v R/(R_L + R) with R = R_P (1 + TMR/(1 + V^2/V_h^2)), for numbers and for tensors."""
    law = biased(v_c="2 V", v_slope=None)
    _, ap = law.voltages(v)
    r = 7640.0 * (1 + 1.0 / (1 + (ap / 0.3) ** 2))
    assert ap == close(v * r / (11e3 + r), rel=1e-12)
    many = law.voltages(torch.tensor([v, 0.05], dtype=torch.float64))
    assert float(many.antiparallel[0]) == close(ap, rel=1e-12)
    assert float(many.parallel[0]) == close(v * 7640.0 / 18640.0, rel=1e-12)


def test_a_resistance_that_falls_makes_less_of_a_swing():
    """D = V_DD R_L (1/(R_L + R_P) - 1/(R_L + R_AP)) at the voltage that AP has; sigma and power follow."""
    law = biased(bias="0.2 V")
    v = law.v_dd
    for _ in range(200):  # the other way: the voltage again and again
        r = 7640.0 * (1 + 1.0 / (1 + (v / 0.3) ** 2))
        v = law.v_dd * r / (11e3 + r)
    assert law.resistances.antiparallel == close(r, rel=1e-9)
    swing = 0.4 * 11e3 * (1 / 18640 - 1 / (11e3 + r))
    assert law.swing == close(swing, rel=1e-9)
    assert law.node_sigma == close(0.5 * swing, rel=1e-9)
    assert law.static_power == close(0.16 * 0.5 * (1 / 18640 + 1 / (11e3 + r)), rel=1e-9)
    assert law.swing < biased(bias="0.2 V", v_half=None).swing


def test_far_below_v_half_nothing_changes():
    for bias in (None, "0.2 V"):
        one, other = biased(v_half="1 MV", bias=bias), biased(v_half=None, bias=bias)
        assert one.dwells() == close(tuple(other.dwells()), rel=1e-9)
        assert (one.swing, one.static_power) == close((other.swing, other.static_power), rel=1e-9)


def test_the_noise_has_the_sd_of_the_resistance_at_its_voltage():
    law, n = biased(), 20_000
    u = torch.from_numpy(np.random.default_rng(0).random((2, 1, n)))
    noise, _ = law.run(law.start(u[0]), u[1:], None, 1.0)
    sigma = law.node_sigma
    assert float(noise.std()) == close(sigma, rel=0.03)


def test_self_heating_follows_the_resistance():
    """T = T_amb + R_th V^2/R of AP at its own voltage; with a bias, of the mean conductance at the bias."""
    law = biased(thermal_resistance="1e6 K/W")
    v, r = law.voltages().antiparallel, law.resistances.antiparallel
    assert law.temperatures().antiparallel == close(300.0 + 1e6 * v * v / r, rel=1e-9)
    held = biased(thermal_resistance="1e6 K/W", bias="0.2 V")
    mean = 0.5 * (1 / 7640.0 + 1 / (7640.0 * (1 + 1 / (1 + (0.2 / 0.3) ** 2))))
    assert held.temperatures().parallel == close(300.0 + 1e6 * 0.04 * mean, rel=1e-9)


# ---- the range of the exponential ----


def exact_time(barrier: float, cells: int = 2000) -> float:
    """Return 1/lambda_1 in units of tau_N of Brown's equation for a uniaxial particle, by finite volumes.

    2 tau_N dW/dt = d/dx [(1 - x^2) (dW/dx + W dv/dx)],  v = -Delta x^2,  x = cos theta
    """
    from scipy.linalg import eigh_tridiagonal

    edges = np.linspace(-1.0, 1.0, cells + 1)
    weight = np.exp(barrier * ((edges[1:] + edges[:-1]) / 2) ** 2)
    inner = edges[1:-1]
    flow = (1 - inner**2) * np.exp(barrier * inner**2) * (cells / 2) ** 2
    diagonal = np.r_[flow / weight[:-1], 0.0] + np.r_[0.0, flow / weight[1:]]
    rates = eigh_tridiagonal(diagonal, -flow / np.sqrt(weight[:-1] * weight[1:]), select="i", select_range=(0, 1))[0]
    return 2.0 / float(rates[1])


def test_how_short_the_limit_of_high_barriers_is():
    """What Junction and the warning say: sqrt(pi)/2 Delta^{-3/2} e^Delta is 21 % short at 4, 11 % at 10, 5 % at 20."""
    for barrier, short in ((4.0, 0.21), (10.0, 0.11), (20.0, 0.05)):
        limit = math.sqrt(math.pi) / 2 * barrier**-1.5 * math.exp(barrier)
        assert 1 - limit / exact_time(barrier) == close(short, abs=0.006)
        assert f"{100 * short:.0f} %" in str(Junction.__doc__)


def test_a_low_barrier_at_another_temperature_is_told():
    law = load("smtj_telegraph").stochastic
    assert isinstance(law, Junction)
    assert law.extrapolated(300.0) is None
    assert "at 350 K are extrapolated from 300 K over a barrier of 2 k_B T" in str(law.extrapolated(350.0))
    assert junction(delta=12.0).extrapolated(400.0) is not None
    assert junction(delta=12.0).extrapolated(350.0) is None
