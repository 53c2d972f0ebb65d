"""Backends of chips: a presentation is what the exported numbers do, spike for spike, on whatever weights there are."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
import torch

from neuroanp.backends.chips import ChipLayer
from neuroanp.backends.integer import IntegerBackend, LoihiBackend
from neuroanp.backends.network import TwinBackend
from neuroanp.backends.neuron import LIF
from neuroanp.backends.protocol import BACKENDS, Request
from neuroanp.errors import InputError
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import load
from neuroanp.substrates.chip import DeviceChip
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.described import describe as described
from neuroanp.trajectory import Weights
from tests.backends.whole_numbers import (
    DT,
    KINDS,
    NEURONS,
    SILENT,
    SIZES,
    activity,
    backend_of,
    changed,
    exported,
    network,
    present,
)
from tests.close import close

NAMES = [name for name in BACKENDS.names() if BACKENDS.get(name).digital]
DTYPES = [torch.float32, torch.float64]


@pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
@pytest.mark.parametrize("bias", [False, True], ids=["plain", "bias"])
@pytest.mark.parametrize(("sizes", "seed"), [(sizes, seed) for seed, sizes in enumerate(SIZES)])
@pytest.mark.parametrize("name", KINDS)
def test_a_presentation_is_what_the_exported_numbers_do(name, sizes, seed, bias, dtype):
    weights, u = network(name, sizes, seed, bias, dtype)
    s, y, v = present(backend_of(name), weights, u)
    s_wanted, y_wanted, v_wanted = exported(name, weights, u)
    assert int(s_wanted.sum()) > 100
    assert torch.equal(s.long(), s_wanted)
    rounding = 1e-6 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(v, v_wanted.to(dtype), rtol=rounding, atol=rounding)
    torch.testing.assert_close(y, y_wanted.to(dtype), rtol=rounding, atol=rounding)


@pytest.mark.parametrize("name", KINDS)
def test_a_weight_of_one_step_more_is_seen(name):
    """The comparison above can fail: one weight of w by one step of its grid."""
    weights, u = network(name, SIZES[0], bias=True)
    backend = backend_of(name)
    before = present(backend, weights, u)
    grid = backend.chip.grids["w"]
    busy = int(before[0].long().sum((0, 1)).argmax())
    other = changed(weights)
    other["w"][:, busy] += 1.01 * grid.step / grid.scale.squeeze(-1)
    after = present(backend, other, u)
    assert not torch.equal(after[2], before[2])
    assert torch.equal(present(backend, weights, u)[2], before[2])  # scales follow the weights back again


@pytest.mark.parametrize("chunk", [1, 7, 1000])
@pytest.mark.parametrize("name", KINDS)
def test_activity_sees_the_spikes_of_a_silent_presentation(name, chunk):
    weights, u = network(name, SIZES[1], 3, bias=True)
    backend = backend_of(name, chunk)
    s, _, _ = present(backend, weights, u)
    z, trace = activity(backend, weights, u.numpy()), backend._decays(weights.network)["hidden"][0]
    kept = torch.zeros_like(z[0])
    for spikes, now in zip(s, z, strict=True):
        kept = trace * kept + spikes
        torch.testing.assert_close(now, kept, rtol=0, atol=1e-9)
    assert torch.equal(activity(backend, weights, u), z)


def surrogate(backend, weights: Weights, u: torch.Tensor, held=None) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return outputs of the twin and the gradients of a number made of them."""
    W = {name: (held or weights)[name].clone().requires_grad_() for name in weights}
    y = backend.differentiable(weights.network)(Weights(W, weights.network), u)
    (y * torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view_as(y)).sum().backward()
    return y.detach(), {name: part.grad for name, part in W.items() if part.grad is not None}


@pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
@pytest.mark.parametrize("name", KINDS)
def test_the_gradient_of_rounding_is_1(name, dtype):
    weights, u = network(name, SIZES[0], 5, bias=True, dtype=dtype, steps=60)
    backend, twin = backend_of(name), TwinBackend(DT, 64, spikes_in=True)
    y, gradient = surrogate(backend, weights, u)
    held = backend.chip.held(dict(weights.items()))
    # bias lines of the twin are driven by what is left of a decay, of which the chip has its own
    twin._decays = backend._decays
    y_twin, wanted = surrogate(twin, weights, u, held)
    rounding = 1e-4 if dtype == torch.float32 else 1e-9
    torch.testing.assert_close(y, y_twin, rtol=rounding, atol=rounding)
    assert gradient.keys() == wanted.keys() == {"w_in", "w", "w_out"}
    for key in wanted:
        torch.testing.assert_close(gradient[key], wanted[key], rtol=rounding, atol=rounding)
        assert bool(wanted[key].any())
    assert not torch.equal(surrogate(twin, weights, u)[0], y)  # weights that are not rounded give others


# ---- what is refused ----


def rehearse(name, neuron):
    """Ask a backend for a network of such units, and say what it says."""
    backend_of(name).rehearse(network(name, SIZES[2], neuron=neuron)[0].network, {"hidden": {}})


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("loihi", {"reset": "subtract"}, "backend 'loihi' cannot do reset 'subtract' (it has 'hard'); use backend"),
        ("xylo", {"reset": "hard"}, "backend 'xylo' cannot do reset 'hard' (it has 'subtract'); use backend 'lif'"),
        ("loihi", {"refractory": 2e-3}, "backend 'loihi' cannot do refractory 0.002 (it has 0.0)"),
        ("xylo", {"refractory": 2e-3}, "backend 'xylo' cannot do refractory 0.002 (it has 0.0)"),
        ("loihi", {"decoder": "count"}, "backend 'loihi' cannot do decoder 'count' (it has 'trace')"),
        ("xylo", {"decoder": "count"}, "backend 'xylo' cannot do decoder 'count' (it has 'trace')"),
        ("xylo", {"tau_s": 0.0}, "backend 'xylo' cannot do tau_s 0 (its currents last); use backend 'lif'"),
        ("loihi", {"tau_m": DT}, "neuron.tau_m: '1 ms' must be longer than one step"),
    ],
)  # fmt: skip
def test_units_that_the_chip_has_not_are_refused(name, options, said):
    neuron = NEURONS[name].model_copy(update=options)
    with pytest.raises(InputError) as refused:
        rehearse(name, neuron)
    assert said in str(refused.value)
    rehearse(name, NEURONS[name])


def test_all_that_is_wrong_with_units_is_told_at_once_and_none_stated_are_the_chip_s():
    with pytest.raises(InputError) as refused:
        rehearse("loihi", LIF(reset="subtract", decoder="count"))
    assert "reset 'subtract' (it has 'hard'), refractory 0.002 (it has 0.0), decoder 'count'" in str(refused.value)
    for name, kind in KINDS.items():
        units = configure({"task": "xor"}, backend=name).neuron
        assert isinstance(units, LIF)
        assert (units.reset, units.refractory) == (kind.reset, 0.0) == (NEURONS[name].reset, 0.0)
        rehearse(name, units)


def test_loihi_has_currents_of_one_step():
    """tau_s 0 is a decay of 4096 / 4096; a Xylo's current would be gone before it acts."""
    neuron = NEURONS["loihi"].model_copy(update={"tau_s": 0.0, "input_gain": 12.0})
    weights, u = network("loihi", SIZES[0], 1, neuron=neuron)
    backend = LoihiBackend(DT, 64)
    s, _, v = present(backend, weights, u)
    s_wanted, _, v_wanted = present(TwinBackend(DT, 64, spikes_in=True), weights, u)
    assert backend._decays(weights.network)["hidden"][1] == 0.0
    assert int(s_wanted.sum()) > 100
    assert int(s.sum()) == close(int(s_wanted.sum()), rel=0.05)
    before = int((s != s_wanted).flatten(1).any(1).long().argmax())  # from then on spikes differ, as weights do
    assert before > 5
    torch.testing.assert_close(v[:before], v_wanted[:before], rtol=0, atol=0.05)


