"""One source serves backends of rates and of spikes: what is of spikes alone stays with those."""

from __future__ import annotations

import logging
from itertools import product
from pathlib import Path

import pytest

from neuroanp.comparing.grid import expand
from neuroanp.errors import InputError

BOTH = ["rate", "spiking"]
SOURCE = {
    "task": "xor",
    "neuron": {"name": "lif", "tau_m": "15 ms"},
    "compute": {"loop": "run", "threads": 2},
}


def test_the_axis_lies_between_task_and_profile():
    found = expand({}, tasks=["xor", "copy"], backends=["spiking", "rate"], profiles=["ideal", "pcm"], seeds=[0, 1])
    said = [(c.task_name, c.backend, c.profile, c.seed) for c in found]
    assert said == list(product(["xor", "copy"], ["spiking", "rate"], ["ideal", "pcm"], [0, 1]))


def test_each_backend_has_its_own_defaults():
    rate, spiking = expand({"task": "xor"}, backends=BOTH)
    assert (rate.dt, spiking.dt) == (1e-6, 1e-3)
    assert rate.neuron is None
    assert spiking.neuron is not None


@pytest.mark.parametrize("given", ["mapping", "file", "override"])
def test_what_is_of_spikes_alone_is_left_out_for_rates_and_told(given, tmp_path: Path, caplog):
    caplog.set_level(logging.INFO, "neuroanp")
    path = tmp_path / "both.yaml"
    path.write_text("task: xor\nneuron: {tau_m: 15 ms}\ncompute: {loop: run, threads: 2}\n")
    source, overrides = {
        "mapping": (SOURCE, {}),
        "file": (path, {}),
        "override": ({"task": "xor"}, {"neuron.tau_m": "15 ms", "compute.loop": "run", "compute.threads": 2}),
    }[given]
    rate, spiking = expand(source, overrides, backends=BOTH)
    assert (rate.neuron, rate.compute.loop, rate.compute.threads) == (None, "auto", 2)
    assert (spiking.neuron.tau_m, spiking.compute.loop, spiking.compute.threads) == (15e-3, "run", 2)
    assert caplog.messages == ["backend rate leaves out neuron, compute.loop: its units do not spike"]
    (alone,) = expand({"task": "xor"}, {"compute.threads": 2}, backends=["rate"])
    assert rate.to_plain() == alone.to_plain()  # so that the run is found where it was made alone


def test_nothing_is_told_where_nothing_is_left_out(caplog):
    caplog.set_level(logging.INFO, "neuroanp")
    expand({"task": "xor"}, backends=BOTH)
    assert caplog.messages == []


def test_one_backend_keeps_all_that_is_said():
    (only,) = expand(SOURCE, backends="spiking")
    assert only.neuron.tau_m == 15e-3
    with pytest.raises(InputError, match="neuron"):
        expand(SOURCE, backends=["rate"])


def test_two_that_spike_share_the_neuron():
    lif, spiking = expand(SOURCE, backends=["lif", "spiking"])
    assert lif.neuron == spiking.neuron


def test_a_fault_in_what_rates_leave_out_is_told_all_the_same():
    with pytest.raises(InputError, match="tau_x"):
        expand({"task": "xor", "neuron": {"tau_x": "1 ms"}}, backends=BOTH)


@pytest.mark.parametrize(
    ("backends", "said"),
    [
        (["rate", "spikng"], "--backend: unknown backend 'spikng'; did you mean 'spiking'"),
        (["rate", "rate"], "--backend: 'rate' is named twice"),
        (["rate", ""], "--backend: a name in 'rate,' is empty"),
        ("spikng", "did you mean 'spiking'"),
    ],
)
def test_wrong_names_are_told_beside_other_faults(backends, said):
    with pytest.raises(InputError) as caught:
        expand({"task": "xor"}, {"training.batch": 0}, backends=backends, profiles=["pmc"])
    text = str(caught.value)
    assert said in text
    assert "did you mean 'pcm'" in text
    assert "training.batch" in text


def test_real_runs_of_two_backends_are_one_comparison(tmp_path: Path, in_turn):
    import neuroanp as na

    small = {"network.hidden": 6, "training.updates": 1, "training.batch": 4, "training.controls": False}
    small |= {"task.test_size": 8, "neuron.tau_m": "15 ms"}
    found = na.compare({"task": "xor"}, overrides=small, backends=["rate", "lif"], workers=1, runs=tmp_path)
    assert [(row["backend"], row["status"]) for row in found.results] == [("rate", "finished"), ("lif", "finished")]
    assert found.failed == []
    page = found.report.read_text(encoding="utf-8")
    assert "xor on ideal by rate, lif" in page
    assert page.count("<h3>Spikes</h3>") == 1
    rate, lif = (run.config for run in found.runs)
    assert rate.neuron is None
    assert getattr(lif.neuron, "tau_m", None) == 15e-3
