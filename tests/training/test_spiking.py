"""Runs of spiking networks: what is filled in, refused, measured and warned of, and that they resume bit for bit."""

from __future__ import annotations

import logging
import os
import sys

import numpy as np
import pytest
import torch

import neuroanp.backends
from neuroanp.backends.neuron import LIF, NEURONS
from neuroanp.backends.protocol import Request
from neuroanp.errors import InputError, RunError
from neuroanp.noise import PassStreams
from neuroanp.records.run_dir import RunDir
from neuroanp.tasks.encoders import ENCODERS
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.estimate import estimate
from neuroanp.training.evaluate import NOISY, SHOWN_MEMBRANES, HeldOutBatch, show
from neuroanp.training.filling import SPIKING, filled, spikes
from neuroanp.training.launch import launch, resume
from neuroanp.yaml_io import Document, read
from tests.close import close

from .test_resume import final, same

SMALL = {
    "task": {"name": "xor", "start": 2, "pulse": 6, "gap": 2, "delay": 0, "window": 6, "test_size": 8},
    "backend": "lif",
    "network": {"hidden": 10, "bias": True},
    "rule": {"name": "anp", "K": 1},
    "training": {
        "updates": 20, "batch": 4, "checkpoint_every": 10, "evaluate_every": 10, "log_every": 1, "controls": False,
    },
}  # fmt: skip
T, B = 22, 4
EQUATIONS = {
    "name": "equations",
    "model": "dv/dt = (-v + I + Iext)/tau_m : 1\ndI/dt = -I/tau_s : 1\ndz/dt = -z/tau_r : 1\nIext : 1",
    "threshold": "v > 1",
    "reset": "v = 0; z += 1",
    "parameters": {"tau_m": "20 ms", "tau_s": "5 ms"},
}


OWN = {"backend": "spiking", "neuron": EQUATIONS}


def config(**changes):
    return configure(SMALL, {key.replace("__", "."): value for key, value in changes.items()})


def trainer(**changes):
    return build_trainer(Experiment.of(config(**changes)))


def held(made):
    return HeldOutBatch.of(made.task.test(made.streams.generator("test")), made.substrate.weights["w"], made.task.loss)


# ---- what a configuration becomes ----


def test_what_is_known_to_learn_is_filled_in_where_nothing_is_stated():
    found = configure({"task": "xor", "backend": "spiking"})
    assert found.dt == 1e-3
    assert found.neuron == LIF()
    assert (found.perturbation.sigma, found.perturbation.output) == (0.5, 0.1)
    assert (found.rule.preset, found.rule.gamma, found.rule.damping) == ("spiking", 0.0, 1e-4)
    assert (found.optimizer.name, found.optimizer.lr) == ("adam", 1e-2)
    np_rule = configure({"task": "xor", "backend": "lif", "rule": "np"}).rule
    assert (np_rule.preset, np_rule.trace) == ("spiking", 20e-3)
    rate = configure({"task": "xor"})
    assert (rate.dt, rate.neuron, rate.perturbation.sigma, rate.rule.preset) == (1e-6, None, 1e-2, "inferred")
    assert {name for name in ("rate", "lif", "spiking", "none such") if spikes(name)} == {"lif", "spiking"}


@pytest.mark.parametrize(
    ("key", "value", "kept"),
    [
        ("dt", "0.5 ms", {"perturbation.sigma": 0.5, "rule.preset": "spiking"}),
        ("perturbation.sigma", 0.2, {"perturbation.output": 0.1, "dt": 1e-3}),
        ("perturbation.output", 0.3, {"perturbation.sigma": 0.5}),
        ("rule.preset", "default", {"rule.gamma": 1.0, "rule.damping": 0.0, "perturbation.sigma": 0.5}),
        ("rule.damping", 1e-2, {"rule.gamma": 0.0, "rule.preset": "spiking"}),
        ("neuron.tau_m", "10 ms", {"neuron.tau_s": 5e-3}),
        ("optimizer.lr", 1e-3, {"optimizer.name": "adam"}),
    ],
)
def test_what_is_stated_stays_and_the_rest_is_filled_in(key, value, kept):
    found = configure({"task": "xor", "backend": "lif"}, {key: value})

    def at(config, path):
        for part in path.split("."):
            config = getattr(config, part)
        return config

    stated = {"dt": 0.5e-3, "neuron.tau_m": 10e-3}.get(key, value)
    assert at(found, key) == stated
    assert {path: at(found, path) for path in kept} == kept


