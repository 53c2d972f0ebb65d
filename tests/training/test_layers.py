"""Runs of several layers: they train, go on bit for bit, are evaluated and read back; what is refused, and how."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuroanp import api
from neuroanp.baselines.network import forward
from neuroanp.errors import InputError
from neuroanp.noise import PassStreams, Streams
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import check_dump, configure, load_config
from neuroanp.training.evaluate import NOISY, HeldOutBatch
from neuroanp.training.launch import launch
from neuroanp.training.start import load_start
from neuroanp.yaml_io import parse
from tests.close import close

from .test_resume import same

SMALL = {
    "task": {"name": "copy", "length": 2, "delay": 1, "symbols": 2, "test_size": 5},
    "network": {"layers": [{"cell": "gru", "units": 5}, {"units": 4, "delay": 1}], "bias": True},
    "profile": "ideal",
    "perturbation": {"name": "gaussian", "sigma": 0.01},
    "training": {"updates": 6, "batch": 3, "controls": False},
    "compute": {"dtype": "float64"},
}
TWO = [{"cell": "gru", "units": 5}, {"units": 4}]
SPIKES = {"backend": "lif", "neuron": "lif"}


@pytest.mark.parametrize("rule", ["anp", "np", "bptt", "bptt1"])
def test_a_run_goes_on_bit_for_bit(rule):
    made = configure(SMALL, {"rule": rule, "profile": "pcm", "network.skip": rule == "anp"})
    if rule == "bptt1":  # over a delay a loss does not reach the layer below in its own step
        made = configure(made.to_plain(), {"network.layers": TWO})
    whole, cut, gone_on = (build_trainer(Experiment.of(made)) for _ in range(3))
    first = {name: W.clone() for name, W in whole.substrate.weights.items()}
    for _ in range(4):
        whole.step()
    for _ in range(2):
        cut.step()
    gone_on.load_state_dict(cut.state_dict())
    for _ in range(2):
        gone_on.step()
    assert same(whole.state_dict(), gone_on.state_dict())
    for name, W in whole.substrate.weights.items():
        assert not torch.equal(W, first[name]), name


@pytest.mark.parametrize("rule", ["anp", "np", "bptt"])
def test_descent_lowers_the_loss(rule):
    """Of the very network that is trained: mean loss of the last tenth against the first."""
    updates = 120
    replicas = {} if rule == "bptt" else {"rule.K": 8}
    made = configure(SMALL, {"rule": rule, "training.batch": 16, "optimizer.lr": 1e-2, **replicas}, updates=updates)
    trainer = build_trainer(Experiment.of(made))
    losses = [trainer.step()["train_loss"] for _ in range(updates)]
    assert np.mean(losses[-12:]) < 0.8 * np.mean(losses[:12])


def test_a_record_is_evaluated_read_back_and_started_from(tmp_path):
    record = launch(configure(SMALL, {"training.controls": True}), tmp_path)
    assert record.result is not None
    assert set(record.result["controls"]) >= {"constant_mean", "ridge", "ridge_all"}
    run = api.load_run(record.path)
    batch, weights = run.held_out(), run.weights()
    assert {name: tuple(W.shape) for name, W in weights.items()} == {
        "w_in": (15, 4), "w_1": (15, 5), "w_1_2": (4, 6), "w_2": (4, 4), "w_out": (2, 5),
    }  # fmt: skip
    assert batch.loss(forward(weights, batch.inputs).y.numpy()) == close(run.result["test_loss_noise_free"], rel=1e-10)
    assert batch.loss(run.predict(batch.inputs)) == run.result["test_loss"]
    start = load_start(str(record.path))
    again = build_trainer(Experiment.of(configure(SMALL, {"network.weights": str(record.path)})))
    assert all(torch.equal(W, start.arrays[name]) for name, W in again.substrate.weights.items())
    narrow = [{"cell": "gru", "units": 5}, {"units": 3, "delay": 1}]
    with pytest.raises(InputError, match=r"(?s)does not fit .*set network.layers\[1\].units to 4"):
        Experiment.of(configure(SMALL, {"network.weights": str(record.path), "network.layers": narrow}))
    assert load_config(record.config_path) == configure(SMALL, {"training.controls": True})


def test_the_frozen_control_trains_every_array_to_the_output_and_no_other(tmp_path):
    made = configure(SMALL, {"network.skip": True, "training.controls": True}, updates=3)
    record = launch(made, tmp_path)
    trainer = build_trainer(Experiment.of(made), trained=frozenset({"w_out", "w_1_out"}))
    for _ in range(3):
        trainer.step()
    batch = trainer.task.test(trainer.streams.generator("test"))
    held = HeldOutBatch.of(batch, trainer.substrate.weights.like, trainer.task.loss)
    assert record.result is not None
    assert record.result["controls"]["frozen_recurrence"] == trainer.evaluate(held).test_loss


def test_without_recurrence_layers_are_frozen_and_there_is_no_radius(tmp_path):
    """No recurrence is frozen then, and 0 would be the radius of one that is there."""
    forward = [{"cell": "relu", "units": 5, "recurrent": False}, {"units": 4, "recurrent": False}]
    made = configure({**SMALL, "network": {"layers": forward}}, {"training.controls": True}, updates=3)
    record = launch(made, tmp_path)
    assert record.result is not None
    assert {"frozen_layers", "frozen_recurrence"} & {*record.result["controls"]} == {"frozen_layers"}
    assert build_trainer(Experiment.of(made)).spectral_radius() is None
    found = record.metrics()
    assert np.isnan(found["spectral_radius"]).all()
    assert not np.isnan(found["test_loss"]).all()


@pytest.mark.parametrize(("name", "port", "units"), [("w_1", 0, 5), ("w_1", 1, 5), ("w_1", 2, 5), ("w_2", 0, 4)])
def test_the_spectral_radius_is_the_largest_of_any_layer_and_port(name, port, units):
    """Each port's square matrix by itself: one with nothing below its diagonal has the largest entry of that."""
    trainer = build_trainer(Experiment.of(configure(SMALL)))
    weights = trainer.substrate.weights
    for W in weights.values():
        W.zero_()
    assert trainer.spectral_radius() == 0.0
    diagonal = torch.linspace(-0.8, 0.5, units, dtype=torch.float64)
    square = torch.diag(diagonal) + torch.ones(units, units).triu(1)
    weights[name][port * units : (port + 1) * units] = square
    assert trainer.spectral_radius() == close(0.8, rel=1e-9)


