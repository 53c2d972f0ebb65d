"""Options whose promise holds for some profiles only: refused, or said where a run's choices are."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from neuroanp import api
from neuroanp.devices.effects import ALL_EFFECTS
from neuroanp.devices.leak import Leak
from neuroanp.devices.pcm import PcmRead
from neuroanp.errors import InputError
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import available, load, loads
from neuroanp.records.run_dir import RunDir
from neuroanp.substrates import promises
from neuroanp.substrates.chip import DeviceChip
from neuroanp.training.build import Experiment
from neuroanp.training.configure import configure
from neuroanp.training.described import describe as described
from neuroanp.training.launch import launch
from neuroanp.training.revisit import Look, revisit
from neuroanp.trajectory import PassPlan, Weights
from tests.close import close

TINY = {
    "task": {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 8},
    "network": {"hidden": 6},
    "training": {"updates": 2, "batch": 2, "controls": False},
}
MEMORY = {
    "cmos_subthreshold": "white", "fefet": "white", "pcm": "process", "pcm_compensated": "process",
    "pcm_tiles": "process", "photonic": "white", "rram_rtn": "process", "sonos_flash": "white",
}  # fmt: skip


def warnings_of(overrides) -> list[str]:
    _, log = described(Experiment.of(configure(TINY, overrides)))
    return [line.removeprefix("warning: ") for line in log if line.startswith("warning: ")]


@pytest.mark.parametrize("name", available())
def test_how_a_profile_s_read_noise_remembers(name):
    assert promises.memory_of(load(name)) == MEMORY.get(name, "none")


@pytest.mark.parametrize("scale", [1e-9, 1e-6, 1e-3])
def test_a_law_is_asked_in_the_middle_of_the_range_of_its_profile(scale, monkeypatch):
    """Of devices of nS or mS, 10 uS is nowhere."""
    profile = load("fefet")
    conductance = profile.conductance.model_copy(update={"g_min": 2 * scale, "g_max": 10 * scale})
    profile = profile.model_copy(update={"conductance": conductance})
    asked = []
    split = type(profile.read).split

    def noted(law, g, now, g_max, age, window):
        asked.append((g.item(), g_max))
        return split(law, g, now, g_max, age, window)

    monkeypatch.setattr(type(profile.read), "split", noted)
    assert promises.memory_of(profile) == "white"
    assert not promises.changes_with_time(profile, frozenset({"read_noise"}))
    assert len(asked) == 3
    assert np.array(asked) / scale == close(np.tile([6.0, 10.0], (3, 1)))


LEAK = "extends: capacitor\nmeta: {name: mine}\ndrift: {law: leak, tau: 20 ms, rest: 15 uS"


@pytest.mark.parametrize(
    ("rest", "kelvin", "depends"),
    [
        (", activation_energy: 0.6 eV, reference_temperature: 300 K}", "300 K", True),
        (", activation_energy: 0.6 eV, reference_temperature: 301 K}", "300 K", True),
        ("}", "300 K", False),
    ],
)
def test_a_leak_depends_on_the_temperature_only_with_an_energy(rest, kelvin, depends):
    profile = loads(f"{LEAK}{rest}\nenvironment: {{temperature: {kelvin}}}\n")
    assert promises.temperature_dependent(profile, ALL_EFFECTS) == ["drift"] * depends


def test_a_law_of_one_s_own_that_depends_on_the_temperature_is_asked():
    """Whatever its parameters are called; and one that holds at one temperature only is no reason to fail."""

    class Own(Leak):
        def at_temperature(self, kelvin: float):
            if kelvin > 300.5:
                raise ValueError("too warm")
            return self

    capacitor = loads(f"{LEAK}}}\nenvironment: {{temperature: 300 K}}\n")
    own = Own(**capacitor.drift.model_dump())
    assert promises.temperature_dependent(capacitor.model_copy(update={"drift": own}), ALL_EFFECTS) == ["drift"]


@pytest.mark.parametrize("name", MEMORY)
def test_what_is_said_of_a_law_is_what_its_sampled_reads_do(name):
    """Two steps of one device, drawn one by one: correlated where the law is a process, and nowhere else."""
    weights = Weights.one_layer({key: torch.full((2, 2), 0.1, dtype=torch.float64) for key in ("w_in", "w", "w_out")})
    effects = frozenset({"read_noise", "frozen_noise"})
    chip = DeviceChip.build(load(name), weights, streams=Streams(0), dt=1e-6, read="sampled", effects=effects,
                      write="ideal", dtype=torch.float64)  # fmt: skip
    streams, plan = PassStreams(Streams(0), "train", 0), PassPlan((1.0,), (0,), "mean")
    reads = chip.prepare(1e-3, streams)
    assert (reads["w"].process is not None) == (MEMORY[name] == "process")
    if reads["w"].process is not None:
        noise = chip.device_noise("w", reads["w"], plan, 4000, streams)
        one, two = (noise.draw(t, 1)[0, 0, :, 0, 0, 0].numpy() for t in (0, 1))
        assert np.corrcoef(one, two)[0, 1] > 0.1


def test_sampled_reads_without_their_memory_are_refused(tmp_path, monkeypatch):
    """Before a directory is made, and by the estimate: with the laws that have one. A law of one's own has moments."""
    monkeypatch.setattr(PcmRead, "process", None)
    wanted = configure(TINY, {"profile": "pcm", "hardware.read": "sampled"})
    for attempt in (lambda: launch(wanted, tmp_path / "runs"), lambda: api.estimate(wanted)):
        with pytest.raises(InputError, match=r"hardware\.read: sampled .* one_over_f, fluctuators, pcm: rram_rtn"):
            attempt()
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("profile", ["pcm", "rram_rtn"])
def test_sampled_reads_without_read_noise_change_nothing(profile):
    overrides = {"profile": profile, "hardware.read": "sampled", "hardware.without": ["read_noise", "frozen_noise"]}
    assert any("has its fresh read noise switched off" in line for line in warnings_of(overrides))


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"profile": "ideal", "hardware.read": "sampled"}, "sampled changes nothing: profile ideal has no"),
        ({"profile": "fefet", "hardware.read": "sampled"}, "the read noise of profile fefet is white"),
        ({"profile": "rram_rtn", "hardware.read": "sampled"}, None),
        ({"profile": "pcm", "hardware.wires": "exact"}, "exact changes nothing: profile pcm states no"),
        ({"profile": "pcm_tiles", "hardware.wires": "exact"}, None),
        ({"profile": "pcm_tiles", "hardware.wires": "exact", "hardware.without": ["wires"]}, "its wires switched off"),
        ({"profile": "pcm", "hardware.temperature": "350 K"}, "hardware.temperature changes nothing"),
        ({"profile": "pcm_tiles", "hardware.temperature": "350 K"}, None),
        (
            {"profile": "pcm_tiles", "hardware.temperature": "350 K", "hardware.without": ["thermal_noise"]},
            "hardware.temperature changes nothing",
        ),
        ({"profile": "smtj_telegraph", "hardware.temperature": "310 K"}, None),
        (
            {"profile": "smtj_telegraph", "hardware.temperature": "310 K", "hardware.without": ["node_noise"]},
            "hardware.temperature changes nothing",
        ),
        ({"profile": "pcm", "perturbation.sigma": 0.1}, "perturbation.sigma: no Gaussian is added"),
        ({"profile": "ideal", "perturbation.sigma": 0.1, "perturbation.output": 0.0}, None),
        ({"profile": "smtj_telegraph", "hardware.temperature": "350 K"}, None),
        ({"profile": "pcm", "backend": "lif"}, None),
        ({"profile": "pcm", "backend": "lif", "perturbation.output": 0.2}, "perturbation.output: no Gaussian is added"),
        ({"profile": "pcm", "hardware.without": ["node_noise"]}, "profile pcm has no node_noise"),
        ({"profile": "fefet", "training.evaluate_after": ["1 h"]}, "training.evaluate_after changes nothing"),
        ({"profile": "pcm", "training.evaluate_after": ["30 d"]}, None),
        ({"profile": "rram_wan", "training.evaluate_after": ["2 d"]}, None),
        ({"profile": "rram_wan", "training.evaluate_after": ["1 d", "3 d"]}, "after 3 d: the drift table of"),
        ({"profile": "sonos_flash", "training.updates": 30_000_000, "dt": "10 ms"}, "of chip time: the drift table"),
    ],
)  # fmt: skip
def test_an_option_that_changes_nothing_says_so_and_others_are_silent(overrides, said):
    about = ("hardware.", "perturbation.", "training.", "after ", "of chip time", "has no ")
    found = [line for line in warnings_of(overrides) if any(part in line for part in about)]
    if said is None:
        assert found == []
    else:
        (line,) = found
        assert said in line