@pytest.mark.parametrize("rule", ["bptt", "bptt1"])
def test_rules_without_such_a_preset_are_left_alone(rule):
    document = Document("xor", {"task": {"name": "xor"}, "backend": "lif", "rule": {"name": rule}})
    assert filled(document).data["rule"] == {"name": rule}
    assert "preset" in SPIKING["rule"]


ENCODED = [{"name": name} for name in ENCODERS.names()] + [
    {"name": "poisson", "rate": "123.456 Hz", "hold": 3, "signed": False},
    {"name": "latency", "tau": "7.7 ms", "hold": 20, "each": "step"},
    {"name": "population", "n": 3, "width": 0.123456789012345},
]
UNITS = [
    {"name": "lif"},
    {
        "name": "lif",
        "tau_m": "13.3 ms",
        "refractory": "0 s",
        "reset": "subtract",
        "integration": "euler",
        "drive": -0.1,
    },
    EQUATIONS,
]


@pytest.mark.parametrize("encoder", ENCODED, ids=lambda encoder: "-".join(map(str, encoder.values())))
@pytest.mark.parametrize("neuron", UNITS, ids=["lif", "lif stated", "equations"])
def test_configurations_come_back_as_they_went(encoder, neuron, tmp_path):
    wanted = configure({"task": "xor", "backend": "spiking", "encoder": encoder, "neuron": neuron})
    assert configure(wanted.to_plain()) == wanted
    (tmp_path / "run.yaml").write_text(wanted.to_yaml())
    again = configure(tmp_path / "run.yaml")
    assert again == wanted
    assert again.to_yaml() == wanted.to_yaml()
    assert again.to_plain()["encoder"]["name"] == encoder["name"]
    assert again.to_plain()["neuron"]["name"] == neuron["name"]


def test_every_neuron_is_among_those_that_come_back():
    assert {neuron["name"] for neuron in UNITS} == set(NEURONS.names())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"neuron.tau_s": "1 ms"}, "neuron.tau_s: '1 ms' must be longer than one step, dt '1 ms'"),
        ({"dt": "5 ms"}, "neuron.tau_s: '5 ms' must be longer than one step, dt '5 ms'; use a shorter dt"),
        ({"neuron.refractory": "-1 ms"}, "neuron.refractory"),
        ({"neuron.refractory": "0.4 ms"}, "neuron.refractory: '400 us' must be longer than one step"),
        ({"neuron": EQUATIONS}, "backend 'lif' has leaky integrate-and-fire units only; use backend 'spiking'"),
        (OWN | {"neuron.reset": "v = 0"}, "neuron.activity: nothing moves the activity variable 'z'"),
        (OWN | {"neuron.threshold": "v > tau_s"}, "neuron.threshold (equations): Brian2 refuses it"),
        (OWN | {"neuron.parameters.tau_s": "0.5 ms"}, "neuron.tau_s: '500 us' must be longer than one step"),
        (OWN | {"rule": "bptt"}, "backend 'spiking' has no network of its units that can be differentiated"),
        ({"rule": "np", "profile": "pcm"}, "np must know the noise: what perturbs the units on profile 'pcm' is not"),
        ({"rule": "np", "profile": "pcm"}, "or a rule that knows none: anp, oua, wp"),
        ({"backend": "rate", "rule.preset": "default", "encoder": "latency"}, "no held-out input makes a single spike"),
        ({"backend": "rate", "rule.preset": "default", "encoder": "poisson"}, "one spike in 5e+03 steps"),
        ({"neuron": "lfi"}, "did you mean 'lif'"),
        ({"neuron.tau": "1 ms"}, "neuron.tau"),
        ({"backend": "rate", "neuron": "lif"}, "leave neuron out, or use backend 'lif' or 'spiking'"),
        ({"backend": "spikng"}, "did you mean 'spiking'"),
        ({"encoder.name": "poisson", "encoder.rate": "2 kHz"}, "at most 1 fits"),
        ({"encoder": "poison"}, "did you mean 'poisson'"),
        ({"rule.difference": "innovation"}, "holds for rate networks alone"),
        ({"backend": "rate", "rule.preset": "default", "rule.activity": "z"}, "do not spike"),
        ({"perturbation.output": -0.1}, "perturbation.output"),
        ({"compute.loop": "slow"}, "compute.loop"),
        ({"compute.recurrence": "csr"}, "compute.recurrence"),
    ],
    ids=str,
)
def test_bad_input_is_one_clear_message(changes, words, tmp_path):
    with pytest.raises(InputError) as caught:
        launch(configure(SMALL, changes), tmp_path / "runs")
    assert words in str(caught.value)
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").glob("*"))


