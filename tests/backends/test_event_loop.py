"""The compiled event loop: to the bit the twin that adds up in order, spike for spike Brian2, and by hand."""

from __future__ import annotations

from math import exp, floor, log
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroanp.backends.compiled_lif import CompiledPopulation
from neuroanp.backends.execution import Execution
from neuroanp.backends.lif import LIFPopulation
from neuroanp.backends.network import SpikingBackend, TwinBackend
from neuroanp.backends.neuron import LIF, Reset, coefficients
from neuroanp.backends.population import Recurrence, Steps, fired
from neuroanp.errors import InputError
from neuroanp.kernels.lif import AT_ONCE
from tests.backends.lif_by_hand import by_hand
from tests.backends.neurons import with_lines
from tests.close import close

DT = 1e-3
KINDS = get_args(Reset)
BOTH = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])


class Case:
    """Units, what drives them and their weights, all random; more than twice a threshold is often there."""

    def __init__(self, neuron: LIF, seed=0, n=9, rows=3, steps=150, dtype=torch.float64, alike=False, mean=1.5):
        rng = np.random.default_rng(seed)
        names = () if alike else ("threshold", "tau_m", "tau_s")
        factors = {name: torch.from_numpy(rng.uniform(0.8, 1.2, n)) for name in names}
        self.step, self.rows = coefficients(neuron, DT, torch.ones(n, dtype=dtype), factors), rows
        shape = (steps, rows, n)
        self.current = torch.from_numpy(rng.normal(mean, 3.0, shape)).to(dtype)
        sparse = rng.exponential(0.5, (2, *shape)) * (rng.random((2, *shape)) < 0.3)
        self.arriving, self.incoming = torch.from_numpy(sparse).to(dtype)
        self.wt = torch.from_numpy(3 * rng.normal(size=(n, n)) / np.sqrt(n)).to(dtype)

    def compiled(self):
        return CompiledPopulation(self.step, self.rows)

    def twin(self):
        return LIFPopulation(self.step, self.rows)

    def in_order(self, t: int, s: torch.Tensor) -> torch.Tensor:
        """Add the weights of units that spiked one after the other: a product of matrices may take another order."""
        total = torch.zeros_like(s)
        for row, spikes in zip(total, s, strict=True):
            for unit in spikes.nonzero().flatten():
                row += self.wt[unit]
        return total

    @property
    def weights(self):
        return Recurrence(self.wt, lambda t, s: s @ self.wt)

    @property
    def reads(self):
        return Recurrence(None, self.in_order)

    def simulated(self, population, recurrence, chunk=64, early=False, late=False) -> Steps:
        population.begin()
        parts = []
        for k in range(0, len(self.current), chunk):
            now = slice(k, k + chunk)
            incoming, arriving = self.incoming[now] if late else None, self.arriving[now] if early else None
            parts.append(population.run(self.current[now], recurrence, incoming, True, arriving))
        return Steps(*(torch.cat(part) for part in zip(*parts, strict=True)))


def assert_same(one: Steps, two: Steps) -> None:
    """To the bit."""
    for name, a, b in zip(Steps._fields, one, two, strict=True):
        assert torch.equal(a, b), name


neurons = st.builds(
    LIF, reset=st.sampled_from(KINDS), refractory=st.sampled_from([0.0, 1e-3, 2e-3, 5e-3]),
    tau_s=st.sampled_from([0.0, 5e-3, 20e-3]), tau_m=st.sampled_from([5e-3, 20e-3]), leak=st.booleans(),
    integration=st.sampled_from(["exact", "euler"]),
)  # fmt: skip


