"""Users' own equations: what is let through, what is refused and how, and AdEx against theory."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroanp.api import train
from neuroanp.backends import equations
from neuroanp.backends import expressions as language
from neuroanp.backends.equations import Equations
from neuroanp.backends.population import Recurrence
from neuroanp.errors import InputError
from neuroanp.units import Frequency, Voltage
from neuroanp.yaml_io import parse, read, validate

EXAMPLE = Path(__file__).parents[2] / "examples" / "adex.yaml"
GOOD = {
    "model": "dv/dt = (-v + I + Iext)/(20*ms) : 1\ndI/dt = -I/(5*ms) : 1\ndz/dt = -z/tau_r : 1\nIext : 1",
    "threshold": "v > 1",
    "reset": "v = 0; z += 1",
}


def changed(**values) -> Equations:
    return Equations(**{**GOOD, **values})


def with_line(line: str, **values) -> Equations:
    return changed(model=f"{GOOD['model']}\n{line}", **values)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"model": GOOD["model"].replace("dz/dt = -z/tau_r : 1\n", "")},
            "the equations do not define the activity variable 'z' (they define v, I, Iext); "
            "add e.g. dz/dt = -z/tau_r : 1 and z += 1 to the reset, or name one with neuron.activity",
        ),
        ({"activity": "trace", }, "do not define the activity variable 'trace'"),
        ({"input": "Iin"}, "do not define the input variable 'Iin' (they define v, I, z, Iext); add e.g. Iext : 1"),
        ({"synapse": "g"}, "do not define the synapse variable 'g'"),
        ({"voltage": "V"}, "do not define the voltage variable 'V'"),
        ({"activity": "I"}, "'I' is the synapse variable too; they must differ"),
        ({"threshold": "v"}, "'v' is no condition; write e.g. v > 1"),
        ({"threshold": "v > V_T"}, "'V_T' is not known; define it in the model or add it to the parameters"),
        ({"threshold": "0 < v < 1"}, "join two comparisons by 'and'"),
        ({"reset": "v == 0"}, "is no assignment"),
        ({"reset": "u = 0"}, "'u' cannot be assigned (these can: v, I, z, Iext)"),
        ({"reset": ""}, "it must hold an assignment"),
        ({"reset": "v = 0"}, "nothing moves the activity variable 'z': neither its equation nor the reset; add z += 1"),
        ({"refractory": "2"}, "'2' has no unit; write e.g. '2 ms'"),
        ({"refractory": "-2 ms"}, "is negative"),
        ({"parameters": {"tau": "20 ms"}}, "'tau' is used nowhere"),
        ({"parameters": {"v": "20 mV"}}, "'v' is a variable of the equations too"),
        ({"parameters": {"tau_x": "20 furlongz"}}, "'20 furlongz' is not a quantity"),
        ({"parameters": {"exp": 1.0}}, "'exp' has a meaning already"),
        ({"parameters": {"__class__": 1.0}}, "cannot be a name"),
        ({"parameters": {"xi_a": 1.0}}, "'xi_a' has a meaning already"),
        ({"parameters": {"inf": 1.0}}, "'inf' has a meaning already"),
        ({"parameters": {"tau_r": "20 ms"}}, "'tau_r' is neuron.tau_r already"),
        ({"parameters": {"tau_m": "20 ms"}, "tau_m": "10 ms"}, "'tau_m' is neuron.tau_m already"),
        ({"initial": {"u": 1.0}}, "'u' is not a state"),
        ({"initial": {"v": "1 mV"}}, "its variable is dimensionless"),
        ({"model": "hello"}, "is no equation"),
        ({"model": ""}, "is no equation"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_remedy(values, said):
    with pytest.raises(ValueError, match=r".") as error:
        changed(**values)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("dz/dt = -z/(2*ms) : 1", "'z' is defined twice"),
        ("x = v + : 1", "is not an expression"),
        ("x = v : mV", "'mV' is not a unit of an equation"),
        ("x = v : 1 (shared)", "the flag '(shared)' is not allowed here"),
        ("dx/dt = -x/ms : 1 (unless refractory)", "needs refractory"),
        ("dx/dt = xi/ms**0.5 : 1", "noise comes from the hardware profile"),
        ("x = rand() : 1", "noise comes from the hardware profile"),
        ("x = i : 1", "'i' is not known"),
        ("lambda : 1", "has a meaning already"),
        ("exp : 1", "has a meaning already"),
        ("x_post : 1", "cannot be a name"),
        ("x = 3*pi : 1", "x: it is a number only; make it one of the parameters"),
        ("x = 3*mV/mV : 1", "x: it is a number only"),
        ("x = y*v : 1\ny = x + v : 1", "x: it is defined by itself"),
        ("\n".join(["a0 = v : 1", *(f"a{k + 1} = a{k}*sin(a{k}) + a{k} : 1" for k in range(20))]), "too long once"),
    ],
)
def test_a_line_that_is_wrong_is_named(line, said):
    with pytest.raises(ValueError, match=r".") as error:
        with_line(line)
    assert said in str(error.value)


HOSTILE = [
    "__import__('os').system('true')", "().__class__", "v.__class__", "open('x')", "exec('1')", "eval(v)", "[v]", "{v}",
    "lambda: v", "(v := 1)", "v if v else v", "'v'", "f'{v}'", "v[0]", "1j", "...", "None", "await v", "print(v)",
    "exp(v, v)", "exp(x=v)", "exp(*v)", "exp.func(v)", "9**9**9**9", "(9**99)**99", "9**(9*9*9*9*9*9)", "v**1000",
    "exp(exp(1e9))", "floor(exp(999999999*pi))", "v**'a'", "v**None", "v**...", "v**b'a'",
    "9" * 400, "1e999", "(" * 300 + "v" + ")" * 300, "-" * 500 + "v", "+".join(["v"] * 500),
    "v\0", "v; import os", "v # : 1", "v\nimport os", "ｖ", "v @ v", "v << 3", "v & 1", "v is v", "v in v", "__v__",
    "not_a_name_at_all", "_namespace", "numpy", "t.x",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_code_is_refused_wherever_it_stands(text):
    """None of these reaches Brian2: refused, or (a comment, a line break) cut before it is parsed."""
    for values in (
        {"model": GOOD["model"].replace("-I/(5*ms)", text)}, {"threshold": f"v > {text}"}, {"threshold": text},
        {"reset": f"v = {text}"}, {"reset": f"z += 1\n{text}"}, {"refractory": text}, {"parameters": {text: 1.0}},
        {"parameters": {"tau_r": text}}, {"initial": {"v": text}}, {"input": text},
    ):  # fmt: skip
        try:
            neuron = changed(**values)
        except ValueError:
            continue
        shown = f"{neuron.text()} {neuron.condition()} {neuron.statements()} {neuron.refractoriness()}"
        assert not set(shown) & set("'\"[]{}@&;#\\!\0"), shown
        assert "__" not in shown
        assert "import" not in shown


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60), st.sampled_from(["model", "threshold", "reset", "refractory", "input"]))
def test_any_text_is_refused_or_parsed(text, key):
    """Nothing but ValueError, whatever the file holds."""
    try:
        neuron = changed(**{key: text})
    except ValueError:
        return
    assert neuron.condition()
    assert neuron.statements()


def test_sizes_are_bounded():
    with pytest.raises(ValueError, match="characters"):
        changed(model="x : 1\n" * 5000)
    with pytest.raises(ValueError, match="at most 64"):
        changed(model="\n".join(f"x{k} : 1" for k in range(100)))


def test_the_language_is_brian2s(spiking):
    """Every unit and function that is let through exists there, and means the same here."""
    names = spiking.brian2
    assert not language.FUNCTIONS - set(names.DEFAULT_FUNCTIONS)
    assert not language.UNITS - set(names.DEFAULT_UNITS)
    assert not language.CONSTANTS - set(names.DEFAULT_CONSTANTS)
    for unit, written in equations.QUANTITIES.items():
        assert equations._quantity(f"2 {unit}") == (2.0, written)
        assert float(spiking._unit(written)) == 1.0
    assert spiking._unit("hertz/volt/second").dim == (names.hertz / names.volt / names.second).dim


def test_a_file_is_placed_at_its_line():
    text = "model: |\n  dv/dt = -v/ms : 1\n  dI/dt = -I/ms : 1\n  Iext : 1\nthreshold: v > 1\nreset: v = 0\n"
    with pytest.raises(InputError, match=r"neuron.yaml: activity: the equations do not define the activity variable"):
        validate(parse(text, "neuron.yaml"), Equations)
    text = text.replace("Iext : 1\n", "Iext : 1\n  dz/dt = -z/tau_r : 1\n").replace("v > 1", "v > theta")
    with pytest.raises(InputError, match=r"neuron.yaml:6: threshold: 'theta' is not known"):
        validate(parse(text, "neuron.yaml"), Equations)


def test_a_step_must_be_shorter_than_time_constants():
    changed().check(1e-3)
    with pytest.raises(ValueError, match="tau_r: '1 ms' must be longer"):
        changed(tau_r=1e-3).check(1e-3)
    for tau in ("0.5 ms", "-5 ms"):
        own = with_line("dx/dt = -x/tau_s : 1", parameters={"tau_s": tau})
        with pytest.raises(ValueError, match=r"tau_s: .* must be longer"):
            own.check(1e-3)


def test_what_a_membrane_forgets_in_a_step():
    assert changed().membrane_decay(1e-3) is None
    assert changed(tau_m=20e-3).membrane_decay(1e-3) == math.exp(-1 / 20)
    assert changed(tau_m=20e-3, method="euler").membrane_decay(1e-3) == 0.95
    assert changed(parameters={"tau_m": "20 ms"}).membrane_decay(1e-3) == math.exp(-1 / 20)
    assert changed(refractory="5 ms").rest_s() == 5e-3


@pytest.mark.slow
def test_noisy_junctions_move_the_example_as_far_as_the_profile_says():
    """Their coupling is by the membrane's time constant, which equations state."""
    from neuroanp.training.build import Experiment
    from neuroanp.training.configure import configure
    from neuroanp.training.described import describe as described

    source = {**read(EXAMPLE).data, "compute": {"target": "numpy"}}
    assert any(
        "device's own" in line for line in described(Experiment.of(configure(source, profile="smtj_koenders")))[1]
    )
    neuron = {key: value for key, value in source["neuron"].items() if key != "tau_m"}
    with pytest.raises(InputError, match=r"neuron.tau_m: .* state the time constant of the membrane near rest"):
        described(Experiment.of(configure({**source, "neuron": neuron}, profile="smtj_koenders")))


