"""A run that a chip cannot hold, and the one that is trained in its place: held to readers of others."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import neuroanp as na
from neuroanp.errors import InputError
from neuroanp.records.run_dir import RunDir
from neuroanp.training.adapting import adapted
from neuroanp.training.start import load_start
from neuroanp.training.targets import TARGETS, misfits

QUIET = {"report": False, "progress": False}
SHORT = {"task": {"name": "xor", "test_size": 4}, "training": {"updates": 1, "batch": 2, "controls": False}}
LAYERS = [{"units": 6}, {"units": 5, "cell": "lif", "delay": 0}]
KINDS = {
    "spiking": {"backend": "lif", "network": {"hidden": 6}},
    "rates": {"backend": "rate", "network": {"hidden": 6}},
    "layers": {"backend": "lif", "network": {"layers": LAYERS, "skip": True}},
    "layers of rates": {"backend": "rate", "network": {"layers": [{"units": 6, "cell": "gru"}, {"units": 5}]}},
    "another chip": {"backend": "loihi", "network": {"hidden": 6}},
}


@pytest.fixture(scope="module", params=KINDS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> na.Run:
    return na.train({**SHORT, **KINDS[request.param]}, runs=tmp_path_factory.mktemp("runs"), **QUIET)


READ = {"nir": pytest.param("nir", marks=pytest.mark.slow)}  # its readers take seconds
"""Loihi's reader needs a Python of its own; tests of that format hold its files to recordings."""


@pytest.mark.parametrize("target", [READ.get(name, name) for name in TARGETS])
def test_what_is_trained_in_its_place_is_exported_and_its_reader_agrees(run, target, tmp_path) -> None:
    if run.config.target == target:
        with pytest.raises(InputError, match=f"was trained for {target}; export it"):
            na.adapt(run, target)
        return
    held = na.adapt(run, target, overrides={"seed": 3}, **QUIET)
    config = held.config
    assert misfits(target, config.neuron, config.encoder.spikes, config.dt, config.network) == []
    assert (config.target, config.seed, config.task) == (target, 3, run.config.task)
    assert held.path.parent == run.path.parent
    assert target == "nir" or config.backend == target  # the chip's own arithmetic is in the loop
    held.export(target, tmp_path / "held")
    if target != "loihi":
        assert na.check_export(tmp_path / "held").passed


@pytest.mark.parametrize("target", [*TARGETS])
def test_a_refused_export_names_the_command(tmp_path: Path, target: str) -> None:
    run = na.train({**SHORT, **KINDS["layers"]}, runs=tmp_path, **QUIET)
    remedy = f"cannot hold this network; nothing was written.*--adapt RUN --target {target}"
    with pytest.raises(InputError, match=remedy):
        run.export(target, tmp_path / "whole")


def test_learning_begins_at_the_weights_of_the_run_where_units_and_inputs_are_of_the_same_kind(run) -> None:
    if run.config.backend == "rate":
        assert adapted(RunDir.open(run.path), "nir").config.network.weights is None
        return
    held = na.adapt(run, "nir", updates=0, **QUIET)
    assert held.config.network.weights == str(run.path.absolute())
    one, other = (load_start(str(each.path)).arrays for each in (run, held))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_inputs_of_another_kind_begin_anew(tmp_path: Path) -> None:
    run = na.train({**SHORT, **KINDS["spiking"]}, runs=tmp_path, **QUIET)
    assert na.adapt(run, "xylo", **QUIET).config.network.weights is None
    heard = na.train({**SHORT, **KINDS["spiking"], "encoder": "poisson"}, runs=tmp_path, **QUIET)
    assert na.adapt(heard, "xylo", **QUIET).config.network.weights == str(heard.path.absolute())


def test_a_configuration_that_has_changed_since_is_refused(tmp_path: Path) -> None:
    run = na.train({**SHORT, **KINDS["spiking"]}, runs=tmp_path, **QUIET)
    for path in run.path.rglob("config.yaml"):
        path.write_text(path.read_text().replace("hidden: 6", "hidden: 5"))
    with pytest.raises(InputError, match="not as it was written"):
        na.adapt(run.path, "nir", **QUIET)


def test_each_change_is_said_and_nothing_else_changes(tmp_path: Path) -> None:
    config = {**SHORT, **KINDS["spiking"], "neuron": {"name": "lif", "tau_m": "10 ms", "integration": "euler"}}
    run = na.train(config, runs=tmp_path, **QUIET)
    made = adapted(RunDir.open(run.path), "nir", {"optimizer.lr": 0.5})
    assert set(made.changes) == {
        f"network.weights: (none) -> {run.path.absolute()}", "neuron.tau_s: 5 ms -> 0 s",
        "neuron.refractory: 2 ms -> 0 s", "neuron.integration: euler -> exact", "optimizer.lr: 0.01 -> 0.5",
        "target: (none) -> nir",
    }  # fmt: skip
    before, after = run.config.to_plain(), made.config.to_plain()
    assert {key for key in before if before[key] != after[key]} == {"network", "neuron", "optimizer", "target"}


def test_settings_for_rates_are_not_kept_for_units_that_spike_and_a_rule_can_be_said(tmp_path: Path) -> None:
    source = {**SHORT, **KINDS["rates"], "rule": {"name": "anp", "preset": "default", "K": 7}}
    run = na.train(source, runs=tmp_path, **QUIET)
    fresh = na.configure({**SHORT, "network": {"hidden": 6}, "target": "xylo"})
    assert adapted(RunDir.open(run.path), "xylo").config == fresh
    other = adapted(RunDir.open(run.path), "xylo", words={"rule": "bptt"}).config
    assert other == na.configure(fresh, rule="bptt", optimizer={"lr": other.optimizer.lr})


@pytest.mark.parametrize(
    ("target", "more", "said"),
    [
        ("xylp", {}, "target: unknown target 'xylp'; did you mean 'xylo'"),
        ("xylo", {"network": {"hidden": 200}}, "xylo has room for 128"),
        ("xylo", {"neuron": {"reset": "hard"}}, "neuron.reset: xylo needs 'subtract'"),
        ("nir", {"what": 3}, "what"),
    ],
)
def test_what_does_not_fit_is_told_by_name(tmp_path: Path, target: str, more: dict, said: str) -> None:
    run = na.train({**SHORT, **KINDS["spiking"]}, runs=tmp_path, **QUIET)
    with pytest.raises(InputError) as caught:
        na.adapt(run, target, **more, **QUIET)
    assert said in "\n".join([caught.value.message, *caught.value.problems])
    assert len([*tmp_path.glob("xor-*")]) == 1