def test_without_brian2_the_remedy_is_told_and_nothing_is_begun(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "brian2", None)
    monkeypatch.delitem(sys.modules, "neuroanp.backends.spiking", raising=False)
    monkeypatch.delattr(neuroanp.backends, "spiking", raising=False)
    with pytest.raises(InputError, match=r"brian2 cannot be imported .*; pip install 'brian2.*or use backend 'lif'"):
        launch(config(backend="spiking", compute__execution="simulator"), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_lif_units_take_no_brian2(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "brian2", None)
    launch(config(backend="spiking", training__updates=2), tmp_path / "runs")


def test_np_on_noise_that_it_cannot_know_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"np must know the noise: .* use perturbation.name: gaussian"):
        launch(config(profile="pcm", rule="np"), tmp_path)
    launch(config(profile="pcm", rule="np", perturbation__name="gaussian", training__updates=2), tmp_path)
    launch(config(profile="smtj_koenders", rule="np", training__updates=2), tmp_path)


# ---- the chip of a spiking run ----


@pytest.mark.parametrize(
    ("profile", "tau_m"), [("smtj_koenders", "20 ms"), ("smtj_koenders", "8 ms"), ("mixed_signal_neurons", "20 ms")]
)
def test_junctions_move_the_membrane_as_far_as_the_profile_says(profile, tau_m):
    """membrane_sigma of a membrane that never spikes, whatever its time constant; of rates, volts_per_unit holds."""
    made = trainer(profile=profile, neuron__tau_m=tau_m)
    chip, seconds = made.substrate, float(tau_m.split()[0]) * 1e-3
    a, rows, steps = np.exp(-1e-3 / seconds), 400, 240
    noise = chip.perturbation(NOISY, rows, PassStreams(made.streams, "train", 0)).draw("hidden", 0, steps)
    v = torch.zeros(rows, 10)
    for n in noise[:, 0]:
        v = a * v + (1 - a) * n
    assert float(v.double().square().mean().sqrt()) == close(0.08, rel=4 / np.sqrt(2 * v.numel()))
    of_rates = Experiment.of(configure({"task": "xor", "profile": profile})).chip(made.streams)
    assert of_rates.drive.coupled(["hidden"]) == {"hidden": 1.0}


def test_only_a_chip_of_spiking_units_says_so_in_its_books():
    assert trainer(profile="mixed_signal_neurons").substrate.ledger.kinds["array_reads"] == "absent"
    rate = {**SMALL, "backend": "rate", "profile": "mixed_signal_neurons"}
    assert build_trainer(Experiment.of(configure(rate))).substrate.ledger.kinds["spikes"] == "absent"


# ---- learning, replays, resume ----


@pytest.mark.parametrize("profile", ["ideal", "smtj_koenders", "pcm"])
@pytest.mark.parametrize("backend", ["lif", "spiking"])
def test_20_updates_equal_10_and_10_more(backend, profile, tmp_path):
    experiment = Experiment.of(config(backend=backend, profile=profile, encoder="poisson"))
    whole, first, second = (build_trainer(experiment) for _ in range(3))
    for _ in range(20):
        whole.step()
    for _ in range(10):
        first.step()
    record = RunDir.create(tmp_path, "run", "seed: 0\n", {})
    path = record.save_checkpoint(10, first.state_dict(), {})
    second.load_state_dict(record.load_checkpoint(path)[0])
    for _ in range(10):
        second.step()
    assert same(whole.state_dict(), second.state_dict())
    assert whole.substrate.ledger.spikes > 100
    assert not torch.equal(whole.substrate.weights["w"], first.substrate.weights["w"])


@pytest.mark.parametrize("profile", ["ideal", "smtj_koenders", "pcm"])
def test_both_spiking_backends_train_alike(profile):
    """In float64: as many spikes, the same weights but for rounding."""
    one, two = (trainer(backend=name, profile=profile, compute__dtype="float64") for name in ("lif", "spiking"))
    for _ in range(15):
        one.step()
        two.step()
    assert one.substrate.ledger.spikes == two.substrate.ledger.spikes > 100
    for name, W in one.substrate.weights.items():
        torch.testing.assert_close(two.substrate.weights[name], W, rtol=0, atol=1e-9)


