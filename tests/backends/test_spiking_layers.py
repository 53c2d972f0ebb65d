"""Several layers of spiking units against a plain loop, their books by hand, and what rules are told of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuroanp.backends.network import TwinBackend
from neuroanp.backends.neuron import LIF
from neuroanp.network.compose import Stacked, stack
from neuroanp.network.network import INPUT, OUTPUT
from neuroanp.noise import PassStreams
from neuroanp.training.presynaptic import Presynaptic
from neuroanp.trajectory import PassPlan
from tests.close import close

PLAN = PassPlan(noise=(1.0, 1.0, 0.0), stream=(0, 1, 2), pairs=((0, 1),))
SILENT = PassPlan(noise=(0.0,), stream=(0,), pairs="mean")
DT = 1e-3
FIRST = LIF(tau_m=15e-3, tau_s=4e-3, input_gain=20.0, synapse_gain=6.0)
SECOND = LIF(tau_m=25e-3, tau_s=7e-3, input_gain=9.0, synapse_gain=14.0, reset="subtract", refractory=0.0)


def bench_of(make_bench, delay, bias, spikes_in, decoder="trace", **options):
    first, second = (cell.model_copy(update={"decoder": decoder}) for cell in (FIRST, SECOND))
    layers = [Stacked(first, 7), Stacked(second, 5, delay=delay), Stacked(first, 4, recurrent=False, delay=1 - delay)]
    bench = make_bench(backend="lif", layers=layers, skip=True, bias=bias, **options)
    if spikes_in:
        bench.inputs = (bench.inputs > 0.6).to(bench.inputs)
    return bench


def lines(p, network, u, s, on, spikes_in):
    """What the word lines of an array see in a step, and the bias line with them."""
    x = u if p.pre == INPUT else s[p.pre]
    level = 1.0 if p.pre == INPUT and not spikes_in else on
    return np.append(x, [level] * p.bias)


def loop(bench, W, noise, spikes_in):
    """Do every step of every layer, pass and sequence by the equations; names of layers: h, s, z; "output": y."""
    network, u = bench.network, bench.inputs.numpy()
    T, M, B = noise[OUTPUT].shape[:3]
    found = {
        layer.name: {part: np.zeros((T, M, B, layer.units)) for part in "hsz"} for layer in network.layers
    }  # fmt: skip
    y_of = np.zeros((T, M, B, network.outputs))
    cells = {layer.name: layer.cell for layer in network.layers}
    last = network.layers[-1].cell
    a, line = (1.0, 1.0 / T) if last.decoder == "count" else (np.exp(-DT / last.tau_r), 1 - np.exp(-DT / last.tau_r))
    for m, b in np.ndindex(M, B):
        at = {layer.name: {part: np.zeros(layer.units) for part in ("v", "I", "z", "wait")} for layer in network.layers}
        y = np.zeros(network.outputs)
        for t in range(T):
            s = {}
            for name, cell in cells.items():
                now, a_m, a_s = at[name], np.exp(-DT / cell.tau_m), np.exp(-DT / cell.tau_s)
                external, arriving, turn = cell.drive + noise[name][t, m, b], 0.0, 0.0
                for p in network.feed(name):
                    gain = cell.input_gain if p.pre == INPUT else cell.synapse_gain
                    part = gain * W[p.name] @ lines(p, network, u[t, b], s, 1 - a_s, spikes_in)
                    if p.pre == INPUT and not spikes_in:
                        external = external + part
                    elif p.pre == INPUT or p.delay:
                        turn = turn + part
                    else:
                        arriving = arriving + part
                J = now["I"] + arriving
                now["wait"] = np.maximum(now["wait"] - 1, 0)
                moved = a_m * now["v"] + cell.tau_s / (cell.tau_s - cell.tau_m) * (a_s - a_m) * J
                v = np.where(now["wait"] > 0, now["v"], moved + (1 - a_m) * external)
                s[name] = ((v > 1) & (now["wait"] == 0)).astype(float)
                back = network.recurrence(name)
                own = 0.0 if back is None else cell.synapse_gain * W[back.name] @ s[name]
                now["I"] = a_s * J + own + turn
                now["z"] = np.exp(-DT / cell.tau_r) * now["z"] + s[name]
                now["v"] = np.where(s[name] > 0, v - 1 if cell.reset == "subtract" else 0.0, v)
                now["wait"] = np.where(s[name] > 0, round(cell.refractory / DT), now["wait"])
                for part, value in (("h", J + external), ("s", s[name]), ("z", now["z"])):
                    found[name][part][t, m, b] = value
            y = a * y + sum(W[p.name] @ np.append(s[p.pre], [line] * p.bias) for p in network.feed(OUTPUT))
            y_of[t, m, b] = y + noise[OUTPUT][t, m, b]
    return found, y_of


CASES = pytest.mark.parametrize(
    ("delay", "bias", "spikes_in", "decoder"),
    [(0, True, False, "trace"), (1, True, True, "trace"), (0, False, True, "count"), (1, True, False, "count")],
)


@CASES
def test_passes_of_several_layers_equal_a_plain_loop(make_bench, delay, bias, spikes_in, decoder):
    bench = bench_of(make_bench, delay, bias, spikes_in, decoder)
    noise = bench.chip.perturbation(PLAN, bench.B, PassStreams(bench.streams, "train", 5))
    drawn = {name: noise.draw(name, 0, bench.T).numpy() for name in bench.network.noisy}
    W = {name: plan.W.numpy() for name, plan in bench.reads.items()}
    expected, y = loop(bench, W, drawn, spikes_in)
    found = bench.passes(PLAN, backend=TwinBackend(DT, 16, spikes_in=spikes_in))
    for name, did in found.layers.items():
        np.testing.assert_array_equal(did.spikes.numpy(), expected[name]["s"])
        assert 0.005 < expected[name]["s"].mean() < 0.4
        for part, value in (("h", did.h), ("z", did.z)):
            np.testing.assert_allclose(value.numpy(), expected[name][part], rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.y.numpy(), y, rtol=0, atol=1e-10)


def test_layers_that_are_alike_have_states_of_their_own(make_bench):
    """The same cell, as many units, the same rows: two populations, chunk after chunk."""
    bench = make_bench(backend="lif", layers=[Stacked(FIRST, 6), Stacked(FIRST, 6)])
    noise = bench.chip.perturbation(PLAN, bench.B, PassStreams(bench.streams, "train", 5))
    drawn = {name: noise.draw(name, 0, bench.T).numpy() for name in bench.network.noisy}
    expected, _ = loop(bench, {name: plan.W.numpy() for name, plan in bench.reads.items()}, drawn, False)
    found = bench.passes(PLAN, backend=TwinBackend(DT, 16))
    for name, did in found.layers.items():
        np.testing.assert_array_equal(did.spikes.numpy(), expected[name]["s"])
        assert did.spikes.any()


@CASES
def test_gradient_and_ridge_see_the_several_layers_that_are_presented(make_bench, delay, bias, spikes_in, decoder):
    bench = bench_of(make_bench, delay, bias, spikes_in, decoder, sigma=None)
    backend = TwinBackend(DT, spikes_in=spikes_in)
    found, weights = bench.passes(SILENT, backend=backend), bench.chip.weights
    outputs, traces = backend.differentiable(bench.network), backend.activity(bench.network)
    assert outputs is not None
    assert traces is not None
    torch.testing.assert_close(outputs(weights, bench.inputs), found.y[:, 0], rtol=0, atol=1e-9)
    x = traces(weights, bench.inputs.numpy())
    for name, did in found.layers.items():
        read = did.spikes[:, 0].double().cumsum(0) if decoder == "count" else did.z[:, 0]
        torch.testing.assert_close(x[name], read, rtol=0, atol=1e-9)


@CASES
@pytest.mark.parametrize("chunk", [5, 64])
def test_presynaptic_is_what_moves_a_membrane_in_its_step(make_bench, delay, bias, spikes_in, decoder, chunk):
    """The trace of the layer below at this step, over a delay of the step before; a bias line, J of a weight of 1."""
    bench = bench_of(make_bench, delay, bias, spikes_in, decoder)
    found = bench.passes(PLAN, backend=TwinBackend(DT, chunk, spikes_in=spikes_in))
    told = [Presynaptic.of(part, PLAN).by_array(bench.network) for part in found.chunks]
    for p in bench.network.projections:
        if p.pre == INPUT or p.post == OUTPUT:
            continue
        z = found.layers[p.pre].z.mean(1)
        x = torch.cat([0 * z[:1], z[:-1]]) if p.delay else z
        pre = torch.cat([each[p.name] for each in told])
        torch.testing.assert_close(pre[..., : x.shape[-1]], x, rtol=0, atol=1e-12)
        if not p.bias:
            assert pre.shape == x.shape
            continue
        a_s, current = np.exp(-DT / bench.network.layer(p.post).cell.tau_s), 0.0
        for t in range(bench.T):
            if not p.delay:
                current += 1 - a_s  # arrives, and moves the membrane
            np.testing.assert_allclose(pre[t, :, -1].numpy(), current, rtol=1e-9, atol=1e-12)
            current = a_s * current + (1 - a_s if p.delay else 0.0)


@pytest.mark.parametrize("spikes_in", [False, True])
def test_spikes_events_and_reads_of_several_layers_by_hand(make_bench, spikes_in):
    """A spike is read by every array behind its unit, for as many weights as that has bit lines."""
    bench = bench_of(make_bench, 0, True, spikes_in, profile="mixed_signal_neurons")
    before = bench.chip.ledger.report()
    found = bench.passes(PLAN, backend=TwinBackend(DT, 16, spikes_in=spikes_in))
    after, count = bench.chip.ledger.report(), {name: int(did.spikes.sum()) for name, did in found.layers.items()}
    events = 0
    for p in bench.network.projections:
        rows = bench.network.shapes[p.name][0]
        if p.pre != INPUT:
            events += count[p.pre] * rows
        elif spikes_in:
            events += 3 * int(bench.inputs.sum()) * rows
    assert after["spikes"] - before["spikes"] == sum(count.values()) > 0
    assert after["events"] - before["events"] == events
    reads = len(bench.network.projections) * 3 * bench.B * bench.T
    assert after["reads"] - before["reads"] == reads
    spent = {name: after["energy"][name] - (before["energy"][name] or 0.0) for name in ("spikes", "synaptic_events")}
    neurons = bench.chip.profile.neurons
    assert spent["spikes"] == close(sum(count.values()) * neurons.energy_per_spike, rel=1e-9)
    assert spent["synaptic_events"] == close(events * neurons.energy_per_event, rel=1e-9)


def test_the_highest_rate_is_that_of_the_fastest_units():
    slow, fast = (LIF(refractory=rest) for rest in (10e-3, 4e-3))
    for layers in ([Stacked(slow, 3), Stacked(fast, 3)], [Stacked(fast, 3), Stacked(slow, 3)]):
        assert TwinBackend(DT).highest_rate_Hz(stack(2, layers, 1)) == close(250.0, rel=1e-12)


def test_units_are_made_anew_for_a_chip_whose_neurons_differ_otherwise(make_bench):
    """The same factors in another order: the population of one chip is not that of the next."""
    bench = make_bench("mixed_signal_neurons", backend="lif", cell=FIRST)
    factors, one, found = bench.chip._neurons["hidden"], TwinBackend(DT), []
    for order in (slice(None), torch.arange(6, -1, -1), slice(None)):
        bench.chip._neurons = {"hidden": {name: factor[order].clone() for name, factor in factors.items()}}
        spikes = bench.passes(PLAN, backend=one).spikes
        assert torch.equal(spikes, bench.passes(PLAN, backend=TwinBackend(DT)).spikes)
        found.append(spikes)
    assert torch.equal(found[0], found[2])
    assert not torch.equal(found[0], found[1])


@pytest.mark.parametrize("change", [{"tau_r": 5e-3}, {"decoder": "count"}])
def test_layers_that_the_output_would_filter_differently_are_refused(change):
    layers = [Stacked(FIRST, 2), Stacked(FIRST.model_copy(update=change), 2)]
    assert TwinBackend.refuses(stack(1, layers, 1, skip=True)) == [
        "tau_r: hidden_1 and hidden_2 reach the output: give their units the same tau_r and the same decoder"
    ]
    assert TwinBackend.refuses(stack(1, layers, 1)) == []