@pytest.mark.parametrize(
    ("neuron", "said"),
    [
        (lambda: with_line("dx/dt = v*mV/ms : volt\ny = x + v : volt"), r"neuron.model .* units"),
        (lambda: with_line("x : volt", threshold="v > 1 and x > v"), r"neuron.threshold .* units"),
        (lambda: with_line("x : volt", reset="z += 1; x += v"), r"neuron.reset .* units"),
        (lambda: with_line("dx/dt = x**2/ms : 1"), r"neuron.method .*use euler or rk4"),
        (lambda: with_line("dx/dt = exp(exp(1e14 + 0*x))/ms : 1", method="euler"), r"neuron.model .*Memory"),
    ],
    ids=["model", "threshold", "reset", "method", "a number that SymPy cannot hold"],
)
def test_what_brian2_refuses_is_said_with_its_key(spiking, neuron, said):
    with pytest.raises(InputError, match=said):
        spiking.EquationsPopulation(neuron(), torch.ones(2), 1, dt=1e-3, target="numpy")


class Izhikevich(Equations):
    """Izhikevich, IEEE Trans. Neural Netw. 14, 1569 (2003), eqs. 1-3."""

    name: Literal["izhikevich"] = "izhikevich"  # pyright: ignore
    model: str = """
        dv/dt = (0.04*v**2/mV + 5*v + 140*mV)/ms - u + (I + Iext)*mV/ms : volt
        du/dt = a*(0.2*v/ms - u) : volt/second
        dI/dt = -I/(5*ms) : 1
        dz/dt = -z/tau_r : 1
        Iext : 1"""
    threshold: str = "v >= 30*mV"
    reset: str = "v = c; u += d*mV/ms; z += 1"
    method: Literal["exponential_euler", "exact", "euler", "rk2", "rk4"] = "euler"
    initial: dict[str, str | float] = {"v": "-70 mV", "u": "-14 V/s"}  # noqa: RUF012
    a: Frequency = 20.0
    c: Voltage = -65e-3
    d: float = 8.0