TINY = {
    "task": {"name": "xor", "start": 2, "pulse": 5, "gap": 2, "delay": 2, "window": 5, "test_size": 4},
    "network": {"hidden": 6},
    "training": {"updates": 6, "batch": 2, "controls": False},
}


@pytest.mark.parametrize("name", NAMES)
def test_inputs_that_are_no_spikes_are_refused(name):
    with pytest.raises(InputError, match="takes spikes as inputs; use encoder 'poisson' or 'latency'"):
        BACKENDS.get(name)(1e-3, spikes_in=False)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("profile", ["pcm", "rram_rtn", "sram_cim"])
def test_profiles_with_arrays_are_refused(name, profile):
    with pytest.raises(InputError) as refused:
        Experiment.of(configure(TINY, backend=name, profile=profile))
    assert f"'{profile}' has arrays of its own for the weights, backend '{name}' the chip's memory" in str(
        refused.value
    )
    assert "ideal, smtj_koenders" in str(refused.value)


@pytest.mark.parametrize("name", NAMES)
def test_units_that_differ_are_refused_unless_that_is_switched_off(name):
    experiment = Experiment.of(configure(TINY, backend=name, profile="mixed_signal_neurons"))
    with pytest.raises(InputError) as refused:
        build_trainer(experiment).step()
    assert "the chip's units are all alike" in str(refused.value)
    assert "differ in tau_m, tau_s, threshold; switch mismatch off with --without neuron_mismatch" in str(refused.value)
    with pytest.raises(InputError, match="all alike"):
        described(experiment)  # before anything begins
    alike = configure(TINY, {"hardware.without": ["neuron_mismatch"]}, backend=name, profile="mixed_signal_neurons")
    assert np.isfinite(build_trainer(Experiment.of(alike)).step()["train_loss"])


@pytest.mark.parametrize("name", KINDS)
def test_a_chip_s_backend_is_of_that_chip_alone_and_names_it(name):
    other = next(each for each in KINDS if each != name)
    with pytest.raises(InputError) as refused:
        configure({"task": "xor"}, backend=name, target=other)
    assert f"target: backend '{name}' is that of target '{name}'; leave target out" in str(refused.value)
    found = configure({"task": "xor"}, backend=name)
    assert (found.target, found.encoder.spikes) == (name, True)
    assert found == configure({"task": "xor"}, target=name)
    assert configure(found.to_plain()) == found
    with pytest.raises(InputError, match="takes spikes as inputs"):
        configure({"task": "xor"}, {"encoder": "current"}, backend=name)


# ---- learning ----


def trained(trainer, updates: int) -> dict[str, torch.Tensor]:
    for _ in range(updates):
        trainer.step()
    return trainer.state_dict()


@pytest.mark.parametrize("bias", [False, True], ids=["plain", "bias"])
@pytest.mark.parametrize("profile", ["ideal", "smtj_koenders"])
@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_is_cut_goes_on_to_the_same_bits(name, profile, bias):
    """Scales follow from the weights at every presentation; there is nothing else to keep."""
    experiment = Experiment.of(configure(TINY, {"network.bias": bias}, backend=name, profile=profile))
    whole = trained(build_trainer(experiment), 6)
    first, second, other = (build_trainer(experiment) for _ in range(3))
    state = {key: part.clone() for key, part in trained(first, 3).items()}
    trained(other, 2)  # a simulator that has presented something else
    other.load_state_dict(state)
    second.load_state_dict(state)
    for trainer in (second, other):
        found = trained(trainer, 3)
        assert found.keys() == whole.keys()
        for key, part in whole.items():
            assert found[key].numpy().tobytes() == part.numpy().tobytes(), key
    assert any(not torch.equal(part, whole[key]) for key, part in state.items())


