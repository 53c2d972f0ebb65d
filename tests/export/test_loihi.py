"""Loihi exports: the file against one that lava loaded, the arithmetic against float64, and what is refused.

The arithmetic itself is held to recordings of lava in tests/backends/test_loihi.py.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from neuroanp.backends.loihi import begin, run
from neuroanp.backends.loihi_numbers import quantise, scales
from neuroanp.backends.neuron import LIF
from neuroanp.errors import InputError
from neuroanp.export.loihi import Loihi, peaks_of
from neuroanp.export.model import reference
from neuroanp.export.writing import write

h5py = pytest.importorskip("h5py", reason="pip install 'neuroanp[loihi]'")

from neuroanp.export import netx  # noqa: E402

DATA = Path(__file__).parent / "data"
LAVA = os.environ.get("NEUROANP_LAVA_PYTHON")
# time constants whose decays are whole numbers of 1/4096
EXACT = {"integration": "euler", "tau_m": 4.096 / 200, "tau_s": 4.096 / 1024, "tau_r": 4.096 / 208}
CASES = {
    "drive": {"sizes": (4, 32, 2), "seed": 0, "drive": 0.6},
    "small": {"sizes": (3, 12, 1), "seed": 1, "drive": 0.0},
    "large": {"sizes": (8, 64, 3), "seed": 2, "drive": 0.2},
}


def lif(**changed):
    return LIF(**{"refractory": 1e-3, "drive": 0.0, "input_gain": 6.0, **changed})


@pytest.fixture
def net(make_network):
    def build(sizes=(4, 32, 2), seed=0, neuron=None, **changed):
        changed = {"spikes_in": True, "steps": 100, "scale": 0.5, **changed}
        return make_network(sizes, seed=seed, neuron=lif() if neuron is None else neuron, **changed)

    return build


@pytest.fixture(params=CASES)
def exact(request, net):
    """Return a network whose decays the chip has."""
    case = dict(CASES[request.param])
    return net(neuron=lif(drive=case.pop("drive"), **EXACT), **case)


def exported(model, folder, **options):
    Loihi(**options).check(model)
    folder.mkdir()
    return Loihi(**options).export(model, folder)


def other(model, neuron, **changed):
    """Return the network with other units."""
    layers = (model.layer._replace(cell=neuron),)
    return replace(model, network=replace(model.network, layers=layers), **changed)


def matrices(network):
    """Return w_in, w and w_out of a network of one layer."""
    (layer,) = network.layers
    return layer.weight, layer.recurrent, network.outputs.weight


def as_held(model, out):
    """Return the network with the weights and the drive that the chip holds."""
    return other(model, model.neuron.model_copy(update={"drive": out.facts.get("drive", 0.0)}), weights=out.held)


def follows(model, traces, threshold, scale):
    """Return whether traces are the network's, up to the states' cuts to whole numbers.

    A cut is less than 1: currents are off by at most 1 / (1 - a_s), and membranes by (1 + 1 / (1 - a_s)) / (1 - a_m).
    A spike may differ where the membrane is that near to the threshold; from there on the two are different networks.
    """
    a_m, a_s = float(model.step.a_m[0]), float(model.step.a_s[0])
    v_off = (1 + 1 / (1 - a_s)) / (1 - a_m) / (64 * threshold)
    y_off = 1 / (1 - model.readout_decay) / scale
    true = reference(model)
    differs = true.s != traces.s
    for row in range(differs.shape[1]):
        differ = differs[:, row].any(-1)
        first = int(differ.argmax()) if differ.any() else len(differ)
        near = np.abs(true.v - 1)[first : first + 1, row][differs[first : first + 1, row]]
        good = [
            np.abs(true.v - traces.v)[: first + 1, row] <= v_off,
            np.abs(true.y - traces.y)[:first, row] <= y_off,
            near <= v_off,
            np.array(first > 20),
        ]
        if not all(each.all() for each in good):
            return False
    return True


def test_the_network_up_to_cuts(exact, tmp_path):
    out = exported(exact, tmp_path / "a")
    assert reference(exact).s.sum() > 50
    assert follows(as_held(exact, out), out.traces, out.facts["threshold"], out.facts["output_scale"])


def test_a_wrong_decay_or_step_is_seen(exact, tmp_path):
    out = exported(exact, tmp_path / "a")
    held, numbers = as_held(exact, out), (out.facts["threshold"], out.facts["output_scale"])
    for tau in ("tau_m", "tau_s", "tau_r"):
        near = 1e-3 / (1e-3 / getattr(held.neuron, tau) + 4 / 4096)
        wrong = other(held, held.neuron.model_copy(update={tau: near}))
        assert not follows(wrong, out.traces, *numbers)
    late = replace(out.traces, y=np.roll(out.traces.y, 1, 0))
    assert not follows(held, late, *numbers)
    inputs_late = replace(held, inputs=np.roll(held.inputs, 1, 0))
    assert not follows(inputs_late, out.traces, *numbers)


def test_weights_and_decays_are_within_half_a_step(exact, tmp_path):
    out, neuron, k_i = exported(exact, tmp_path / "a"), exact.neuron, float(exact.step.k_i[0])
    unit = 1 / (out.facts["threshold"] * k_i)
    units = {"w_in": unit / neuron.input_gain, "w": unit / neuron.synapse_gain, "w_out": 64 / out.facts["output_scale"]}
    for name, one in units.items():
        assert np.abs(out.held[name] - exact.weights[name]).max() <= one * (1 + 1e-9)
    assert out.facts["largest_weight"] == 254
    assert all(abs(wanted - got) < 1e-12 for wanted, got in out.decays.values())
    again = exported(other(exact, lif(tau_m=17e-3, tau_s=3e-3)), tmp_path / "b")
    assert all(0 < abs(wanted - got) <= 0.5 / 4096 for wanted, got in again.decays.values())


@pytest.mark.parametrize("bias", [False, True])
def test_the_file_read_back_gives_the_traces(bias, net, tmp_path):
    model = net(neuron=lif(drive=0.3, tau_s=0.0, synapse_gain=9.0), bias=bias)
    out = exported(model, tmp_path / "a")
    network = netx.read(tmp_path / "a" / "network.net")
    u = torch.from_numpy(np.pad(model.inputs.astype(np.int64), ((0, 1), (0, 0), (0, 0))))
    steps, _ = run(network, begin(network, u.shape[1]), u)
    state = steps.v_out if bias else steps.u_out
    assert out.traces.s.any()
    assert np.array_equal(steps.s[:-1].numpy(), out.traces.s)
    assert np.array_equal(state[1:].numpy() / out.facts["output_scale"], out.traces.y)
    assert not steps.s_out.any()
    assert np.array_equal(out.check.expected["spikes"], out.traces.s)
    assert np.array_equal(out.check.expected["output_state"] / out.facts["output_scale"], out.traces.y)
    assert str(out.check.stimulus["state"]) == ("v" if bias else "u")


def test_biases_of_units_and_outputs(net, tmp_path):
    model = net(bias=True, neuron=lif(drive=0.4), steps=300)
    weights = {"w_in": 0.01 * model.weights["w_in"], "w": 0.01 * model.weights["w"], "w_out": model.weights["w_out"]}
    weights["w_out"][:, -1] = [2.0, -3.0]
    weights["w_in"][:, -1] = np.linspace(-0.1, 0.04, 32)
    quiet = replace(model, weights=weights, inputs=0 * model.inputs)
    out, true = exported(quiet, tmp_path / "a"), reference(quiet)
    # units that stay silent settle where drive and bias hold them, and outputs at their bias
    assert out.traces.s.sum() == 0
    assert np.ptp(true.v[-1]) > 0.5
    assert np.allclose(out.traces.v[-1], true.v[-1], atol=0.02)
    assert np.allclose(out.traces.y[5:], [2.0, -3.0], rtol=1e-3, atol=0.01)
    assert np.allclose(out.held["w_in"][:, -1], weights["w_in"][:, -1], atol=1e-3)
    assert np.allclose(out.held["w_out"][:, -1], [2.0, -3.0], atol=0.01)


def layout(path):
    found = {}

    def visit(name, item):
        found[name] = dict(item.attrs), *((item.dtype, item.shape) if isinstance(item, h5py.Dataset) else ())

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return found


def test_the_layout_is_that_of_a_file_lava_loaded(net, tmp_path):
    exported(net(), tmp_path / "a")
    assert layout(tmp_path / "a" / "network.net") == layout(DATA / "loihi_cuba_4_32_2.net")


def test_a_file_lava_loaded_survives_a_round_trip(tmp_path):
    with np.load(DATA / "loihi_cuba_4_32_2.npz", allow_pickle=False) as known:
        network = netx.read(DATA / "loihi_cuba_4_32_2.net")
        for name, W in zip(("Win", "Wrec", "Wout"), matrices(network), strict=True):
            assert np.array_equal(known[name], W.numpy())
        hidden = network.layers[0].neurons
        assert [hidden.i_decay, hidden.v_decay, hidden.threshold] == [known[k] for k in ("iDecay", "vDecay", "vth")]
    netx.write(tmp_path / "again.net", network)
    again = netx.read(tmp_path / "again.net")
    assert all(torch.equal(a, b) for a, b in zip(matrices(network), matrices(again), strict=True))


def test_the_same_network_gives_the_same_bytes(net, tmp_path):
    files = exported(net(), tmp_path / "a").files
    exported(net(), tmp_path / "b")
    assert sorted(files) == sorted(path.name for path in (tmp_path / "a").iterdir())
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_headroom_keeps_states_in_24_bits(net, tmp_path):
    model = net(neuron=lif(tau_r=3.0), steps=300)
    out = exported(model, tmp_path / "a")
    assert out.facts["currents_wrapped"] == 0
    assert np.abs(out.traces.y).max() * out.facts["output_scale"] <= 2**23 / 1.5
    assert exported(model, tmp_path / "b", headroom=8.0).facts["output_scale"] < out.facts["output_scale"] / 3


def test_what_is_lost_is_told(net, tmp_path):
    model = net(bias=True, neuron=lif(drive=0.3))
    model.weights["w"][0, :3] = 1e-6
    said = "\n".join(exported(model, tmp_path / "a").limits)
    for word in ("one step late", "even whole number", "less than half a step", "rise with tau_s", "was not run"):
        assert word in said


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"spiking": False, "neuron": "none", "spikes_in": False}, ["backend: tanh", "--backend spiking"]),
        ({"spikes_in": False}, ["encoder: loihi takes spikes", "poisson"]),
        ({"neuron": lif(reset="subtract")}, ["neuron.reset: 'subtract'", "neuron.reset=hard"]),
        ({"neuron": lif(refractory=5e-3)}, ["neuron.refractory: '5 ms'", "neuron.refractory='1 ms'"]),
        ({"neuron": lif(decoder="count")}, ["neuron.decoder: 'count'", "neuron.decoder=trace"]),
        ({"neuron": lif(tau_m=20.0)}, ["neuron.tau_m: '20 s'", "up to '4.1 s'"]),
        ({"neuron": lif(tau_s=20.0, tau_r=30.0)}, ["neuron.tau_s: '20 s'", "neuron.tau_r: '30 s'"]),
        ({"neuron": lif(input_gain=1e9)}, ["times too large", "input_gain"]),
        ({"neuron": lif(drive=1e9)}, ["neuron.drive: a constant current", "times too large", "lower it"]),
        ({"neuron": lif(input_gain=1e-9, synapse_gain=1e-9)}, ["rounds to 0"]),
        ({"headroom": 1e7, "steps": 100}, ["w_out: all weights round to 0 where 24 bits hold an output of", "tau_r"]),
        ({"sizes": (1, 1, 1_000_000)}, ["hidden: 1000001 neurons, one chip has 1000000"]),
    ],
)
def test_what_is_refused(changed, words, make_network):
    changed = {"spikes_in": True, "steps": 5, "neuron": lif(), **changed}
    changed["neuron"] = None if changed["neuron"] == "none" else changed["neuron"]
    options = {"headroom": changed.pop("headroom")} if "headroom" in changed else {}
    with pytest.raises(InputError) as caught:
        Loihi(**options).check(make_network(changed.pop("sizes", (4, 8, 2)), **changed))
    assert all(word in str(caught.value) for word in words)


def test_weights_that_are_refused(net):
    for name, value, word in [("w_in", np.nan, "w_in: 1 weights are not finite"), ("w_out", None, "all weights are 0")]:
        model = net()
        if value is None:
            model.weights[name][:] = 0
        else:
            model.weights[name][0, 0] = value
        with pytest.raises(InputError, match=word):
            Loihi().check(model)
    with pytest.raises(InputError, match="neither 0 nor 1"):
        Loihi().check(replace(net(), inputs=2 * net().inputs))


def test_a_network_that_learned_on_the_chip_keeps_its_scales(net):
    with pytest.raises(InputError, match=r"headroom: the run learned on the chip's numbers.*leave it out"):
        Loihi(headroom=3.0).check(replace(net(), backend="loihi"))
    Loihi().check(replace(net(), backend="loihi"))


def test_all_problems_come_at_once(net):
    with pytest.raises(InputError) as caught:
        Loihi().check(net(spikes_in=False, neuron=lif(reset="subtract", refractory=4e-3, decoder="count")))
    assert len(caught.value.problems) == 4


def test_numbers_out_of_range_are_not_written(net, tmp_path):
    model = net()
    network = quantise(model, scales(model, peaks_of(model, 2.0))).network
    (layer,) = network.layers
    loud = layer._replace(neurons=layer.neurons._replace(bias=layer.neurons.bias + 4096))
    large = layer._replace(recurrent=0 * layer.recurrent + 256)
    for wrong_layer, words in [(large, "layer/0/weight_rec: 256 to 256"), (loud, "layer/0/bias: 4096")]:
        wrong = network._replace(layers=(wrong_layer,))
        with pytest.raises(InputError, match=words):
            netx.write(tmp_path / "wrong.net", wrong)
    assert not (tmp_path / "wrong.net").exists()


def replaced(key, **how):
    def change(file):
        del file[key]
        file.create_dataset(key, **how)

    return change


def linked(key, link):
    def change(file):
        del file[key]
        file[key] = link

    return change


def external(file):
    del file["layer/0/weight"]
    file.create_dataset("layer/0/weight", (32, 4), "f4", external=[("/dev/zero", 0, h5py.h5f.UNLIMITED)])


def virtual(file):
    source = h5py.VirtualSource("elsewhere.h5", "x", shape=(32, 4))
    layout = h5py.VirtualLayout(shape=(32, 4), dtype="f4")
    layout[:] = source
    del file["layer/0/weight"]
    file.create_virtual_dataset("layer/0/weight", layout)


W = np.zeros((32, 4), "f4")
HOSTILE = {
    "an external link": linked("layer/0/weight", h5py.ExternalLink("other.h5", "/x")),
    "a soft link": linked("layer/0/weight", h5py.SoftLink("/layer/1/weight")),
    "a layer elsewhere": linked("layer/1", h5py.ExternalLink("other.h5", "/layer/1")),
    "an external file": external,
    "a virtual array": virtual,
    "compressed": replaced("layer/0/weight", data=W, compression="gzip"),
    "another shape": replaced("layer/0/weight", data=W.T),
    "odd weights": replaced("layer/0/weight", data=W + 3),
    "large weights": replaced("layer/0/weight", data=W + 256),
    "no number": replaced("layer/0/weight", data=W + np.nan),
    "text": replaced("layer/0/weight", data=np.full((32, 4), b"1")),
    "a decay": replaced("layer/0/neuron/vDecay", data=4097),
    "a threshold": replaced("layer/0/neuron/vThMant", data=131072),
    "rest": replaced("layer/0/neuron/refDelay", data=2),
    "graded": replaced("layer/0/neuron/gradedSpike", data=True),
    "another type": replaced("layer/0/type", data=np.array([b"conv"], "S10")),
    "no ASCII": replaced("layer/0/type", data=np.array([b"\xff"], "S10")),
    "python objects": replaced("layer/0/type", data=["dense_rec"], dtype=h5py.string_dtype()),
    "huge": replaced("layer/0/inFeatures", data=2**62),
    "nothing stored": replaced("layer/0/weight", shape=(32, 4), dtype="f4"),
    "delays": lambda file: file.create_dataset("layer/0/delay", data=np.full((32, 4), 63)),
    "a bias": lambda file: file.create_dataset("layer/0/bias", data=np.full(32, 4096)),
    "missing": lambda file: file.__delitem__("layer/0/neuron/iDecay"),
    "no group": replaced("layer", data=1),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused(name, tmp_path):
    path = tmp_path / "bad.net"
    path.write_bytes((DATA / "loihi_cuba_4_32_2.net").read_bytes())
    with h5py.File(path, "a") as file:
        HOSTILE[name](file)
    with pytest.raises(InputError):
        netx.read(path)


def test_damaged_bytes_are_read_or_refused(tmp_path):
    whole, rng, path = (DATA / "loihi_cuba_4_32_2.net").read_bytes(), np.random.default_rng(0), tmp_path / "bad.net"
    refused = 0
    for attempt in range(150):
        data = bytearray(whole[: rng.integers(len(whole))] if attempt % 5 == 0 else whole)
        for at in rng.integers(0, max(len(data), 1), size=3 * bool(data)):
            data[at] = rng.integers(256)
        path.write_bytes(data)
        try:
            network = netx.read(path)
        except InputError:
            refused += 1
        else:
            assert max(int(block.weight.abs().max()) for block in network.blocks) <= 256
    assert refused > 30


@pytest.mark.skipif(
    LAVA is None, reason="NEUROANP_LAVA_PYTHON is not a Python 3.10 with lava-nc==0.10.0 lava-dl==0.6.0"
)
@pytest.mark.parametrize("bias", [False, True])
def test_lava_itself(bias, net, tmp_path):
    write(net(bias=bias, neuron=lif(drive=0.3)), "loihi", Loihi(), tmp_path / "a")
    ran = subprocess.run(
        [str(LAVA), "check.py"], cwd=tmp_path / "a", capture_output=True, text=True, timeout=300, check=False
    )
    assert (ran.returncode, ran.stdout[:4]) == (0, "PASS"), ran.stdout
    assert "(0 are not 0)" not in ran.stdout


def test_quantise_keeps_the_scale_it_says(net):
    model = net()
    held = quantise(model, scales(model, peaks_of(model, 2.0)))
    unit = held.threshold["hidden"] * float(model.step.k_i[0]) * model.neuron.synapse_gain
    assert np.array_equal(matrices(held.network)[1].numpy(), 2 * np.rint(model.weights["w"] * unit / 2))