def isis(population, current: float, steps: int, dt: float) -> np.ndarray:
    population.begin()
    W = torch.zeros(1, 1, dtype=torch.float64)
    drive = torch.full((steps, 1, 1), current, dtype=torch.float64)
    found = population.run(drive, Recurrence(W, lambda t, s: s @ W), None)
    return np.diff(found.s[:, 0, 0].nonzero().flatten().numpy()) * dt


def test_a_neuron_of_another_package(spiking):
    """Regular spiking adapts; c = -50 mV and d = 2 chatter: short intervals in bursts, long ones between (fig. 2)."""
    one, dt = torch.ones(1, dtype=torch.float64), 0.1e-3
    regular = isis(spiking.EquationsPopulation(Izhikevich(), one, 1, dt=dt, target="numpy"), 10.0, 3000, dt)
    chatter = Izhikevich(c=-50e-3, d=2.0)
    bursts = isis(spiking.EquationsPopulation(chatter, one, 1, dt=dt, target="numpy"), 10.0, 3000, dt)
    assert regular[0] < 0.6 * regular[-1]
    assert regular.min() > 10e-3
    assert bursts.min() < 5e-3
    assert bursts.max() > 4 * bursts.min()


def adex(**values) -> Equations:
    return Equations.model_validate({**read(EXAMPLE).data["neuron"], **values}, context={"from_text": True})


