"""Kinds of reset in what is exported: onnxruntime and Icarus Verilog do what the network does, the others refuse."""

from __future__ import annotations

import re
import shutil
import subprocess

import numpy as np
import pytest
import torch

from neuroanp.backends.lif import LIFPopulation
from neuroanp.backends.neuron import LIF
from neuroanp.backends.population import Recurrence
from neuroanp.errors import InputError
from neuroanp.export.fixed_point import fixed_point
from neuroanp.export.loihi import Loihi
from neuroanp.export.model import reference
from neuroanp.export.nir import Nir
from neuroanp.export.onnx import Onnx
from neuroanp.export.rtl import Rtl
from neuroanp.export.whole_numbers import Bits
from neuroanp.export.xylo import Xylo
from neuroanp.network.compose import Stacked, stack
from neuroanp.training.targets import TARGETS, misfits
from tests.backends.test_resets import KINDS, OTHERS
from tests.close import close
from tests.export.test_rtl import commands

OPTIONS = {"sizes": (4, 20, 2), "steps": 150, "bias": True}
ICARUS = shutil.which("iverilog") and shutil.which("vvp")


@pytest.fixture
def loud(make_network):
    """Return a function: a network of a kind of reset whose membranes exceed twice their threshold."""

    def build(kind, spikes_in=False, seed=3, **options):
        neuron = LIF(**{"reset": kind, "refractory": 0.0, "input_gain": 30.0, "synapse_gain": 6.0, **options})
        return make_network(**OPTIONS, seed=seed, spikes_in=spikes_in, neuron=neuron)

    return build


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("refractory", [0.0, 3e-3])
@pytest.mark.parametrize("spikes_in", [True, False])
def test_the_truth_of_exports_is_the_simulator(loud, kind, refractory, spikes_in):
    model = loud(kind, spikes_in, refractory=refractory)
    assert model.neuron is not None
    truth = reference(model)
    drive = torch.from_numpy(model.neuron.input_gain * (model.input_lines(model.inputs) @ model.weights["w_in"].T))
    constant = torch.full_like(drive, model.neuron.drive)
    current, incoming = (constant, drive) if spikes_in else (constant + drive, None)
    wt = torch.from_numpy(model.neuron.synapse_gain * model.weights["w"].T)
    population = LIFPopulation(model.step, drive.shape[1])
    population.begin()
    found = population.run(current, Recurrence(wt, lambda t, s: s @ wt), incoming, True)
    assert np.array_equal(truth.s, found.s.numpy())
    np.testing.assert_allclose(truth.v, found.v, rtol=0, atol=1e-12)
    assert truth.v.max() > 2.0


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("refractory", [0.0, 3e-3])
@pytest.mark.parametrize("spikes_in", [True, False])
def test_onnxruntime_spikes_where_the_network_does(loud, tmp_path, kind, refractory, spikes_in):
    pytest.importorskip("onnx", reason="pip install 'neuroanp[onnx]'")
    runtime = pytest.importorskip("onnxruntime", reason="pip install 'onnxruntime>=1.20'")
    model, exporter = loud(kind, spikes_in, refractory=refractory), Onnx(dtype="float64", states=True)
    exporter.check(model)
    exported, truth = exporter.export(model, tmp_path), reference(model)
    session = runtime.InferenceSession((tmp_path / "model.onnx").read_bytes(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(names, {"inputs": model.inputs}), strict=True))
    assert np.array_equal(found["spikes"], truth.s)
    assert np.array_equal(exported.traces.s, truth.s)
    np.testing.assert_allclose(found["v"], truth.v, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found["outputs"], truth.y, rtol=0, atol=1e-10)


