"""Which runs an ablation and a transfer are made of, and what comes out of real ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neuroanp import api
from neuroanp.comparing import pool
from neuroanp.comparing.ablate import ablated, subsets
from neuroanp.comparing.transfer import plan
from neuroanp.comparing.worker import Outcome
from neuroanp.errors import DivergedError, InputError, RunError
from neuroanp.profiles.loader import available, load
from neuroanp.reporting.reading import PROGRAMMED, SCRATCH, TUNED, shown
from neuroanp.substrates.facts import known_effects
from neuroanp.training.build import Experiment
from neuroanp.training.configure import check_dump, configure
from neuroanp.training.launch import launch

TINY = {
    "task": {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 8},
    "network": {"hidden": 6},
    "training": {"updates": 3, "batch": 2, "controls": False},
}


@pytest.fixture
def in_process(monkeypatch):
    """Do the runs of a comparison here, one after the other; how workers do them is tested with the pool."""

    def run_all(jobs, workers, progress, logged=None) -> list[Outcome]:
        outcomes = []
        for job in jobs:
            label = Experiment.of(job.config).label
            try:
                outcomes.append(Outcome(label, launch(job.config, job.root, force=job.force).path))
            except DivergedError as error:
                outcomes.append(Outcome(label, error.path, str(error)))
        return outcomes

    monkeypatch.setattr(pool, "run_all", run_all)


def on(config) -> frozenset[str]:
    return config.hardware.effects() & set(known_effects(load(config.profile)))


@pytest.mark.parametrize("profile", available())
def test_an_ablation_has_all_but_one_and_one_alone_of_every_effect(profile):
    config = configure(TINY, profile=profile)
    effects = known_effects(load(profile))
    found = ablated(config)
    assert found[0] == config
    assert [on(one) for one in found] == subsets(effects)
    assert len(found) == (2 * len(effects) + 2 if len(effects) > 2 else len(set(map(on, found))))
    assert all(configure(one.to_plain()) == one for one in found)


def test_what_is_off_already_is_no_part_of_an_ablation():
    config = configure(TINY, {"hardware.without": ["drift", "adc"]}, profile="pcm")
    for one in ablated(config):
        assert not {"drift", "adc"} & on(one)
    few = configure(TINY, {"hardware.only": ["drift", "read_noise", "dac"]}, profile="pcm")
    assert [sorted(on(one)) for one in ablated(few)] == [
        ["dac", "drift", "read_noise"], ["dac", "read_noise"], ["dac", "drift"], ["drift", "read_noise"],
        ["drift"], ["read_noise"], ["dac"], [],
    ]  # fmt: skip


def test_a_transfer_trains_on_ideal_hardware_and_keeps_the_device_s_options_for_the_device():
    overrides = {"rule.K": 4, "hardware.without": ["drift"], "hardware.write": "verify", "optimizer.lr": 0.01}
    whole = plan(TINY, overrides, profiles=["pcm", "rram_hfo2"], fine_tune=5, fine_tune_lr=1e-4, seeds=[3, 4])
    assert whole.total == 2 + 3 * 4
    assert whole.in_words == "2 teachers + 3 runs x 2 profiles x 2 seeds"
    for teacher in whole.teachers:
        assert (teacher.profile, teacher.rule_name, teacher.hardware.without) == ("ideal", "bptt", [])
        assert teacher.optimizer.lr == 0.01
    brought = whole.programmed({3: Path("/runs/a")})
    assert [(c.profile, c.seed, c.training.updates, c.optimizer.lr) for c in brought] == [
        ("pcm", 3, 0, 0.01), ("pcm", 3, 5, 1e-4), ("rram_hfo2", 3, 0, 0.01), ("rram_hfo2", 3, 5, 1e-4),
    ]  # fmt: skip
    assert all(c.rule.K == 4 and c.hardware.without == ["drift"] for c in brought)


def test_words_of_a_transfer_reach_the_teacher_too_and_its_rule_the_device_alone():
    words = {"network": {"hidden": 7}, "updates": 9, "hardware": {"without": ["drift"]}}
    whole = plan(TINY, profiles=["pcm"], fine_tune=5, seeds=[3], rule={"name": "np", "K": 4}, words=words)
    (teacher,), (scratch,) = whole.teachers, whole.scratch
    for config in (teacher, scratch):
        assert (config.network.hidden, config.training.updates) == (7, 9)
    assert (teacher.rule_name, teacher.profile, teacher.hardware.without) == ("bptt", "ideal", [])
    assert (scratch.rule_name, scratch.rule.K, scratch.hardware.without) == ("np", 4, ["drift"])


@pytest.mark.parametrize(
    ("overrides", "words", "said"),
    [
        ({"network.weights": "runs/a"}, {}, "a transfer trains the weights itself"),
        ({}, {"fine_tune": 0}, "it takes 1 to 99,999,999 updates"),
        ({}, {"fine_tune": 10**12}, "it takes 1 to 99,999,999 updates"),
        ({}, {"fine_tune_lr": -1.0}, "a rate above 0"),
        ({}, {"profiles": []}, "no devices to transfer to"),
        ({}, {"profiles": ["pmc"]}, "did you mean 'pcm'"),
        ({"rule.k": 4}, {}, "did you mean 'rule.K'"),
        ({"optimizer.warmup": 2, "training.updates": 9}, {}, "2 updates lies within optimizer.warmup, 2; give more"),
    ],
)
def test_a_transfer_that_cannot_be_is_said_before_anything_runs(overrides, words, said):
    with pytest.raises(InputError) as caught:
        plan(TINY, overrides, **{"profiles": ["pcm"], "fine_tune": 2, **words})
    assert said in str(caught.value)


def test_what_starts_from_a_twin_has_no_gain_of_its_own():
    made = plan(TINY, {"network.output_gain": 0.1}, profiles=["pcm"], fine_tune=2)
    for config in made.programmed({config.seed: Path("/store/twin") for config in made.teachers}):
        check_dump(config)
        assert config.network.output_gain == 1


@pytest.mark.slow
def test_a_real_ablation_pairs_its_differences_by_seed(in_process, tmp_path):
    overrides = {"hardware.only": ["programming_error", "read_noise"]}
    done = api.compare(TINY, overrides=overrides, profiles="pcm", seeds=2, runs=tmp_path, ablate=True)
    assert not done.failed
    assert len(done.runs) == api.runs_of_comparison(TINY, overrides, profiles="pcm", seeds=2, ablate=True) == 2 * 4
    assert done.report.parent.name.startswith("ablate-")
    json.dumps(done.ablation)
    by_effect = {row["effect"]: row for row in done.ablation}
    assert set(by_effect) == {"programming_error", "read_noise"}
    losses: dict[tuple[frozenset[str], int], float] = {}
    for run in done.runs:
        losses[on(run.config), run.config.seed] = run.result["test_loss"]
    whole = frozenset(by_effect)
    for effect, row in by_effect.items():
        costs = [losses[whole, seed] - losses[whole - {effect}, seed] for seed in (0, 1)]
        alone = [losses[frozenset({effect}), seed] - losses[frozenset(), seed] for seed in (0, 1)]
        for key, values in (("costs", costs), ("costs_alone", alone)):
            assert row[key] == {"median": sum(values) / 2, "lowest": min(values), "highest": max(values), "seeds": 2}
    page = done.report.read_text(encoding="utf-8")
    assert "What each non-ideality costs: pcm · anp" in page
    assert "hardware.without [" not in page  # no variants in the table of results


@pytest.mark.slow
def test_a_real_transfer_is_resumable_and_says_each_stage(in_process, tmp_path):
    words = {"profiles": ["pcm", "smtj_koenders"], "fine_tune": 2, "runs": tmp_path}
    done = api.transfer(TINY, **words)
    assert not done.failed
    stages = [(one.result["profile"], one.way) for one in (shown(run.record) for run in done.runs)]
    ways = (PROGRAMMED, TUNED, SCRATCH)
    assert stages == [("ideal", SCRATCH), *((profile, way) for profile in ("pcm", "smtj_koenders") for way in ways)]
    teachers = {run.config.seed: run for run in done.runs if run.result["rule"] == "bptt"}
    for run in done.runs:
        start = run.record.manifest.get("start")
        if start is not None:
            assert Path(start["path"]) == teachers[run.config.seed].path.resolve()
            assert start["origin"] == "bptt on ideal"
    page = done.report.read_text(encoding="utf-8")
    assert "From training off the chip to the device" in page
    for said in ("programmed", "fine-tuned", "from scratch", "ex situ (3 updates)", "fine-tuned (2 updates)"):
        assert said in page
    made = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/result.json")}
    again = api.transfer(TINY, **words)
    assert [run.path for run in again.runs] == [run.path for run in done.runs]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/result.json")} == made


def test_a_seed_whose_weights_diverged_is_left_out_and_told(in_process, tmp_path, monkeypatch):
    """The other seed is transferred; a transfer without any weights fails with what its training said."""
    steps = {"optimizer.name": "sgd", "optimizer.lr": 1000, "training.updates": 200}
    with pytest.raises(RunError, match="diverged at update"):
        api.transfer(TINY, overrides=steps, profiles=["pcm"], fine_tune=2, runs=tmp_path / "none")
    whole = plan(TINY, profiles=["pcm"], fine_tune=2, seeds=[0, 1])
    whole.teachers[1] = configure(whole.teachers[1].to_plain(), steps)
    monkeypatch.setattr("neuroanp.comparing.transfer.plan", lambda *_, **__: whole)
    done = api.transfer(TINY, profiles=["pcm"], fine_tune=2, runs=tmp_path / "one")
    assert [label for label, _ in done.failed] == ["copy ideal bptt seed 1", "programming of seed 1"]
    assert {run.config.seed for run in done.runs if run.record.manifest.get("start")} == {0}


def test_a_stored_run_is_evaluated_by_name(tmp_path):
    run = api.train(TINY, profile="pcm", runs=tmp_path, overrides={"training.evaluate_after": ["1 h"]})
    rows = api.evaluate(run.path, after="1 h")
    assert [row["test_loss"] for row in rows] == [run.result["test_loss"], run.result["test_loss_after"]["1 h"]]
    assert set(run.result["per_update"]) == {"energy_J", "chip_time_s", "pulses"}
    assert api.evaluate(run.path, profile="ideal")[0]["effects"] == []