@pytest.mark.parametrize("name", NAMES)
def test_the_rule_writes_to_weights_that_are_not_rounded(name):
    """Updates far below a step of the grid add up."""
    config = configure(TINY, {"optimizer.lr": 1e-7, "compute.dtype": "float64"}, backend=name)
    trainer = build_trainer(Experiment.of(config))
    begun = changed(trainer.substrate.weights)
    trained(trainer, 3)
    chip = cast("IntegerBackend", trainer.backend)._scaled(begun)
    for key, W in begun.items():
        moved = (trainer.substrate.weights[key] - W).abs()
        assert 0 < float(moved.max()) < 0.01 * chip.grids[key].step / float(chip.grids[key].scale.max())


@pytest.mark.parametrize("name", KINDS)
def test_a_bias_acts_in_full_from_the_first_step(name):
    """What the rule is told of the line of a bias, and what the units do."""
    neuron = NEURONS[name].model_copy(update={"tau_r": 20e-3})  # no decay of a Xylo
    weights, u = network(name, SIZES[2], bias=True, neuron=neuron)
    streams, backend = Streams(0), KINDS[name](DT, 2)
    chip = DeviceChip.build(load("ideal"), weights, streams=streams, dt=DT, dtype=torch.float64, device="cpu")
    own = PassStreams(streams, "train", 0)
    reads = chip.prepare(1.0, own)
    chunks = list(backend.run(Request(chip, reads, 0 * u[:5], SILENT, own, keep="states")))
    first, held = chunks[0], backend.chip
    layer = held.layers["hidden"]
    pre, v = first.u, first.layers["hidden"].v
    assert v is not None
    y, readout = torch.cat([c.y for c in chunks]), torch.cat([c.pre["w_out"] for c in chunks])
    assert bool((pre[..., -1] == 1).all())
    assert not pre[..., :-1].any()
    torch.testing.assert_close(v[0, 0, 0], layer.bias.numbers(weights["w_in"][:, -1]) / layer.unit, rtol=0, atol=1e-12)
    assert not any(c.layers["hidden"].spikes.any() for c in chunks)  # so that outputs are those of their bias
    b_out = held.held(dict(weights.items()))["w_out"][:, -1]
    # a membrane of Loihi that forgets at once keeps 1 / 4096
    torch.testing.assert_close(y[:, 0, 0], readout[:, 0, 0, -1:] * b_out, rtol=1 / 4096, atol=0)
    assert (readout[0, 0, 0, -1] == 1) == (name == "loihi")


# ---- on a GPU ----


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
@pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
@pytest.mark.parametrize("name", KINDS)
def test_a_gpu_computes_the_same_spikes(name, dtype):
    weights, u = network(name, SIZES[0], bias=True, dtype=dtype)
    there = Weights({key: W.cuda() for key, W in weights.items()}, weights.network)
    backend = backend_of(name)
    for found, wanted in zip(present(backend, there, u, "cuda"), present(backend_of(name), weights, u), strict=True):
        assert found.device.type == "cuda"
        torch.testing.assert_close(found.cpu(), wanted, rtol=1e-6, atol=1e-6)
    assert activity(backend, there, u.cuda()).device.type == "cuda"
    backend.differentiable(there.network)(there, u.cuda())


def test_a_chip_goes_to_another_device_with_all_its_tensors():
    """On the device that every torch has, so that it is held to without a GPU too."""
    for name in KINDS:
        weights, _ = network(name, SIZES[2], bias=True)
        chip = backend_of(name)._scaled(weights).to(torch.device("meta"))

        def tensors(part):
            if isinstance(part, torch.Tensor):
                return [part]
            part = {**vars(part)} if isinstance(part, ChipLayer) else part
            within = part.values() if isinstance(part, dict) else part if isinstance(part, tuple) else ()
            return [each for inner in within for each in tensors(inner)]

        found = tensors({**vars(chip)})
        assert len(found) >= 10
        assert {each.device.type for each in found} == {"meta"}