def adex_spike_times(current: float, seconds: float, dt: float) -> np.ndarray:
    """Integrate AdEx by Runge and Kutta's fourth order, written here from Brette and Gerstner (2005), eqs. 1-3."""
    C, g, E, V_T, D, tau_w, a, b = 281e-12, 30e-9, -70.6e-3, -50.4e-3, 2e-3, 144e-3, 4e-9, 80.5e-12

    def slope(v: float, w: float) -> tuple[float, float]:
        exponential = g * D * math.exp(min((v - V_T) / D, 50))
        return (-g * (v - E) + exponential - w + current) / C, (a * (v - E) - w) / tau_w

    v, w, times = E, 0.0, []
    for k in range(round(seconds / dt)):
        k1 = slope(v, w)
        k2 = slope(v + dt / 2 * k1[0], w + dt / 2 * k1[1])
        k3 = slope(v + dt / 2 * k2[0], w + dt / 2 * k2[1])
        k4 = slope(v + dt * k3[0], w + dt * k3[1])
        v, w = (x + dt / 6 * (p + 2 * q + 2 * r + s) for x, p, q, r, s in zip((v, w), k1, k2, k3, k4, strict=True))
        if v > V_T + 5 * D:
            v, w = E, w + b
            times.append(k * dt)
    return np.array(times)