@given(
    neurons, st.integers(0, 2**16), st.integers(1, 40), st.integers(1, 5), st.integers(1, 70), st.booleans(),
    st.booleans(), st.booleans(), st.sampled_from([torch.float32, torch.float64]),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_the_loop_is_the_twin_to_the_bit(neuron, seed, n, rows, chunk, alike, early, late, dtype):
    """Every reset, refractory period, filter, leak, precision; units alike or not, weights a matrix or read."""
    case = Case(neuron, seed, n, rows, 60, dtype, alike)
    twin = case.simulated(case.twin(), case.reads, 60, early, late)
    for recurrence in (case.weights, case.reads):
        assert_same(case.simulated(case.compiled(), recurrence, chunk, early, late), twin)
    assert twin.s.any() or n * rows < 20


@pytest.mark.slow
@BOTH
@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize(("n", "rows"), [(AT_ONCE + 3, 1), (40, 300), (AT_ONCE // 2 + 1, 3)])
def test_units_of_more_than_one_block_are_the_twin_to_the_bit(n, rows, alike, dtype):
    case = Case(LIF(reset="subtract_raised"), 1, n, rows, 5, dtype, alike, mean=30.0)
    off = Recurrence(None, lambda t, s: torch.zeros_like(s), connected=False)
    twin = case.simulated(case.twin(), off, early=True, late=True)
    assert twin.s.any()
    assert_same(case.simulated(case.compiled(), off, 2, True, True), twin)


@BOTH
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("refractory", [0.0, 3e-3])
def test_the_loop_is_the_equations_by_hand(kind, refractory, dtype):
    case = Case(LIF(reset=kind, refractory=refractory), 2, mean=2.0, dtype=dtype)
    found = case.simulated(case.compiled(), case.weights, early=True, late=True)
    h, s, z, v = by_hand(case.step, kind, case.current, case.wt, case.incoming, case.arriving)
    assert np.array_equal(found.s.numpy(), s)
    assert 0.05 < s.mean() < 0.9
    tolerance = 1e-12 if dtype == torch.float64 else 2e-5
    for one, two in ((found.h, h), (found.z, z), (found.v, v)):
        np.testing.assert_allclose(one, two, rtol=0, atol=tolerance)


@BOTH
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize("recurrence", ["dense", "sparse"])
def test_brian2_spikes_where_the_loop_does(spiking, kind, alike, recurrence, dtype):
    """In numpy, which rounds each product by itself as the loop does, in both precisions; all that is kept agrees."""
    case = Case(LIF(reset=kind), 3, dtype=dtype, alike=alike, mean=2.0)
    brian = spiking.Brian2Population(case.step, case.rows, dt=DT, target="numpy", recurrence=recurrence)
    one, two = (case.simulated(each, case.weights, early=True, late=True) for each in (case.compiled(), brian))
    assert torch.equal(one.s, two.s)
    assert one.s.sum() > 100
    tolerance = 1e-12 if dtype == torch.float64 else 2e-5
    for a, b in ((one.h, two.h), (one.z, two.z), (one.v, two.v)):
        torch.testing.assert_close(a, b, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("n", "rows"), [(40, 8), (300, 4)])
def test_brian2_compiled_spikes_where_the_loop_does(spiking, n, rows):
    case = Case(LIF(), 4, n, rows, 400)
    brian = spiking.Brian2Population(case.step, rows, dt=DT)
    one, two = (case.simulated(each, case.weights) for each in (case.compiled(), brian))
    assert torch.equal(one.s, two.s)
    assert one.s.sum() > 5000


@BOTH
@pytest.mark.parametrize("kind", KINDS)
def test_chunks_of_any_size_give_the_same_bits_and_begin_forgets(kind, dtype):
    case = Case(LIF(reset=kind), 5, dtype=dtype)
    population = case.compiled()
    found = [case.simulated(population, case.weights, chunk, True, True) for chunk in (150, 1, 7, 64)]
    for other in found[1:]:
        assert_same(found[0], other)


def test_units_that_reach_none_of_their_layer_get_nothing():
    """Whatever the same population was told before."""
    case = Case(LIF(), 6)
    population = case.compiled()
    nothing = Recurrence(0 * case.wt, case.in_order)
    expected = case.simulated(population, nothing)
    for before in (case.weights, case.reads):
        connected = case.simulated(population, before)
        off = Recurrence(None, lambda t, s: pytest.fail("read"), connected=False)
        assert_same(case.simulated(population, off), expected)
        assert not torch.equal(connected.s, expected.s)


def test_what_comes_in_stays_as_it_is_and_what_goes_out_is_the_callers():
    case = Case(LIF(), 7)
    kept = [part.clone() for part in (case.current, case.arriving, case.incoming, case.wt)]
    population = case.compiled()
    turned = Recurrence(case.wt.T.contiguous().T, case.in_order)  # weights that do not lie row after row
    first = case.simulated(population, turned, 150, True, True)
    again = Steps(*(part.clone() for part in first))
    assert_same(case.simulated(population, case.weights, 150, True, True), again)
    assert_same(first, again)
    for before, now in zip(kept, (case.current, case.arriving, case.incoming, case.wt), strict=True):
        assert torch.equal(before, now)


@pytest.mark.parametrize("hold", [0, 1, 2, 7])
@pytest.mark.parametrize("drive", [1.5, 4.0])
def test_the_time_from_spike_to_spike(hold, drive):
    """v_k = I (1 - a^k) > 1 first at k = floor(ln(1 - 1/I) / ln a) + 1; rest holds it for hold - 1 steps."""
    step = coefficients(LIF(refractory=hold * DT), DT, torch.ones(1, dtype=torch.float64))
    population = CompiledPopulation(step, 1)
    current = torch.full((400, 1, 1), drive, dtype=torch.float64)
    found = population.run(current, Recurrence(None, lambda t, s: s, connected=False), None, True)
    times = found.s.flatten().nonzero().flatten()
    to_cross = floor(log(1 - 1 / drive) / -DT * 20e-3) + 1
    assert int(times[0]) == to_cross - 1
    assert set(times.diff().tolist()) == {to_cross + max(hold - 1, 0)}
    k = torch.arange(1, to_cross + 1, dtype=torch.float64)
    assert found.v[:to_cross].flatten().tolist() == close((drive * (1 - exp(-1 / 20) ** k)).tolist(), rel=1e-12)
    gap = int(times[1] - times[0])
    assert float(found.z[times[1]]) == close(1 + exp(-gap / 20), rel=1e-12)


@BOTH
@pytest.mark.parametrize(
    ("kind", "wanted_s", "wanted_v"),
    [
        ("hard", [0, 1, 0, 1], [1.0, 1.25, 1.0, 2.0]),
        ("subtract", [0, 1, 1, 1], [1.0, 1.25, 1.25, 1.25]),
        ("hard_delayed", [0, 1, 0, 0], [1.0, 1.25, 0.0, 1.0]),
        ("subtract_delayed", [0, 1, 1, 1], [1.0, 1.25, 1.25, 1.25]),
        ("subtract_raised", [1, 0, 1, 1], [3.0, 2.0, 3.0, 3.0]),
    ],
)
def test_a_membrane_at_its_threshold_does_not_spike(kind, wanted_s, wanted_v, dtype):
    """Numbers that no rounding touches, of a unit without leak; 2 is not above a raised threshold."""
    step = coefficients(LIF(reset=kind, refractory=0.0, tau_s=0.0), DT, torch.ones(1, dtype=dtype))
    step = step._replace(a_m=torch.ones(1, dtype=dtype), k_e=torch.ones(1, dtype=dtype))
    added = [3.0, 0.0, 1.0, 1.0] if kind == "subtract_raised" else [1.0, 0.25, 1.0, 1.0]
    current = torch.tensor(added, dtype=dtype).view(-1, 1, 1)
    found = CompiledPopulation(step, 1).run(current, Recurrence(None, lambda t, s: s, connected=False), None, True)
    assert (found.s.flatten().int().tolist(), found.v.flatten().tolist()) == (wanted_s, wanted_v)


def test_a_spike_arrives_in_the_next_step():
    """s_0 of unit 0: I of unit 1 is w at step 1, w a_s at step 2, and moves its membrane by k_I of it."""
    step = coefficients(LIF(refractory=0.0), DT, torch.ones(2, dtype=torch.float64))
    current = torch.zeros(3, 1, 2, dtype=torch.float64)
    current[0, 0, 0] = 100.0
    wt = torch.tensor([[0.0, 0.5], [0.0, 0.0]], dtype=torch.float64)
    found = CompiledPopulation(step, 1).run(current, Recurrence(wt, lambda t, s: s @ wt), None, True)
    assert found.s[:, 0].int().tolist() == [[1, 0], [0, 0], [0, 0]]
    assert found.h[:, 0, 1].tolist() == close([0.0, 0.5, 0.5 * float(step.a_s[1])], rel=1e-12)
    assert float(found.v[1, 0, 1]) == close(0.5 * float(step.k_i[1]), rel=1e-12)


def test_spikes_are_counted_by_unit():
    s = torch.rand(300, 5, 7) < 0.9
    assert torch.equal(fired(s), s.sum((0, 1)))
    assert torch.equal(fired(s[3:, :, 1:4]), s[3:, :, 1:4].sum((0, 1)))


# ---- which simulates the units ----


def kind_of(backend, neuron, device="cpu"):
    return type(backend._make(neuron, 1, torch.ones(2, device=device), {})).__name__


@pytest.mark.parametrize("backend", [TwinBackend, SpikingBackend])
def test_units_go_through_the_loop_where_it_can_and_nothing_else_was_said(backend):
    simulator = {"lif": "LIFPopulation", "spiking": "Brian2Population"}[backend.name]
    assert kind_of(backend(DT), LIF()) == "CompiledPopulation"
    assert kind_of(backend(DT, execution=Execution(execution="event_loop")), LIF()) == "CompiledPopulation"
    assert kind_of(backend(DT, execution=Execution(execution="simulator", target="numpy")), LIF()) == simulator
    said = Execution(target="numpy")  # how Brian2 is run: nothing for the twin
    expected = "CompiledPopulation" if backend is TwinBackend else simulator
    assert kind_of(backend(DT, execution=said), LIF()) == expected


def test_what_the_loop_cannot_is_refused_where_it_was_asked_for():
    loop = Execution(execution="event_loop", target="numpy", loop="run")
    wanted = (
        "compute.execution: the event loop does without compute.loop and does without compute.target and has leaky "
        "integrate-and-fire units only; use auto"
    )
    with pytest.raises(InputError) as raised:
        SpikingBackend(DT, execution=loop)._make(with_lines(), 1, torch.ones(2), {})
    assert str(raised.value) == wanted
    with pytest.raises(InputError, match=r"the event loop computes on the CPU; use auto"):
        TwinBackend(DT, execution=loop)._make(LIF(), 1, torch.ones(2, device="meta"), {})