def test_layers_are_recurrent_and_delayed_as_stated():
    layers = [{"units": 3, "recurrent": False}, {"units": 2, "delay": 1}, {"units": 4}]
    network = configure({**SMALL, "network": {"layers": layers}}).network_of(2, 1)
    assert {p.name: p.delay for p in network.projections} == {
        "w_in": 0, "w_1_2": 1, "w_2": 1, "w_2_3": 0, "w_3": 1, "w_out": 0,
    }  # fmt: skip
    assert network.units == {"input": 2, "hidden_1": 3, "hidden_2": 2, "hidden_3": 4, "output": 1}


def test_junctions_are_coupled_to_the_membranes_of_each_layer():
    """v = a v + (1 - a) n of either time constant moves by the profile's membrane_sigma of 0.08."""
    layers = [{"units": 10, "cell": {"name": "lif", "tau_m": tau}} for tau in ("8 ms", "20 ms")]
    changes = {
        **SPIKES,
        "network": {"layers": layers},
        "profile": "smtj_koenders",
        "dt": "1 ms",
        "perturbation": "none",
    }
    made = build_trainer(Experiment.of(configure(SMALL, changes)))
    noise = made.substrate.perturbation(NOISY, 200, PassStreams(made.streams, "train", 0))
    for name, tau in (("hidden_1", 8.0), ("hidden_2", 20.0)):
        a, v = np.exp(-1 / tau), torch.zeros(200, 10, dtype=torch.float64)
        for n in noise.draw(name, 0, 200)[:, 0]:  # pyright: ignore[reportOptionalSubscript]
            v = a * v + (1 - a) * n
        assert float(v.square().mean().sqrt()) == close(0.08, rel=4 / np.sqrt(2 * v.numel()))


