"""What an estimate counts as memory."""

from __future__ import annotations

import json

import pytest
import torch

from neuroanp.backends import reads
from neuroanp.cli.expected import show_estimate
from neuroanp.devices.pcm_noise import PcmNoise
from neuroanp.profiles.loader import available
from neuroanp.training import estimate as estimating
from neuroanp.training import memory as machine
from neuroanp.training.batches import ROOM
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.estimate import estimate, memory_of

M, R, B, T, N, O = 2, 1, 4, 4, 9, 2  # noqa: E741
SMALL = {
    "task": {"name": "copy", "length": 1, "delay": 2, "symbols": 2, "test_size": 8},
    "network": {"hidden": N},
    "profile": "sonos_flash",
    "rule": {"name": "anp", "reference": "two", "K": 1, "gamma": 1.0},
    "hardware": {"write": "ideal"},
    "training": {"updates": 3, "batch": B, "controls": False},
}


def memory(**overrides) -> int:
    return estimate(configure(SMALL, {key.replace("__", "."): value for key, value in overrides.items()}))[
        "memory_bytes"
    ]


def test_drawn_devices_are_counted(monkeypatch):
    """xi is (T, M, B, n, m) of the largest array, W, against (T, M, B, n) by moments; a chunk or a limit cuts it."""
    moments = memory()
    assert memory(hardware__read="sampled") - moments == 4 * T * M * B * N * (N - 1)
    assert memory(hardware__read="sampled", training__chunk=2) - memory(training__chunk=2) == 4 * 2 * M * B * N * (
        N - 1
    )
    monkeypatch.setattr(reads, "LARGEST_DRAW", 4 * 3 * M * B * N * N + 1)
    assert memory(hardware__read="sampled") - moments == 4 * M * B * N * (3 * N - T)


def test_devices_that_are_drawn_as_they_are_read_are_stored_nowhere():
    """Telegraph noise in single precision; in double precision the states of all (planes, n, m) of every read are.

    Where the devices stand is kept of both: a state and a correlation time for each, pass and sequence.
    """

    def noise(dtype):
        changes = {"profile": "rram_rtn", "hardware.read": "sampled", "compute.dtype": dtype}
        return memory_of(Experiment.of(configure(SMALL, changes)))["noise"]

    single, double = noise("float32"), noise("float64")
    shapes = Experiment.of(configure(SMALL, {})).network.shapes.values()
    devices = 2 * sum(n * m for n, m in shapes)
    assert single == 4 * M * B * 2 * devices
    assert double >= 8 * M * B * (2 * devices + T * 2 * N * N)


def test_where_processes_of_devices_stand_is_counted():
    """Twenty-five processes of each device of a day's 1/f noise, for every pass and sequence."""
    changes = {"profile": "pcm", "hardware.read": "sampled"}
    noise = memory_of(Experiment.of(configure(SMALL, changes)))["noise"]
    per_device = len(PcmNoise(250e-9).corners)
    assert per_device == 25
    assert noise >= 4 * M * B * per_device * 2 * N * (2 * N + 2 * O)


def test_matrices_that_decorrelate_are_counted_of_inputs_too():
    """D, second moments and the next D of each group: N^2 numbers of the layer, I^2 of the inputs."""

    def update(**rule):
        changes = {f"rule.{key}": value for key, value in rule.items()}
        return memory_of(Experiment.of(configure(SMALL, changes)))["update"]

    inputs = Experiment.of(configure(SMALL, {})).network.inputs
    layers, both = (update(decorrelation={"lr": 0.1, "inputs": each}) - update() for each in (False, True))
    assert (layers, both) == (3 * 4 * N**2, 3 * 4 * (N**2 + inputs**2))


def test_without_read_noise_nothing_is_drawn():
    quiet = {"hardware__without": ["read_noise"]}
    assert memory(**quiet, hardware__read="sampled") == memory(**quiet)


@pytest.mark.parametrize("gamma", [0.5, 1.0])
def test_passes_are_stored_for_credit_that_looks_ahead_alone(gamma):
    stored = 4 * T * B * (R * (N + O + 2) + N + M)
    assert memory(rule__gamma=gamma) - memory(rule__gamma=0.0) == stored


def test_passes_operations_and_times_are_counted_by_hand(monkeypatch):
    """3 updates of M passes; a multiply-accumulate for each weight, step, sequence and pass; 3 input lines."""
    monkeypatch.setattr(estimating, "_seconds_an_update", lambda trainer: 0.25)
    for changes, updates, passes, seconds in (
        ({}, 3, M, 0.75),
        ({"rule.K": 2, "training.updates": 5}, 5, 2 * M, 1.25),
        ({"training.controls": True}, 3, M, 1.5),  # the readout alone is trained as long
    ):
        found = estimate(configure(SMALL, {"dt": "2 us", **changes}))
        assert found["passes"] == updates * passes
        assert found["multiply_accumulates"] == updates * passes * B * T * (N * 3 + N * N + O * N)
        assert found["chip_time_s"] == pytest.approx(updates * passes * B * T * 2e-6, rel=1e-12, abs=0)
        assert found["seconds"] == seconds