def test_the_margin_that_is_told_is_that_of_the_threshold_in_force(loud, tmp_path):
    """In a network whose nearest passage of 1 is by a membrane that is compared with 2."""
    pytest.importorskip("onnx", reason="pip install 'neuroanp[onnx]'")
    for seed in range(50):
        model = loud("subtract_raised", seed=seed)
        truth = reference(model)
        left = np.concatenate([np.zeros_like(truth.v[:1]), (truth.v - truth.s)[:-1]])
        margin = np.abs(truth.v - np.where(left > 1, 2.0, 1.0)).min()
        if np.abs(truth.v - 1.0).min() < 0.9 * margin:
            break
    else:
        raise AssertionError("no such network")
    told = Onnx(dtype="float64").export(model, tmp_path).facts["smallest |v - threshold|"]
    assert float(told) == close(margin, rel=1e-9)


@pytest.mark.skipif(not ICARUS, reason="Icarus Verilog is missing: apt-get install iverilog")
@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("refractory", [0.0, 3e-3])
def test_icarus_runs_the_core_line_for_line(loud, tmp_path, kind, refractory):
    exported = Rtl(steps=60).export(loud(kind, refractory == 0.0, refractory=refractory), tmp_path)
    said = [
        subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
        for line in commands()
    ]
    assert [(each.returncode, each.stderr) for each in said] == [(0, ""), (0, "")]
    assert said[1].stdout.strip() == "PASS: 120 lines equal"
    assert exported.traces.s is not None
    assert exported.traces.s.sum() > 100


@pytest.mark.parametrize("kind", OTHERS)
def test_whole_numbers_spike_as_the_network_but_for_their_rounding(loud, tmp_path, kind):
    model = loud(kind)
    exported = Rtl(weight_bits=16, state_bits=40, decay_bits=16, input_bits=16).export(model, tmp_path)
    assert exported.traces.s is not None
    wrong = {other: (exported.traces.s != reference(loud(other)).s).mean() for other in KINDS}
    assert wrong[kind] < 0.02
    assert all(wrong[other] > 4 * wrong[kind] for other in KINDS if other != kind)


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize(
    ("exporter", "words"), [(Nir, "set to 0"), (Loihi, "resets to 0"), (Xylo, "subtracts the thr")]
)
def test_formats_that_cannot_say_it_refuse_it(loud, kind, exporter, words):
    late = ".* at once" if kind.endswith("delayed") else ""
    with pytest.raises(InputError, match=f"neuron.reset: '{kind}'.* {words}{late}.*; train with --set neuron.reset="):
        exporter().check(loud(kind, True))


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("name", TARGETS)
def test_targets_and_their_backends_refuse_it(kind, name):
    from neuroanp.backends.protocol import BACKENDS

    wanted = TARGETS[name].neuron["reset"]
    neuron = LIF(**{**TARGETS[name].neuron, "refractory": 0.0, "tau_s": 0.0, "reset": kind})
    said = f"{name} needs '{wanted}'; leave it out"
    assert (("neuron", "reset"), said, wanted) in misfits(name, neuron, True, 1e-3)
    if name != "nir":
        said = rf"backend '{name}' cannot do reset '{kind}' \(it has '{wanted}'\)"
        other = stack(2, [Stacked(LIF(refractory=0.0, reset=kind), 3)], 1)
        assert re.search(said, "; ".join(BACKENDS.get(name).refuses(other)))


@pytest.mark.parametrize("refractory", [0.0, 3e-3])
def test_states_have_room_for_a_subtraction_after_the_decay(loud, refractory):
    """v <- a v + d - threshold: what v cannot exceed is larger by threshold / (1 - a), as it may end below 0."""
    rooms = {}
    for kind in KINDS:
        fixed = fixed_point(loud(kind, refractory=refractory), Bits())
        rooms[kind] = fixed.reach["v"] / 2.0 ** fixed.layers["hidden"].fraction
    a_m = fixed.factors["a_m"] / 2**fixed.bits.decay
    assert rooms["subtract_delayed"] == close(rooms["subtract"] + 1 / (1 - a_m), rel=1e-4)
    assert rooms["hard"] == rooms["hard_delayed"] == rooms["subtract"] == rooms["subtract_raised"]