@pytest.mark.slow
def test_adex_spikes_when_the_integrated_equations_do(spiking):
    """Step currents of 0.8 and 1.2 nA: intervals within 1 %, and they grow by adaptation as b adds up."""
    dt, one = 0.05e-3, torch.ones(1, dtype=torch.float64)
    population = spiking.EquationsPopulation(adex(method="rk4"), one, 1, dt=dt, target="numpy")
    for current in (0.8e-9, 1.2e-9):
        ours = isis(population, current / 0.63e-9, round(0.4 / dt), dt)
        reference = np.diff(adex_spike_times(current, 0.4, dt))
        assert len(ours) == len(reference) >= 3
        np.testing.assert_allclose(ours, reference, rtol=0.01)
        assert np.all(np.diff(ours) >= 0)
        assert ours[-1] > 1.5 * ours[0]


def test_adex_rheobase(spiking):
    """Between 0.98 and 1.02 of the current at which the fixed point of eqs. 1-2 loses its stability.

    That is a Hopf bifurcation where a/g_L > tau_m/tau_w: I = (g_L + a) (V_T - E_L - D + D ln(1 + tau_m/tau_w))
    + D g_L (a/g_L - tau_m/tau_w). Source: Touboul and Brette, Biol. Cybern. 99, 319 (2008), and Naud et al., ibid.
    99, 335 (2008), eq. 4.
    """
    C, g, E, V_T, D, tau_w, a = 281e-12, 30e-9, -70.6e-3, -50.4e-3, 2e-3, 144e-3, 4e-9
    ratio = C / g / tau_w
    hopf = (g + a) * (V_T - E - D + D * math.log1p(ratio)) + D * g * (a / g - ratio)
    dt, one = 0.2e-3, torch.ones(2, dtype=torch.float64)
    population = spiking.EquationsPopulation(adex(), one, 1, dt=dt, target="numpy")
    rise = -torch.expm1(-torch.arange(0, 3, dt, dtype=torch.float64) / 0.4)  # slow: a step would overshoot and spike
    drive = rise[:, None, None] * torch.tensor([0.98, 1.02]) * hopf / 0.63e-9
    W = torch.zeros(2, 2, dtype=torch.float64)
    population.begin()
    spikes = population.run(drive.double(), Recurrence(W, lambda t, s: s @ W), None).s.sum((0, 1))
    assert spikes[0] == 0
    assert spikes[1] > 0


def test_adex_stays_finite_at_steps_of_a_millisecond(spiking):
    """The example's own step, in single precision, under strong noise."""
    population = spiking.EquationsPopulation(adex(), torch.ones(20), 4, dt=1e-3, target="numpy")
    rng = np.random.default_rng(0)
    W = torch.from_numpy(rng.normal(size=(20, 20))).float()
    drive = torch.from_numpy(0.5 + 3 * rng.normal(size=(400, 4, 20))).float()
    population.begin()
    steps = population.run(drive, Recurrence(W, lambda t, s: s @ W), None, keep_v=True)
    assert all(part.isfinite().all() for part in (steps.h, steps.z, steps.v))
    assert 0.001 < steps.s.float().mean() < 0.2
    assert steps.v.max() < 1.0


@pytest.mark.slow
def test_the_example_runs(tmp_path):
    """Three updates, without a compiler."""
    quick = {"training.updates": 3, "training.controls": False, "compute.target": "numpy", "task.test_size": 8}
    result = train(EXAMPLE, overrides=quick, runs=tmp_path).result
    assert result["updates"] == 3
    assert math.isfinite(result["test_loss"])


@pytest.mark.long
def test_the_example_learns(tmp_path):
    """Temporal XOR in the 500 updates of the file: every sequence right, and far below a recurrence left alone."""
    result = train(EXAMPLE, runs=tmp_path).result
    assert result["score"] == 1.0
    assert result["test_loss"] < 0.5 * result["controls"]["frozen_recurrence"]
