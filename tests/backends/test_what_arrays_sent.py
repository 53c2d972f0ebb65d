"""Layers of spiking units against a plain loop: states, spikes, outputs, what arrays saw, what a rule makes of it."""

from __future__ import annotations

from dataclasses import replace
from math import exp

import numpy as np
import pytest
import torch

from neuroanp.backends.neuron import LIF
from neuroanp.backends.protocol import BACKENDS
from neuroanp.learning.anp import ANP
from neuroanp.learning.node_perturbation import NP
from neuroanp.losses import LOSSES
from neuroanp.network.compose import Stacked, one_layer
from neuroanp.network.network import INPUT, OUTPUT
from neuroanp.network.tanh import Tanh
from neuroanp.noise import PassStreams
from neuroanp.substrates.node_drive import NodeDrive
from neuroanp.tasks.protocol import Batch
from neuroanp.training.lab import Lab
from neuroanp.training.pass_learner import PassLearner
from neuroanp.training.presynaptic import Presynaptic
from neuroanp.trajectory import PassPlan
from tests.close import close
from tests.factors import factors_of

DT, SIZES = 1e-3, (70, 3, 4, 0, 2)
PLAN = PassPlan(noise=(1.0, 1.0, 0.0), stream=(0, 1, 2), pairs=((0, 1), (1, 2)))
LOWER = LIF(input_gain=9.0, synapse_gain=9.0, refractory=0.0, drive=0.6)
MIDDLE = LIF(input_gain=7.0, synapse_gain=14.0, tau_m=12e-3, tau_s=3e-3, drive=0.8)
LAYERS = {
    "at once": [Stacked(LOWER, 6), Stacked(MIDDLE, 5)],
    "late": [Stacked(LOWER, 6), Stacked(MIDDLE, 5, delay=1)],
    "three": [Stacked(LOWER, 6, recurrent=False), Stacked(MIDDLE, 5, delay=1), Stacked(LOWER, 4)],
}


def bench_of(make_bench, layers, skip, spikes_in, bias, device="ideal"):
    made = make_bench(
        device, backend="lif", sizes=SIZES, layers=LAYERS[layers], skip=skip, bias=bias, drive=NodeDrive(0.5, 0.1)
    )
    if spikes_in:
        made.inputs = (made.inputs > 0.5).to(made.inputs)
    return made