@pytest.mark.parametrize("backend", ["lif", "spiking"])
def test_interrupted_run_resumes_to_the_same_end(backend, tmp_path, monkeypatch):
    import signal

    wanted = config(backend=backend, profile="smtj_koenders", training__controls=True)
    whole = launch(wanted, tmp_path / "whole")
    told = []

    def stop_at_7(event):
        if event["phase"] == "train" and event["update"] >= 7 and not told:
            told.append(event)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("neuroanp.training.loop.REPORT_EVERY_S", 0.0)
    with pytest.raises(RunError, match=r"interrupted at update \d+ of 20; continue with: neuroanp resume"):
        launch(wanted, tmp_path / "cut", progress=stop_at_7)
    (path,) = (tmp_path / "cut").iterdir()
    again = resume(path)
    assert final(again) == final(whole)
    for name, array in whole.load_arrays("activity").items():
        np.testing.assert_array_equal(again.load_arrays("activity")[name], array)


def test_units_of_a_users_own_train_by_the_same_rule():
    own = {**SMALL, "backend": "spiking", "neuron": EQUATIONS, "compute": {"target": "numpy"}}
    made = build_trainer(Experiment.of(configure(own)))
    before = {name: W.clone() for name, W in made.substrate.weights.items()}
    for _ in range(5):
        made.step()
    assert made.substrate.ledger.spikes > 20
    assert all(not torch.equal(before[name], W) for name, W in made.substrate.weights.items())


@pytest.mark.parametrize("rule", [{"name": "np"}, {"name": "anp", "gamma": 0.9}, {"name": "anp", "reference": "mean"}])
@pytest.mark.parametrize("profile", ["smtj_koenders", "pcm"])
def test_a_replay_and_any_chunk_give_the_same_update(rule, profile):
    known = {"perturbation.name": "gaussian", "compute.dtype": "float64", "profile": profile}
    stored, replayed, cut = (
        build_trainer(Experiment.of(configure({**SMALL, "rule": rule}, {**known, **chunk})))
        for chunk in ({}, {}, {"training.chunk": 5})
    )
    replayed.memory = 0
    for made in (stored, replayed, cut):
        for _ in range(3):
            made.step()
    assert same(stored.state_dict(), replayed.state_dict())
    assert stored.substrate.ledger.spikes == cut.substrate.ledger.spikes > 0
    for name, W in stored.substrate.weights.items():
        torch.testing.assert_close(cut.substrate.weights[name], W, rtol=0, atol=1e-9)


def test_surrogate_gradients_train_it_and_read_the_chip_once():
    made = trainer(rule="bptt", optimizer__lr=1e-2, training__updates=60)
    losses = [made.step()["train_loss"] for _ in range(60)]
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:10])
    assert made.substrate.ledger.reads == 60 * 3 * T * B


# ---- what is measured, kept and said ----


@pytest.mark.parametrize("backend", ["lif", "spiking"])
def test_rates_of_an_evaluation_by_hand(backend):
    made = trainer(backend=backend, profile="smtj_koenders", compute__dtype="float64")
    for _ in range(3):
        made.step()
    sequences, books = held(made), made.substrate.ledger.report()
    found = made.evaluate(sequences)
    window = T * 8 * 1e-3
    streams = PassStreams(made.streams, "test", 3)
    reads = made.substrate.prepare(window, streams)
    request = Request(made.substrate, reads, sequences.inputs, NOISY, streams, artificial=False, book=False)
    chunks = list(made.backend.run(request))
    spikes_of_each = torch.cat([chunk.layers["hidden"].spikes for chunk in chunks]).sum((0, 1, 2))
    np.testing.assert_allclose(found.rates, spikes_of_each.numpy() / window, rtol=1e-12)
    assert found.rates.shape == (10,)
    assert 1 < found.rates.mean() < 500
    np.testing.assert_allclose(found.y, torch.cat([chunk.y for chunk in chunks])[:, 0].numpy(), rtol=0, atol=1e-12)
    y, target, mask = found.y, sequences.batch.targets, sequences.batch.mask
    by_hand = (mask[:, None, None] * (y - target) ** 2).sum() / (mask.sum() * y.shape[1])
    assert found.test_loss == close(by_hand, rel=1e-12)
    assert made.substrate.ledger.report() == books


