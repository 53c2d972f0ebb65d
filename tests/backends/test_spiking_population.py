"""Brian2 against its twin in torch, spike for spike; its recurrences, loops and targets against each other."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
import textwrap
import weakref

import numpy as np
import pytest
import torch

from neuroanp.backends.equations import Equations
from neuroanp.backends.lif import LIFPopulation
from neuroanp.backends.neuron import LIF, coefficients
from neuroanp.backends.population import Recurrence, Steps
from neuroanp.errors import InputError

DT = 1e-3
SIZES = ((40, 8), (100, 8), (300, 4))


def network(units: int, rows: int, steps: int = 1000, dtype=torch.float64, gain: float = 3.0):
    """Return random weights (as what a spike adds), and currents that make units spike some 30 times a second."""
    rng = np.random.default_rng((units, rows))
    wt = torch.from_numpy(gain * rng.normal(size=(units, units)) / np.sqrt(units)).to(dtype)
    current = torch.from_numpy(1.2 + rng.normal(size=(steps, rows, units))).to(dtype)
    return Recurrence(wt, lambda t, s: s @ wt), current


def neurons(units: int, neuron: LIF | None = None, mismatch: bool = False, dtype=torch.float64):
    rng = np.random.default_rng(units)
    names = ("threshold", "tau_m", "tau_s") if mismatch else ()
    factors = {name: torch.from_numpy(np.exp(0.1 * rng.normal(size=units))).to(dtype) for name in names}
    return coefficients(neuron or LIF(), DT, torch.ones(units, dtype=dtype), factors)


def presented(population, recurrence, current, incoming=None, chunk: int = 64) -> Steps:
    """Run a whole presentation, chunk by chunk."""
    population.begin()
    parts = [
        population.run(current[k : k + chunk], recurrence, None if incoming is None else incoming[k : k + chunk], True)
        for k in range(0, len(current), chunk)
    ]
    return Steps(*(torch.cat(part) for part in zip(*parts, strict=True)))


def mismatches(a: Steps, b: Steps) -> int:
    return int((a.s != b.s).sum())


def assert_equal(a: Steps, b: Steps, tolerance: float = 1e-12) -> None:
    assert mismatches(a, b) == 0
    for x, y in ((a.h, b.h), (a.z, b.z), (a.v, b.v)):
        assert (x - y).abs().max() < tolerance


VARIANTS = {
    "exact": (LIF(), False),
    "euler": (LIF(integration="euler"), False),
    "subtract": (LIF(reset="subtract"), False),
    "equal time constants": (LIF(tau_m=10e-3, tau_s=10e-3), False),
    "mismatch": (LIF(), True),
    "no refractory period": (LIF(refractory=0.0, reset="subtract", integration="euler"), True),
}


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_brian2_spikes_where_its_twin_does(spiking, variant):
    neuron, mismatch = VARIANTS[variant]
    spikes = 0
    for units, rows in SIZES:
        step, (recurrence, current) = neurons(units, neuron, mismatch), network(units, rows)
        twin = presented(LIFPopulation(step, rows), recurrence, current)
        brian = presented(spiking.Brian2Population(step, rows, dt=DT), recurrence, current)
        assert_equal(twin, brian)
        spikes += int(twin.s.sum())
    assert spikes >= 50_000


@pytest.mark.parametrize(("units", "rows"), SIZES)
def test_the_comparison_detects_one_step(spiking, units, rows):
    """A synaptic delay of one step, and a refractory period longer by one step."""
    step, (recurrence, current) = neurons(units), network(units, rows, 200)
    twin = presented(LIFPopulation(step, rows), recurrence, current)
    before = [torch.zeros(rows, units, dtype=torch.float64)]

    def late(t, s):
        before.append(s)
        return before[-2] @ recurrence.wt

    for population, read in (
        (spiking.Brian2Population(step, rows, dt=DT), Recurrence(None, late)),
        (spiking.Brian2Population(step._replace(hold=step.hold + 1), rows, dt=DT), recurrence),
    ):
        brian = presented(population, read, current)
        assert mismatches(twin, brian) > 0
        with pytest.raises(AssertionError):
            assert_equal(twin, brian)


WAYS = {
    "fast": {"loop": "fast"},
    "Network.run": {"loop": "run"},
    "numpy": {"target": "numpy"},
    "numpy, Network.run": {"target": "numpy", "loop": "run"},
    "synapses": {"recurrence": "synapses"},
    "synapses, Network.run": {"recurrence": "synapses", "loop": "run"},
    "synapses, numpy": {"recurrence": "synapses", "target": "numpy"},
    "dense": {"recurrence": "dense"},
    "sparse": {"recurrence": "sparse"},
}


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_running_gives_the_same(spiking, way, rows):
    step, (recurrence, current) = neurons(30, mismatch=True), network(30, rows, 150)
    incoming = torch.from_numpy(np.random.default_rng(1).uniform(-0.2, 0.4, current.shape))
    twin = presented(LIFPopulation(step, rows), recurrence, current, incoming)
    population = spiking.Brian2Population(step, rows, dt=DT, **WAYS[way])
    presented(population, recurrence, current.flip(0), incoming)  # what was before leaves no trace
    assert twin.s.sum() > 100
    assert_equal(twin, presented(population, recurrence, current, incoming))
    noisy = Recurrence(None, recurrence.read)
    assert_equal(twin, presented(population, noisy, current, incoming))


def test_both_loops_give_the_same_bits(spiking):
    step, (recurrence, current) = neurons(50, mismatch=True), network(50, 4, 200)
    fast, run = (spiking.Brian2Population(step, 4, dt=DT, loop=loop) for loop in ("fast", "run"))
    for a, b in zip(presented(fast, recurrence, current), presented(run, recurrence, current), strict=True):
        assert torch.equal(a, b)


def test_auto_multiplies_densely_when_most_units_spike(spiking):
    step, (recurrence, current) = neurons(700, LIF(refractory=0.0)), network(700, 2, 20)
    twin = presented(LIFPopulation(step, 2), recurrence, current + 100)
    brian = presented(spiking.Brian2Population(step, 2, dt=DT), recurrence, current + 100)
    assert twin.s.double().mean() > 0.5
    assert mismatches(twin, brian) == 0


def test_float32_stays_float32_and_close(spiking):
    """Single precision rounds differently on both sides: equal until a potential meets its threshold by 1e-6."""
    step, (recurrence, current) = neurons(100, dtype=torch.float32), network(100, 4, 50, torch.float32)
    twin = presented(LIFPopulation(step, 4), recurrence, current)
    brian = presented(spiking.Brian2Population(step, 4, dt=DT), recurrence, current)
    assert {part.dtype for part in brian} == {torch.float32, torch.bool}
    assert twin.s.sum() > 200
    assert_equal(twin, brian, 1e-4)


def test_weights_that_change_are_used(spiking):
    step, (recurrence, current) = neurons(30), network(30, 1, 100)
    for how in ("synapses", "dense", "sparse"):
        population = spiking.Brian2Population(step, 1, dt=DT, recurrence=how)
        for scale in (1.0, -2.0):
            wt = recurrence.wt * scale
            scaled = Recurrence(wt, lambda t, s, wt=wt: s @ wt)
            twin = presented(LIFPopulation(step, 1), scaled, current)
            assert_equal(twin, presented(population, scaled, current))


def test_the_clock_starts_anew_with_every_presentation(spiking):
    step, (recurrence, current) = neurons(3), network(3, 1, 70)
    population = spiking.Brian2Population(step, 1, dt=DT)
    first = presented(population, recurrence, current)
    for _ in range(2000):
        population.begin()
        population.run(current[:3], recurrence, None)
    last = presented(population, recurrence, current)
    assert all(torch.equal(a, b) for a, b in zip(first, last, strict=True))
    variables = population._group.clock.variables
    assert variables["timestep"].get_value()[0] == 70
    assert variables["t"].get_value()[0] == 70 * DT


COMPILED_ANEW = {"Network.run", "synapses", "synapses, Network.run"}
"""Ways whose code is compiled for equations too, for seconds each; "fast" and numpy have the same equations."""


@pytest.mark.long
@pytest.mark.parametrize("way", [pytest.param(w, marks=[pytest.mark.long] * (w in COMPILED_ANEW)) for w in WAYS])
def test_equations_written_out_are_the_built_in_neuron(spiking, way):
    equations = Equations(
        model="""dv/dt = (-v + I + Iext)/tau_m : 1 (unless refractory)
                 dI/dt = -I/tau_s : 1
                 dz/dt = -z/tau_r : 1
                 Iext : 1""",
        threshold="v > 1", reset="v = 0; z += 1", refractory="2 ms", method="exact",
        parameters={"tau_m": "20 ms", "tau_s": "5 ms"},
    )  # fmt: skip
    recurrence, current = network(60, 4, 400)
    twin = presented(LIFPopulation(neurons(60), 4), recurrence, current)
    assert twin.s.sum() > 1000
    like = torch.ones(60, dtype=torch.float64)
    population = spiking.EquationsPopulation(equations, like, 4, dt=DT, **WAYS[way])
    assert_equal(twin, presented(population, recurrence, current, chunk=300))


def test_a_population_is_freed_and_freezes_no_garbage(spiking):
    recurrence, current = network(10, 1, 5)
    population = spiking.Brian2Population(neurons(10), 1, dt=DT, loop="run")
    presented(population, recurrence, current)
    assert gc.get_freeze_count() == 0
    gone = weakref.ref(population)
    del population
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("broken", ["raises", "skips a step"])
def test_a_fast_loop_that_does_not_fit_falls_back(spiking, monkeypatch, caplog, broken):
    fast = spiking.GroupPopulation._run_fast

    def other(self, steps):
        if broken == "raises":
            raise AttributeError("'Network' object has no attribute 'sorted_objects'")
        fast(self, steps - 1)
        self._chunk.t += 1

    monkeypatch.setattr(spiking.GroupPopulation, "_run_fast", other)
    spiking.warn_once.cache_clear()
    step, (recurrence, current) = neurons(30), network(30, 2, 40)
    with caplog.at_level(logging.WARNING, "neuroanp"):
        populations = [spiking.Brian2Population(step, 2, dt=DT) for _ in range(2)]
    assert [record.message.split(" (")[0] for record in caplog.records] == [
        f"the fast loop does not work with brian2 {spiking.brian2.__version__}"
    ]
    twin = presented(LIFPopulation(step, 2), recurrence, current)
    assert_equal(twin, presented(populations[1], recurrence, current))


def test_without_a_compiler_numpy_is_used_and_said_once(spiking, monkeypatch, caplog):
    monkeypatch.setattr(spiking.brian2.CythonCodeObject, "is_available", classmethod(lambda cls: False))
    for cached in (spiking._no_compiler, spiking.warn_once):
        cached.cache_clear()
    with caplog.at_level(logging.WARNING, "neuroanp"):
        made = [spiking.Brian2Population(neurons(5), 1, dt=DT) for _ in range(2)]
    assert {population._group.codeobj_class.class_name for population in made} == {"numpy"}
    assert [record.message.split(":")[0] for record in caplog.records] == ["Brian2 finds no compiler that works"]
    with pytest.raises(InputError, match=r"compute.target: 'cython'"):
        spiking.Brian2Population(neurons(5), 1, dt=DT, target="cython")
    spiking._no_compiler.cache_clear()


def test_too_many_synapses_are_refused(spiking):
    with pytest.raises(InputError, match="use 'dense', 'sparse' or 'auto'"):
        spiking.Brian2Population(neurons(1000), 64, dt=DT, recurrence="synapses")


SCRIPT = """
    import signal, sys, threading
    import torch
    import neuroanp.api, neuroanp.backends.equations, neuroanp.backends.network
    assert "brian2" not in sys.modules
    hook, handler = sys.excepthook, signal.getsignal(signal.SIGINT)
    def build():
        from neuroanp.backends.neuron import LIF, coefficients
        from neuroanp.backends.population import Recurrence
        from neuroanp.backends.spiking import Brian2Population
        population = Brian2Population(coefficients(LIF(), 1e-3, torch.ones(7)), rows=2, dt=1e-3)
        W = torch.linspace(-1, 1, 49).view(7, 7)
        population.begin()
        current = torch.linspace(0, 3, 700).view(50, 2, 7)
        steps = population.run(current, Recurrence(W, lambda t, s: s @ W), None)
        print(population._group.codeobj_class.class_name, int(steps.s.sum()))
    thread = threading.Thread(target=build)
    thread.start()
    thread.join()
    assert sys.excepthook is hook and signal.getsignal(signal.SIGINT) is handler