def loop(network, W, u, noise, spikes_in):
    """Do every step of every pass and sequence by the equations.

    Beside states: `pre`, what an array had sent by then to the units that it reaches: the filtered spikes of those
    before it that have reached the membrane by the end of the step.
    """
    T, (M, B) = len(u), noise[OUTPUT].shape[1:3]
    first, last = network.layers[0].cell, network.layers[-1].cell
    a_out, names = exp(-DT / last.tau_r), [layer.name for layer in network.layers]
    shapes = {name: (T, M, B, network.units[name]) for name in (*names, OUTPUT)}
    found = {what: {name: np.zeros(shapes[name]) for name in names} for what in ("h", "s", "z")}
    found["pre"] = {p.name: np.zeros((T, M, B, network.shapes[p.name][1])) for p in network.projections}
    y = np.zeros(shapes[OUTPUT])
    for m, b in np.ndindex(M, B):
        v, current, wait, z = ({name: np.zeros(network.units[name]) for name in names} for _ in range(4))
        told = {p.name: 0.0 for p in network.projections}
        traced, out, kept = np.zeros(network.inputs), np.zeros(network.outputs), {}
        for p in network.feed(OUTPUT):
            kept[p.name] = np.zeros(network.shapes[p.name][1])
        for t in range(T):
            spikes, earlier = {}, {name: z[name] for name in names}
            sent = traced if spikes_in else u[t, b]
            traced = exp(-DT / first.tau_r) * traced + u[t, b]
            for layer in network.layers:
                name, unit = layer.name, layer.cell
                a_m, a_s = exp(-DT / unit.tau_m), exp(-DT / unit.tau_s)
                external, turn = unit.drive + noise[name][t, m, b], 0.0
                for p in network.feed(name):
                    left = exp(-DT / (first if p.pre == INPUT else unit).tau_s)
                    on, before = [1.0 if p.pre == INPUT and not spikes_in else 1 - left] * p.bias, told[p.name]
                    told[p.name] = left * before + 1 - left
                    if p.pre == INPUT:
                        part = unit.input_gain * W[p.name] @ np.append(u[t, b], on)
                        external, turn = (external, turn + part) if spikes_in else (external + part, turn)
                        seen = np.append(sent, ([before] if spikes_in else [1.0]) * p.bias)
                    else:
                        part = unit.synapse_gain * W[p.name] @ np.append(spikes[p.pre], on)
                        turn, current[name] = (turn + part, current[name]) if p.delay else (turn, current[name] + part)
                        seen = earlier[p.pre] if p.delay else z[p.pre]
                        seen = np.append(seen, [before if p.delay else told[p.name]] * p.bias)
                    found["pre"][p.name][t, m, b] = seen
                found["h"][name][t, m, b] = current[name] + external
                wait[name] = np.maximum(wait[name] - 1, 0)
                k = unit.tau_s / (unit.tau_s - unit.tau_m) * (a_s - a_m)
                free = wait[name] == 0
                v[name] = np.where(free, a_m * v[name] + k * current[name] + (1 - a_m) * external, v[name])
                s = ((v[name] > 1) & free).astype(float)
                back = network.recurrence(name)
                if back is not None:
                    turn = turn + unit.synapse_gain * W[back.name] @ s
                    found["pre"][back.name][t, m, b] = earlier[name]
                current[name] = a_s * current[name] + turn
                z[name] = exp(-DT / unit.tau_r) * z[name] + s
                v[name] = np.where(s > 0, 0.0, v[name])
                wait[name] = np.where(s > 0, round(unit.refractory / DT), wait[name])
                spikes[name] = s
                found["s"][name][t, m, b], found["z"][name][t, m, b] = s, z[name]
            out = a_out * out
            for p in network.feed(OUTPUT):
                lines = np.append(spikes[p.pre], [1 - a_out] * p.bias)
                out = out + W[p.name] @ lines
                kept[p.name] = a_out * kept[p.name] + lines
                found["pre"][p.name][t, m, b] = kept[p.name]
            y[t, m, b] = out + noise[OUTPUT][t, m, b]
    return found, y


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("spikes_in", [False, True])
@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("layers", LAYERS)
def test_layers_are_the_equations_step_by_step(make_bench, layers, skip, spikes_in, bias):
    bench = bench_of(make_bench, layers, skip, spikes_in, bias)
    W = {name: part.numpy() for name, part in bench.weights.items()}
    expected, first = None, {}
    for chunk in (7, 64, 1):
        simulator = BACKENDS.get("lif")(DT, chunk, spikes_in=spikes_in)
        chunks = list(bench.chunks(PLAN, backend=simulator, keep="noise"))
        noise = {name: torch.cat([each.noise[name] for each in chunks]).numpy() for name in chunks[0].noise}
        if expected is None:
            first, expected = noise, loop(bench.network, W, bench.inputs.numpy(), noise, spikes_in)
        assert all(np.array_equal(noise[name], first[name]) for name in (*noise, *first))
        found, y = expected
        for name in chunks[0].layers:
            did = {what: np.concatenate([getattr(each.layers[name], part).numpy() for each in chunks])
                   for what, part in (("h", "h"), ("s", "spikes"), ("z", "z"))}  # fmt: skip
            np.testing.assert_array_equal(did["s"], found["s"][name])
            assert found["s"][name][:, 2].sum() > 4, "a silent layer shows nothing"
            for what in ("h", "z"):
                np.testing.assert_allclose(did[what], found[what][name], rtol=0, atol=1e-10)
        np.testing.assert_allclose(np.concatenate([each.y.numpy() for each in chunks]), y, rtol=0, atol=1e-10)
        plan = replace(PLAN, pre=1)
        pre = [Presynaptic.of(each, plan).by_array(bench.network) for each in chunks]
        for p in bench.network.projections:
            seen = np.concatenate([each[p.name].numpy() for each in pre])
            np.testing.assert_allclose(seen, found["pre"][p.name][:, 1], rtol=0, atol=1e-10, err_msg=p.name)