def test_passes_are_replayed_from_the_first_byte_that_does_not_fit():
    stored = 4 * T * B * (R * (N + O + 2) + N + M)
    for memory, replayed in ((stored, False), (stored - 1, True)):
        found = estimate(configure(SMALL, {"training.memory": f"{memory} B"}))
        assert found["replayed"] == replayed
        assert found["stored"].startswith(
            "passes are run twice in the first 1 of 4 steps" if replayed else "passes are stored"
        )
        assert found["memory"]["passes"] == memory


def test_an_optimiser_s_moments_and_steps_are_counted():
    """Adam: two moments kept; gradient, step and two new moments in an update. SGD: the gradient alone."""
    weights = 4 * (N * 3 + N * N + O * N)
    for name, kept, made in (("adam", 2, 4), ("sgd", 0, 1)):
        found = memory_of(Experiment.of(configure(SMALL, {"optimizer.name": name})))
        assert (found["weights"], found["optimizer"], found["update"]) == (weights, kept * weights, made * weights)


@pytest.mark.parametrize("profile", available())
def test_weights_moments_and_devices_are_those_of_the_chip(profile):
    """The sample has 32 hidden units, the network 48; a sample without a stuck device lacks one byte each."""
    experiment = Experiment.of(configure(SMALL, {"profile": profile, "network.hidden": 48}))
    found, trainer = memory_of(experiment), build_trainer(experiment)
    bytes_of = lambda tensors: sum(t.numel() * t.element_size() for t in tensors if t.ndim)  # noqa: E731
    cells = [t for array in trainer.substrate.arrays.values() for t in array.cells.values()]  # pyright: ignore
    assert found["weights"] == bytes_of(trainer.substrate.weights.values())
    assert found["optimizer"] == bytes_of(trainer.moments.values())
    assert abs(found["devices"] - bytes_of(cells)) <= sum(c.numel() for c in cells) // len(cells)


def test_what_does_not_fit_is_said_and_not_built(monkeypatch, capsys):
    monkeypatch.setattr(estimating, "available_memory", lambda device: 2**30)
    monkeypatch.setattr(estimating, "build_trainer", lambda experiment: pytest.fail("built"))
    monkeypatch.setattr(estimating, "describe", lambda experiment: pytest.fail("built"))
    found = estimate(configure(SMALL, {"profile": "pcm_tiles", "network.hidden": 20_000}))
    assert (found["fits"], found["seconds"], found["available_bytes"]) == (False, None, 2**30)
    assert found["memory_bytes"] == sum(found["memory"].values()) > 20 * 20_000**2
    show_estimate(found, json=False)
    text = capsys.readouterr().out
    assert "does not fit: needs " in text
    assert "1 GiB available" in text
    show_estimate(found, json=True)
    (row,) = json.loads(capsys.readouterr().out)["results"]
    assert row["memory"] == found["memory"]
    assert row["seconds"] is None


def test_a_second_chip_for_the_controls_is_counted():
    trainer = build_trainer(Experiment.of(configure(SMALL)))
    batches = trainer.updates * trainer.batches.at(0, trainer._sample).size
    more = memory_of_parts("weights") + memory_of_parts("devices") + batches
    assert memory(training__controls=True) - memory() == more


def test_batches_kept_for_the_controls_are_bounded():
    many = estimating.memory_of(Experiment.of(configure(SMALL, {"training.controls": True, "training.updates": 10**7})))
    assert many["batches"] == ROOM


def memory_of_parts(name: str) -> int:
    return memory_of(Experiment.of(configure(SMALL)))[name]


def test_available_memory_is_read_from_the_system(tmp_path, monkeypatch):
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:   7 kB\n")
    assert machine._meminfo(tmp_path / "meminfo") == 7 * 1024
    assert machine._meminfo(tmp_path / "none") is None
    for name, text in {
        "memory.max": "1000",
        "memory.current": "700",
        "memory.stat": "anon 1\ninactive_file 50",
    }.items():
        (tmp_path / name).write_text(text + "\n")
    assert machine._left_in(tmp_path) == 350
    (tmp_path / "memory.max").write_text("max\n")
    assert machine._left_in(tmp_path) is None


def test_where_the_system_does_not_tell_the_estimate_goes_on(monkeypatch):
    monkeypatch.setattr(estimating, "available_memory", lambda device: None)
    found = estimate(configure(SMALL))
    assert (found["fits"], found["available_bytes"]) == (True, None)
    assert found["seconds"] > 0


def test_a_chunk_of_all_passes_is_counted():
    of = Experiment.of(configure(SMALL, {"training.chunk": 2, "rule.reference": "mean", "rule.K": 3}))
    lines = sum(of.network.lines.values())
    rows = 4 * of.config.training.batch
    found = memory_of(of)
    assert found["chunk"] == 4 * 2 * rows * lines * 4
    assert found["recorded"] == 0


def test_least_squares_of_the_readout_are_counted_with_the_lines_of_all_layers():
    layers = [{"cell": "tanh", "units": 30}, {"cell": "tanh", "units": 20}]
    network = {"layers": layers, "skip": True, "bias": True}
    found = {
        readout: memory_of(Experiment.of(configure({"task": "copy", "network": network, "rule": {
            "name": "anp", "readout": readout}})))["readout"]
        for readout in ("perturb", "delta", "rls")
    }  # fmt: skip
    R = torch.zeros(51, 51, dtype=torch.float64)
    assert found == {"perturb": 0, "delta": 0, "rls": 5 * R.nbytes + R.float().nbytes}