@pytest.mark.parametrize(
    "network",
    [
        {"hidden": 7},
        {"hidden": 7, "output_gain": 0.1},
        {"layers": [{"units": 3}]},
        {"layers": [{"cell": {"name": "lstm", "f_bias": 0.5}, "units": 3, "recurrent": False}, {"units": 2}]},
        {"layers": [{"cell": "leaky_tanh", "units": 3}, {"cell": "relu", "units": 2, "delay": 1}], "skip": True},
    ],
)
def test_a_configuration_comes_back_from_what_it_writes(network):
    made = configure({**SMALL, "network": network})
    check_dump(made)
    written = parse(made.to_yaml(), "config.yaml").data
    assert configure(written) == made
    assert configure(made.to_plain()) == made
    assert ("layers" in written["network"]) == ("layers" in network)
    assert ("output_gain" in written["network"]) == ("output_gain" in network)
    assert ("hidden" in written["network"]) == ("hidden" in network)
    assert configure(written).network_of(2, 1) == made.network_of(2, 1)


@pytest.mark.parametrize("skip", [False, True])
def test_the_first_weights_of_the_outputs_are_as_large_as_is_said(skip):
    network = {**SMALL["network"], "skip": skip}
    usual, said = (
        Experiment.of(configure({**SMALL, "network": {**network, **gain}})) for gain in ({}, {"output_gain": 0.25})
    )
    first, scaled = (each.untrained(Streams(3)) for each in (usual, said))
    assert len(said.network.readout) == (2 if skip else 1)
    for name, W in first.items():
        assert torch.equal(scaled[name], W * (0.25 if name in said.network.readout else 1.0)), name
    assert torch.equal(build_trainer(said).substrate.weights["w_out"], said.first(Streams(0))["w_out"])
    assert said.identity != usual.identity


@pytest.mark.parametrize(
    ("changes", "key", "says"),
    [
        ({"network": {"layers": TWO, "hidden": 3}}, "network.hidden", "layers say how many units there are"),
        ({"network": {"layers": [{"cell": "gruu", "units": 5}]}}, "network.layers", "did you mean 'gru'"),
        ({"network": {"layers": [{"cell": "lif", "units": 5}]}}, "network.layers", "use backend 'lif' or 'spiking'"),
        (
            {"network": {"layers": [{"cell": "gru", "units": 5}]}, **SPIKES},
            "network.layers",
            "spiking units only (lif); use backend 'rate'",
        ),
        ({"network": {"layers": [{"units": 5, "delay": 1}]}}, "delay", "the first layer has none below"),
        ({"network": {"layers": [{"units": 5, "delay": 2}, {"units": 5}]}}, "delay", "0"),
        ({"network": {"output_gain": 0.1, "weights": "a"}}, "network.output_gain", "leave one of the two out"),
        (
            {"network": {"output_gain": 0.1}, "training": {"updates": 0, "refit": 64}},
            "network.output_gain",
            "changes nothing: with training.updates 0 training.refit fits the weights",
        ),
        ({"network": {"hidden": 3, "skip": True}}, "network.skip", "one layer has nothing to skip"),
        ({"network": {"layers": [{"units": 5}], "skip": True}}, "network.skip", "one layer has nothing to skip"),
        ({"network": {"layers": [{"units": 0}]}}, "units", "1"),
        ({"network": {"layers": [{"cell": "gru"}]}}, "units", ""),
        ({"network": {"layers": []}}, "network.layers", ""),
        ({"network": {"layers": [{"units": 5, "size": 3}]}}, "size", ""),
        ({"network": {"layers": [{"cell": {"name": "gru", "leak": 0.1}, "units": 3}]}}, "leak", ""),
    ],
)
def test_layers_that_cannot_be_are_said_with_the_key(changes, key, says):
    with pytest.raises(InputError) as refused:
        Experiment.of(configure({**SMALL, **changes}))
    said = "\n".join([str(refused.value), *refused.value.problems])
    assert key in said
    assert says in said
