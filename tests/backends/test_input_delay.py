"""Input spikes that act in the step they come in: all simulators say what the equations say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuroanp.backends.network import SpikingBackend, TwinBackend
from neuroanp.backends.neuron import LIF
from neuroanp.backends.protocol import Request
from neuroanp.errors import InputError
from neuroanp.export.model import Model, reference
from neuroanp.network.compose import Stacked, stack
from neuroanp.noise import PassStreams
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.trajectory import PassPlan, Weights

NEURON = LIF(refractory=0.0, input_gain=9.0, synapse_gain=3.0)


def _network(delay):
    network = stack(3, [Stacked(NEURON, 6), Stacked(NEURON, 4)], 2, bias=True, skip=True, input_delay=delay)
    rng = np.random.default_rng(0)
    arrays = {name: torch.from_numpy(rng.normal(size=shape)) for name, shape in network.shapes.items()}
    return Weights(arrays, network)


def _spikes_in():
    return (np.random.default_rng(1).random((80, 2, 3)) < 0.2).astype(float)


def _truth(weights, u):
    arrays = {name: W.numpy() for name, W in weights.items()}
    return reference(Model("net", arrays, weights.network, 1e-3, True, u, lambda y: {}))


@pytest.mark.parametrize("delay", [0, 1])
@pytest.mark.parametrize("backend", [TwinBackend, SpikingBackend])
def test_simulators_and_the_reference_agree(delay, backend):
    weights, u = _network(delay), _spikes_in()
    made = backend(1e-3, spikes_in=True)
    truth, inputs = _truth(weights, u), torch.from_numpy(u)
    traces = made.activity(weights.network)(weights, inputs)
    last = np.concatenate([each.numpy() for each in traces.values()], -1)
    z, zs = np.zeros_like(last[0]), []
    assert truth.s is not None
    for s in truth.s:
        z = np.exp(-1 / 20) * z + s
        zs.append(z)
    np.testing.assert_allclose(last, np.array(zs), atol=1e-9)
    np.testing.assert_allclose(made.differentiable(weights.network)(weights, inputs).numpy(), truth.y, atol=1e-9)


def test_without_it_a_spike_comes_a_step_earlier():
    """All else is the same where nothing but the input starts anything."""
    now, later = (_truth(_silent_bias(_network(delay)), _spikes_in()).s for delay in (0, 1))
    assert now.sum() > 20
    assert np.array_equal(now[:-1], later[1:])


def _silent_bias(weights):
    arrays = {name: W.clone() for name, W in weights.items()}
    for p in weights.network.projections:
        if p.bias:
            arrays[p.name][:, -1] = 0.0
    cells = NEURON.model_copy(update={"drive": 0.0})
    layers = [Stacked(cells, layer.units) for layer in weights.network.layers]
    return Weights(arrays, stack(3, layers, 2, True, True, weights.network.input_delay))


def test_it_is_of_spikes_alone_and_no_chip_has_it():
    with pytest.raises(InputError, match=r"network\.input_delay: 0 is of inputs that are spikes"):
        configure({"task": "xor", "backend": "lif", "network": {"input_delay": 0}})
    with pytest.raises(InputError, match=r"network\.input_delay: xylo: input spikes act a step later; leave it out"):
        configure({"task": "xor", "network": {"input_delay": 0}}, target="xylo")
    spiking = {"task": "xor", "backend": "lif", "encoder": "poisson"}
    plain = configure({**spiking, "network": {"input_delay": 0}}).to_plain()
    assert plain["network"]["input_delay"] == 0
    assert "input_delay" not in configure(spiking).to_plain()["network"]


@pytest.mark.parametrize("delay", [0, 1])
def test_the_presynaptic_activity_of_the_input_is_what_has_moved_a_membrane(delay):
    """The trace of an input line holds a spike from the step in which it acts; that of the bias line likewise."""
    plain = {"task": "xor", "backend": "lif", "encoder": {"name": "poisson", "rate": "300 Hz"}}
    sizes = {"network": {"hidden": 5, "bias": True, "input_delay": delay}, "compute": {"dtype": "float64"}}
    trainer = build_trainer(Experiment.of(configure({**plain, **sizes})))
    noise, like = PassStreams(trainer.streams, "test", 0), trainer.substrate.weights.like
    u = torch.from_numpy((np.random.default_rng(0).random((30, 2, trainer.task.inputs)) < 0.3).astype(float)).to(like)
    plan = PassPlan(noise=(1.0,), stream=(0,), pairs="mean")
    reads = trainer.substrate.prepare(30 * trainer.dt, noise)
    chunks = [*trainer.backend.run(Request(trainer.substrate, reads, u, plan, noise))]
    seen = torch.cat([chunk.u for chunk in chunks]).numpy()
    trace, synapse = np.exp(-1 / 20), np.exp(-1 / 5)
    z, told = np.zeros(u.shape[1:]), 0.0
    for t, now in enumerate(u.numpy()):
        before = np.concatenate([z, np.full((2, 1), told)], -1)
        z, told = trace * z + now, synapse * told + 1 - synapse
        after = np.concatenate([z, np.full((2, 1), told)], -1)
        np.testing.assert_allclose(seen[t], before if delay else after, atol=1e-12)