@pytest.mark.parametrize("rule", [ANP.model_validate({"preset": "spiking", "K": 2}), NP(K=2)], ids=["anp", "np"])
@pytest.mark.parametrize("layers", ["at once", "late"])
@pytest.mark.parametrize("backend", ["lif", "spiking"])
def test_an_update_is_the_outer_product_of_factors_and_what_arrays_had_sent(make_bench, backend, layers, rule):
    bench = bench_of(make_bench, layers, True, False, True)
    T, B, O = SIZES[0], SIZES[1], SIZES[-1]  # noqa: E741
    rng = np.random.default_rng(3)
    batch = Batch(bench.inputs.numpy(), rng.normal(size=(T, B, O)), np.ones(T))
    streams = PassStreams(bench.streams, "train", 5)
    lab = Lab(
        bench.inputs, torch.from_numpy(batch.targets), torch.from_numpy(batch.mask), bench.chip, bench.reads,
        BACKENDS.get(backend)(DT, 16), streams, 1 << 30, LOSSES.get("squared_error")(),
    )  # fmt: skip
    _, update = PassLearner(rule).learn({}, lab)
    plan = rule.plan()
    whole = replace(lab, backend=BACKENDS.get("lif")(DT, T))
    (chunk,) = whole.run(plan, "noise")
    credit = rule.assign(whole.losses(chunk), plan, DT)
    factors = factors_of(rule, chunk, credit, bench.weights, plan)
    W = {name: part.numpy() for name, part in bench.weights.items()}
    found, _ = loop(bench.network, W, bench.inputs.numpy(), {n: e.numpy() for n, e in chunk.noise.items()}, False)
    for name, dW in update.arrays.items():
        pre = found["pre"][name][:, plan.pre] if plan.pre is not None else found["pre"][name].mean(1)
        by_hand = np.einsum("tbi,tbj->ij", factors[name].numpy(), pre)
        size = float(np.abs(by_hand).max())
        assert size > 0, name
        scaled = by_hand / size * float(dW.abs().max())
        np.testing.assert_allclose(dW.numpy(), scaled, rtol=0, atol=1e-9 * float(dW.abs().max()))
        assert float(dW.abs().max()) / size == close(1 / (B * plan.differences), rel=1e-9)


@pytest.mark.parametrize(("backend", "cell"), [("rate", Tanh()), ("lif", LOWER), ("spiking", LOWER)])
def test_a_delay_of_inputs_is_refused_and_not_left_out(backend, cell):
    """The rollout knows it, of which the simulators and the rule would make another network."""
    plain = one_layer({"w_in": (3, 2), "w": (3, 3), "w_out": (1, 3)}, cell=cell)
    late = replace(plain, projections=(plain.projections[0]._replace(delay=1), *plain.projections[1:]))
    said = BACKENDS.get(backend).refuses(late)
    assert said == ["w_in: inputs act at once, and spikes of them as input_delay says; give it delay 0"]
    assert BACKENDS.get(backend).refuses(plain) == []


@pytest.mark.parametrize("options", [{}, {"decoder": "count"}])
@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("rule", [ANP(K=2), NP(K=2)], ids=["anp", "np"])
def test_stored_passes_take_no_more_than_is_said(make_bench, layers, rule, options):
    """By the tensors that are kept, each once; spikes take a byte and are counted as a number."""
    made = [each._replace(cell=each.cell.model_copy(update=options)) for each in LAYERS[layers]]
    bench = make_bench(
        "ideal", backend="lif", sizes=SIZES, layers=made, skip=True, bias=True, drive=NodeDrive(0.5, 0.1)
    )
    learner, plan = PassLearner(rule), rule.plan()
    keep = "noise" if rule.needs_noise else "all"
    kept: list[torch.Tensor] = []
    for chunk in bench.chunks(plan, backend=BACKENDS.get("lif")(DT, 32), keep=keep):
        compared, presynaptic = rule.compare(chunk, bench.weights, plan), Presynaptic.of(chunk, plan)
        kept += [*compared.d.values(), *presynaptic.layers.values(), *presynaptic.arrays.values()]
        kept += [gain for gain in compared.gain.values() if isinstance(gain, torch.Tensor)]
    found = {part.untyped_storage().data_ptr(): part.untyped_storage().nbytes() for part in kept}
    T, B = SIZES[0], SIZES[1]
    said = T * B * learner.numbers_kept(bench.network) * 8
    assert 0.7 * said < sum(found.values()) <= said