def test_rate_networks_have_no_rates():
    made = build_trainer(Experiment.of(configure({**SMALL, "backend": "rate"})))
    assert made.evaluate(held(made)).rates is None


def test_what_is_shown_is_what_happened():
    made = trainer(profile="mixed_signal_neurons", compute__dtype="float64")
    told = show(held(made), made.substrate, made.backend, made.streams, made.update, made.dt)
    assert {name: array.shape for name, array in told.items()} == {
        "spikes": (T, 4, 10), "v": (T, 4, SHOWN_MEMBRANES), "v_threshold": (SHOWN_MEMBRANES,), "inputs": (T, 4, 2),
        "dt_s": (1,),
    }  # fmt: skip
    # v is that before the reset: above the threshold exactly where a unit spikes that is not refractory
    above = told["v"] > told["v_threshold"]
    np.testing.assert_array_equal(above, told["spikes"][..., :SHOWN_MEMBRANES] == 1)
    assert above.any()
    np.testing.assert_allclose(told["v_threshold"], made.substrate.neurons["hidden"]["threshold"][:4], rtol=1e-6)


def test_a_record_holds_rates_rasters_and_controls(tmp_path):
    record = launch(config(training__controls=True, encoder="poisson", training__updates=4), tmp_path)
    assert record.result is not None
    assert record.result["backend"] == "lif"
    assert set(record.result["controls"]) == {"constant_mean", "ridge", "refit", "frozen_recurrence"}
    assert record.result["controls"]["ridge"] <= record.result["controls"]["constant_mean"] + 1e-9
    activity = record.load_arrays("activity")
    assert activity is not None
    assert record.manifest["firing"]["rate_Hz"] == close(activity["rate_Hz"].mean())
    rates = record.metrics().series("rate_Hz")[1]
    assert rates[-1] == close(activity["rate_Hz"].mean())
    assert record.manifest["health"]["rate_Hz"] == rates[-1]
    ledger = record.manifest["ledger"]
    assert ledger["spikes"] > 0
    assert ledger["events"] > ledger["spikes"]


WARNED = {
    "silent": (-5.0, "100 % of the units did not spike on the held-out sequences (mean rate 0 Hz): raise neuron.drive"),
    "restless": (200.0, "lower neuron.drive, neuron.input_gain or neuron.synapse_gain"),
}


@pytest.mark.parametrize("name", WARNED)
def test_silent_and_restless_networks_are_told_with_the_rate_and_the_remedy(name, tmp_path, caplog):
    drive, words = WARNED[name]
    with caplog.at_level(logging.WARNING, "neuroanp"):
        record = launch(config(neuron__drive=drive, training__updates=4), tmp_path)
    told = [line for line in record.manifest["log"] if words in line]
    assert told[0].startswith("warning: update 0: ")
    assert any(words in entry.getMessage() for entry in caplog.records)
    health = record.manifest["health"]
    assert health[name] == 1.0
    assert f"mean rate {health['rate_Hz']:.3g} Hz" in told[-1]
    assert health["rate_Hz"] < 500.1  # what 2 ms from spike to spike allow


def test_a_lively_network_says_nothing(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "neuroanp"):
        record = launch(config(training__updates=4), tmp_path)
    assert not caplog.records
    assert record.manifest["health"]["silent"] < 0.8


def test_an_estimate_is_that_of_the_run(tmp_path):
    found = estimate(config(profile="pcm", encoder__hold=2))
    record = launch(config(profile="pcm", encoder__hold=2), tmp_path)
    assert record.result is not None
    assert found["passes"] == record.result["passes"]
    assert found["chip_time_s"] == close(20 * 2 * B * 2 * T * 1e-3)
    assert found["chip_time_s"] <= record.result["chip_time_s"]  # which has the writes, too


def test_a_file_may_name_all_of_it(tmp_path):
    (tmp_path / "run.yaml").write_text(
        "task: xor\nbackend: spiking\nneuron: {name: lif, tau_m: 10 ms}\nencoder: latency\ndt: 0.5 ms\n"
    )
    found = configure(tmp_path / "run.yaml")
    assert (found.neuron.tau_m, found.dt, found.encoder.spikes) == (10e-3, 0.5e-3, True)
    assert read(tmp_path / "run.yaml").data["encoder"] == "latency"
