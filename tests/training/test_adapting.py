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
EQUATIONS = """
dv/dt = (-v + I + Iext)/tau_m : 1 (unless refractory)
dI/dt = -I/(5*ms) : 1
dz/dt = -z/tau_r : 1
Iext : 1
"""
OWN = {"name": "equations", "model": EQUATIONS, "threshold": "v > 1", "reset": "v = 0; z += 1", "refractory": "2 ms"}
TWO = [{"units": 6}, {"units": 5}]
KINDS = {
    "spiking": {"backend": "lif", "network": {"hidden": 6}},
    "rates": {"backend": "rate", "network": {"hidden": 6}},
    "layers": {"backend": "lif", "network": {"layers": LAYERS, "skip": True}},
    "layers of rates": {"backend": "rate", "network": {"layers": [{"units": 6, "cell": "gru"}, {"units": 5}]}},
    "another chip": {"backend": "loihi", "network": {"hidden": 6}},
    "for nir": {"backend": "lif", "target": "nir", "encoder": "poisson", "network": {"hidden": 6}},  # no currents last
    "layers on xylo": {"backend": "xylo", "network": {"layers": TWO}},
    "layers at once": {"backend": "lif", "encoder": "poisson", "network": {"layers": TWO, "skip": True}},
    "spikes at once": {"backend": "lif", "encoder": "poisson", "network": {"hidden": 6, "input_delay": 0}},
    "equations": {"backend": "spiking", "neuron": {**OWN, "tau_m": "20 ms"}, "network": {"hidden": 6}},
    "from weak outputs": {"backend": "lif", "network": {"hidden": 6, "output_gain": 0.5}},
}
BEGIN_THERE = {
    "spiking": {"nir"}, "layers": {"nir"}, "another chip": {"nir", "xylo"}, "for nir": {"loihi", "xylo"},
    "layers on xylo": {"loihi"}, "layers at once": {"nir"}, "spikes at once": {"nir"}, "from weak outputs": {"nir"},
}  # fmt: skip
"""Where inputs, delays and skips stay what they are, and units spike in both."""


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def run(kind: str, tmp_path_factory: pytest.TempPathFactory) -> na.Run:
    return na.train({**SHORT, **KINDS[kind]}, runs=tmp_path_factory.mktemp("runs"), **QUIET)


EACH = [
    (kind, target, (i + j) % 3 > 0 and target not in (said.get("target"), said["backend"]))
    for i, (kind, said) in enumerate(KINDS.items())
    for j, target in enumerate(TARGETS)
]
"""Kind, target, and whether it goes on to the long tier: a target each stays, and what was trained for it already."""


@pytest.mark.parametrize(
    ("kind", "target"),
    [pytest.param(kind, target, marks=[pytest.mark.long] * late) for kind, target, late in EACH],
    indirect=["kind"],
)
def test_what_is_trained_in_its_place_can_be_exported(kind, run, target, tmp_path) -> None:
    """Loihi's reader needs a Python of its own; tests of that format hold its files to recordings."""
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
    own = str(run.path.absolute()) if target in BEGIN_THERE.get(kind, ()) else None
    assert config.network.weights == own
    assert config.network.output_gain == (1 if own else run.config.network.output_gain)
    how = "begins anew" if own is None else f"begins at the weights of {own}"
    assert held.record.manifest["log"][0] == f"{target}: in the place of {run.path}: {how}"
    held.export(target, tmp_path / "held")
    if target == "xylo":
        assert na.check_export(tmp_path / "held").passed


READ = ("spiking", "rates", "layers on xylo", "spikes at once", "equations")
"""Kinds that readers see in the slow tier; the others go on to the long one."""


@pytest.mark.slow  # readers of NIR take seconds
@pytest.mark.parametrize(
    "kind", [pytest.param(each, marks=[pytest.mark.long] * (each not in READ)) for each in KINDS], indirect=True
)
def test_readers_of_nir_agree_with_what_is_trained_in_its_place(run, tmp_path) -> None:
    if run.config.target != "nir":
        na.adapt(run, "nir", **QUIET).export("nir", tmp_path / "held")
        assert na.check_export(tmp_path / "held").passed


@pytest.mark.parametrize("target", [*TARGETS])
def test_a_refused_export_names_the_command(tmp_path: Path, target: str) -> None:
    run = na.train({**SHORT, **KINDS["layers"]}, runs=tmp_path, **QUIET)
    remedy = f"cannot hold this network; nothing was written.*--adapt RUN --target {target}"
    with pytest.raises(InputError, match=remedy):
        run.export(target, tmp_path / "whole")


def test_weights_it_begins_at_are_those_of_the_run(kind, run) -> None:
    if "nir" in BEGIN_THERE.get(kind, ()):
        held = na.adapt(run, "nir", updates=0, **QUIET)
        one, other = (load_start(str(each.path)).arrays for each in (run, held))
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    "more",
    [{"encoder": "latency"}, {"network": {"hidden": 5}}, {"task": "copy"}, {"network": {"weights": None}}],
)
def test_what_is_said_besides_may_leave_the_weights_no_meaning(tmp_path: Path, more: dict) -> None:
    source = {**SHORT, "backend": "lif", "encoder": "poisson", "network": {"hidden": 6}}
    run = na.train(source, runs=tmp_path, **QUIET)
    record = RunDir.open(run.path)
    assert adapted(record, "xylo").config.network.weights == str(run.path.absolute())
    assert adapted(record, "xylo", words={"dt": "2 ms"}).config.network.weights == str(run.path.absolute())
    assert adapted(record, "xylo", words=more).config.network.weights is None
    assert adapted(record, "xylo", {"network.weights": None}).config.network.weights is None


def test_a_run_that_went_on_is_adapted_as_one_of_its_whole_length(tmp_path: Path) -> None:
    source = {**SHORT, **KINDS["spiking"], "optimizer": {"schedule": "constant"}}
    longer = na.extend(na.train(source, runs=tmp_path, **QUIET), 2, **QUIET)
    held = na.adapt(longer, "nir", **QUIET)
    assert (held.config.training.extends, held.config.training.updates, held.result["updates"]) == (None, 3, 3)
    assert not [line for line in held.record.manifest["log"] if "extends" in line]


def test_a_name_is_one_of_the_store_that_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for store, hidden in (("runs", 6), ("sweep", 5)):
        na.train({**SHORT, "backend": "lif", "network": {"hidden": hidden}}, runs=store, **QUIET)
    for name, hidden in (("runs", 6), ("sweep", 5)):
        for found in (na.adapt("last", "nir", runs=name, **QUIET), na.extend("last", 1, runs=name, **QUIET)):
            assert (found.config.network.hidden, found.path.parent.name) == (hidden, name)


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
        f"in the place of {run.path}: begins at the weights of {run.path.absolute()}", "neuron.tau_s: 5 ms -> 0 s",
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
        ("nir", {"overrides": {"target": "xylo"}}, "target: 'nir' is said beside 'xylo'"),
        (None, {}, "target: None is no name (known: nir, loihi, xylo)"),
    ],
)
def test_what_does_not_fit_is_told_by_name(tmp_path: Path, target: str, more: dict, said: str) -> None:
    run = na.train({**SHORT, **KINDS["spiking"]}, runs=tmp_path, **QUIET)
    with pytest.raises(InputError) as caught:
        na.adapt(run, target, **more, **QUIET)
    assert said in "\n".join([caught.value.message, *caught.value.problems])
    assert len([*tmp_path.glob("xor-*")]) == 1