"""


def start(folder, **variables: str) -> subprocess.Popen:
    """Start a process that builds and runs a population, in a folder of its own."""
    (folder / "cwd").mkdir(parents=True)
    (folder / "tmp").mkdir()
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SCRIPT)], cwd=folder / "cwd", text=True,
        env={**os.environ, "TMPDIR": str(folder / "tmp"), **variables},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.slow
def test_a_process_without_compiler_stays_clean(tmp_path):
    """From a thread: brian2's import touches neither Ctrl+C nor the hook, and leaves no file behind."""
    compiler = {"CC": "/bin/false", "CXX": "/bin/false", "CYTHON_CACHE_DIR": str(tmp_path / "cache")}
    process = start(tmp_path / "a", **compiler)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert out.split()[0] == "numpy"
    assert err.splitlines() == [line for line in err.splitlines() if line.startswith("Brian2 finds no compiler")]
    assert not list((tmp_path / "a" / "cwd").iterdir())
    assert not list((tmp_path / "a" / "tmp").glob("brian*"))


@pytest.mark.long
def test_two_processes_that_build_at_once_agree(tmp_path):
    cache = str(tmp_path / "cache")
    processes = [start(tmp_path / name, CYTHON_CACHE_DIR=cache) for name in "ab"]
    outs = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outs
    assert outs[0][0] == outs[1][0]
    assert outs[0][0].split()[0] == "cython"