def test_a_run_at_another_temperature_says_that_its_junctions_are_extrapolated():
    lines = {kelvin: warnings_of({"profile": "smtj_telegraph", "hardware.temperature": kelvin})
             for kelvin in ("300 K", "350 K")}  # fmt: skip
    assert [any("are extrapolated from 300 K" in line for line in found) for found in lines.values()] == [False, True]


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("programming: {law: measured, file: t.csv}", "the programming table of profile mine covers 5 uS to 20 uS"),
        ("read: {law: measured, file: r.csv}", "the read table of profile mine covers 5 uS to 20 uS"),
    ],
)
def test_conductances_beyond_a_measured_table_are_told(tmp_path, section, said):
    (tmp_path / "t.csv").write_text("target_uS,sd_uS\n5,1\n20,2\n")
    (tmp_path / "r.csv").write_text("g_uS,sd_uS\n5,1\n20,2\n")
    mine = tmp_path / "mine.yaml"
    head = "extends: {}\nmeta: {{name: mine, summary: s, source: bench, status: illustrative}}\n{}\n"
    mine.write_text(head.format("pcm", section))
    assert [line for line in warnings_of({"profile": str(mine)}) if said in line and "0 S to 25 uS" in line]
    for name in ("t.csv", "r.csv"):
        (tmp_path / name).write_text((tmp_path / name).read_text().replace("\n5,", "\n0,").replace("\n20,", "\n25,"))
    assert not [line for line in warnings_of({"profile": str(mine)}) if "table" in line]


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    store, made = tmp_path_factory.mktemp("store"), {}

    def record(profile: str) -> RunDir:
        if profile not in made:
            made[profile] = launch(configure(TINY, {"profile": profile}), store)
        return made[profile]

    return record


