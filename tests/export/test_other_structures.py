"""Networks of several layers, other cells and units that differ: each format takes them whole, or refuses them."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from neuroanp.backends.neuron import LIF, NeuronModel
from neuroanp.backends.rate import RateBackend
from neuroanp.errors import InputError
from neuroanp.export.checks import spiking_only
from neuroanp.export.model import reference
from neuroanp.export.protocol import EXPORTERS
from neuroanp.export.source import model_of
from neuroanp.network.compose import Stacked, one_layer, stack
from neuroanp.network.gru import GRU
from neuroanp.network.tanh import Tanh
from neuroanp.records.run_dir import RunDir
from neuroanp.training.configure import configure
from neuroanp.training.launch import launch
from tests.close import close
from tests.export.conftest import network as plain
from tests.export.test_onnx_layers import layered

FORMATS = ["crossbar", "loihi", "nir", "rtl", "xylo"]


class Izhikevich(NeuronModel):
    """Units of one's own."""


def spiking(network):
    return replace(layered(network), spikes_in=True, inputs=(layered(network).inputs > 0).astype(float))


UNITS = plain(neuron=LIF(tau_s=0.0, refractory=0.0), spikes_in=True, steps=20)
OTHERS = {
    "two layers": spiking(stack(3, [Stacked(LIF(), 5), Stacked(LIF(), 4)], 2)),
    "rates of two layers": layered(stack(3, [Stacked(Tanh(), 5), Stacked(Tanh(), 4)], 2)),
    "no recurrence": spiking(stack(3, [Stacked(LIF(), 5, False)], 2)),
    "another cell": layered(stack(3, [Stacked(GRU(), 5)], 2)),
    "another neuron": spiking(stack(3, [Stacked(Izhikevich(), 5)], 2)),
    "units that differ": replace(UNITS, factors={"hidden": {"tau_m": np.linspace(0.9, 1.1, 32)}}),
}


@pytest.mark.parametrize(
    ("other", "names", "said"),
    [
        ("rates of two layers", ["loihi", "nir", "rtl", "xylo"], "backend: tanh units cannot be expressed in {}"),
        (
            "another cell",
            ["loihi", "nir", "rtl", "xylo"],
            "GRU units cannot be expressed in {}; train with cell lif in all layers",
        ),
        ("another neuron", FORMATS, ""),
        ("units that differ", ["loihi", "rtl", "xylo"], "units differ in tau_m"),
        ("two layers", ["loihi", "xylo"], "network.layers: .*(each connection takes a step|delay: 1)"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_by_it(other, names, said, tmp_path):
    for name in names:
        with pytest.raises(InputError, match=f"{name} cannot hold this network; nothing was written") as refused:
            EXPORTERS.get(name)().check(OTHERS[other])
        assert re.search(said.format(name), " ".join(refused.value.problems)), (name, refused.value.problems)


@pytest.mark.parametrize("name", ["loihi", "nir", "rtl", "xylo"])
def test_what_is_said_of_rates_leads_to_a_network_that_trains(name):
    """Layers of a cell of rates are refused on a backend of spikes as they are; a crossbar takes any."""
    with pytest.raises(InputError) as refused:
        EXPORTERS.get(name)().check(OTHERS["another cell"])
    assert "train with cell lif in all layers and --backend spiking, or export to onnx or crossbar" in str(
        refused.value
    )
    of_hidden = replace(OTHERS["another cell"], network=one_layer({n: W.shape for n, W in UNITS.weights.items()}))
    assert "train with --backend spiking, or export to onnx or crossbar" in spiking_only(of_hidden, name)[0]
    EXPORTERS.get("crossbar")().check(OTHERS["another cell"])


@pytest.mark.parametrize("name", FORMATS)
def test_weights_that_are_not_finite_are_told_with_it(name):
    model = OTHERS["another neuron"]
    weights = {**model.weights, "w": np.full_like(model.weights["w"], np.nan)}
    with pytest.raises(InputError) as refused:
        EXPORTERS.get(name)().check(replace(model, weights=weights))
    assert len(refused.value.problems) > 1
    assert "w: 25 weights are not finite; repeat the training" in refused.value.problems


def test_one_layer_of_other_names_is_no_other_network():
    shapes = {name: W.shape for name, W in UNITS.weights.items()}
    EXPORTERS.get("loihi")().check(replace(UNITS, network=one_layer(shapes, cell=LIF(tau_s=5e-3, refractory=0.0))))


CONFIG = {
    "task": {"name": "copy", "length": 2, "symbols": 2, "delay": 1, "test_size": 4},
    "training": {"updates": 1, "batch": 2, "controls": False},
}


def ran(tmp_path, **given) -> RunDir:
    return launch(configure({**CONFIG, **given}), tmp_path)


@pytest.mark.parametrize(
    "given",
    [
        {"network": {"layers": [{"cell": "gru", "units": 5}, {"cell": "relu", "units": 4}], "skip": True}},
        {"network": {"layers": [{"cell": "lif", "units": 5}, {"cell": "lif", "units": 4, "delay": 1}]},
         "backend": "lif", "neuron": "lif"},
    ],
    ids=["rates", "spikes"],
)  # fmt: skip
def test_the_network_of_a_run_is_taken_whole(tmp_path, given):
    model = model_of(ran(tmp_path, **given))
    assert [layer.units for layer in model.network.layers] == [5, 4]
    assert {name: W.shape for name, W in model.weights.items()} == model.network.shapes
    loss = model.score(reference(model).y)["loss"]
    assert loss == close(model.recorded, rel=1e-5)


def test_a_simulator_of_rates_that_are_its_own_is_refused(tmp_path, monkeypatch):
    record = ran(tmp_path, network={"hidden": 4})
    assert model_of(record).one_layer
    monkeypatch.setattr(RateBackend, "differentiable", lambda self, network: None)
    with pytest.raises(InputError, match="the units of backend 'rate' are its own: no format here can hold them"):
        model_of(record)