@pytest.mark.parametrize(
    ("profile", "look", "said"),
    [
        ("sonos_flash", Look(after=["6 d", "30 d", "4 d"], without=["dac", "adc"]),
         "after 6 d, after 30 d: the drift table of profile sonos_flash ends 5 d after a write"),
        ("sonos_flash", Look(after=["12 h"]), None),
        ("sonos_flash", Look(after=["5 d"], without=["drift"]), "nothing of profile sonos_flash that is on changes"),
        ("sonos_flash", Look(after=["3 d"], profile=load("rram_wan")), "of profile rram_wan ends 2 d"),
        ("fefet", Look(after=["1 h"]), "--after: nothing of profile fefet that is on changes while it lies idle"),
        ("fefet", Look(), None),
        ("pcm", Look(after=["30 d"]), None),
        ("pcm", Look(after=["30 d"], without=["drift"]), None),  # its read noise grows with age
        ("pcm", Look(after=["30 d"], without=["drift", "read_noise", "frozen_noise"]), "nothing of profile pcm"),
    ],
)  # fmt: skip
def test_idle_times_that_a_profile_has_no_answer_to_are_told(records, caplog, profile, look, said):
    record = records(profile)
    caplog.clear()
    with caplog.at_level(logging.WARNING, "neuroanp"):
        rows = revisit(record, look)
    told = [line for line in caplog.messages if "table" in line or "idle" in line]
    assert [said in line for line in told] == ([] if said is None else [True])
    if said is not None and "table" in said and profile == "sonos_flash" and look.profile is None:
        losses = {row["after"]: row["test_loss_noise_free"] for row in rows}
        assert losses["6 d"] == losses["30 d"] != losses["4 d"]  # what is told of


def test_a_chip_that_is_past_its_table_as_it_stands_is_told():
    chip = Experiment.of(configure(TINY, {"profile": "sonos_flash"})).chip(Streams(0))
    chip.elapse(6 * promises.DAY)
    assert promises.oldest(chip) == close(6 * promises.DAY, rel=1e-6)
    told = promises.beyond_table(chip.profile, ALL_EFFECTS, promises.oldest(chip), "at once")
    assert told is not None
    assert promises.beyond_table(chip.profile, ALL_EFFECTS, 5 * promises.DAY, "at once") is None


def test_a_run_that_was_sampled_before_it_was_refused_can_be_looked_at(records, tmp_path, caplog, monkeypatch):
    """Its bits are what they were; what they are not is said."""
    monkeypatch.setattr(PcmRead, "process", None)
    record = records("pcm")
    old = RunDir.create(tmp_path, "old", record.config_text.replace("read: moments", "read: sampled"), record.manifest)
    old.save_checkpoint(2, record.load_checkpoint(record.checkpoints()[-1])[0], {})
    with caplog.at_level(logging.WARNING, "neuroanp"):
        (row,) = revisit(old, Look())
    assert row["test_loss_noise_free"] == (record.result or {})["test_loss_noise_free"]
    assert any("has moments only" in line for line in caplog.messages)
